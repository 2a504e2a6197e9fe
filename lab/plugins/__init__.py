"""Pulumi's plugins `command` and `docker` for the lab; they behave as the official ones."""
