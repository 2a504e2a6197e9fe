"""Another project that uses the cluster: it reads the stack's outputs and nothing else.

Owns: what an application needs to connect. Leaves to others: the cluster (the project above this folder).

    cd examples/consumer
    pulumi stack init dev && pulumi up
    pulumi stack output dsn --show-secrets
"""

from __future__ import annotations

from typing import Any

import pulumi


def dsn(galera: dict[str, Any], passwords: dict[str, str]) -> str:
    """Where an application attached to the overlay network connects; the user is called like the database."""
    user = galera["database"]
    # Numbers of another stack's outputs arrive as 3306.0.
    port = int(galera["port"])
    return f"mysql://{user}:{passwords['app']}@{galera['service']}:{port}/{galera['database']}"


def main() -> None:
    """Read the outputs and hand out what an application is configured with."""
    cluster = pulumi.StackReference(pulumi.Config().require("cluster"))
    galera = cluster.require_output("galera")
    network = cluster.require_output("network")
    passwords = cluster.require_output("passwords")

    # Attach the application's service to this network: nothing of the database is published elsewhere.
    pulumi.export("network", network.apply(lambda known: known["name"]))
    pulumi.export("members", galera.apply(lambda known: known["members"]))
    # Passwords are secret outputs of the cluster's stack, so what is made of them is secret here, too.
    pulumi.export("dsn", pulumi.Output.all(galera, passwords).apply(lambda known: dsn(known[0], known[1])))
    # Where an application connects that must not depend on the overlay's DNS. It gives each connection one of
    # the nodes, and locks are a node's own: two clients may be granted the same GET_LOCK at the same time, so
    # run migrations from one place (docs/how-to/moving-in.md).
    pulumi.export("vip", galera.apply(lambda known: known["vip"]))
    pulumi.export("monthlyCost", cluster.require_output("estimatedCost").apply(lambda cost: cost["monthly"]))


main()
