"""Entrypoint of the arbitrator image: a vote in the database's group, without data."""
