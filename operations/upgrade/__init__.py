"""Hosts get their security updates and reboots, one at a time."""
