"""The last step of the database's way to TLS, or to another authority: nobody else is let in from then on.

Owns: that step on a manager. Leaves to others: when it is time for it (components/galera.py), how the nodes
do it, one after the other, and that they do nothing where it is done (images/galera, `securing`).
"""

from __future__ import annotations

from components.host_scripts.shell import assign, body

PATIENCE = 3600
"""Seconds in which one more node must have started anew: it may have to take a full copy."""
_SECURED = body("database_tls")


def only(service: str) -> str:
    """Shell text for a manager, once all nodes of `service` speak TLS, with one authority's certificate."""
    return f"{assign(service=service, patience=PATIENCE)}\n{_SECURED}"
