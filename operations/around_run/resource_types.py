"""Types of resources, as a state or a preview has them, that a run is looked through for.

Owned here: their names. Left to others: what is looked for.
"""

from __future__ import annotations

SERVICE, NETWORK = "docker:index/service:Service", "docker:index/network:Network"
COMMAND = "command:local:Command"
"""Runs on this machine, and reaches the swarm through a manager."""
PROVIDER = "pulumi:providers:docker"
