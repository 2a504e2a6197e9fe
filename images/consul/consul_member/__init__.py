"""Entrypoint of the Consul image: the agent's configuration, its life, and who may do what in the store."""
