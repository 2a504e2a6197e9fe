"""Entrypoint of the Galera image: one long-lived program that decides, starts and watches one node."""
