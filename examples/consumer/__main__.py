"""Another project that uses the cluster: it reads the stack's outputs and nothing else.

Owns: what an application needs to connect. Leaves to others: the cluster (the project above this folder).

    cd examples/consumer
    pulumi stack init dev && pulumi up
    pulumi stack output dsn --show-secrets
"""

from __future__ import annotations

from typing import Any

import pulumi

CONTRACT = 2
"""The version of the outputs that this program was written for."""


def agreed(version: object, name: str) -> None:
    """Raise RunError unless the outputs of stack `name` are what this program was written for."""
    if version is None:
        raise pulumi.RunError(
            f"Stack {name} has no output contractVersion: there is no such stack, its first `up` did not "
            "come to its end, or it was by a release older than this example. Remedy: correct the setting "
            "`cluster`, or run `up` there"
        )
    # Numbers of another stack's outputs arrive as 1.0.
    if version != CONTRACT:
        told = int(version) if isinstance(version, float) else version
        raise pulumi.RunError(
            f"Stack {name} has outputs of contract version {told}, and this program knows {CONTRACT}: what "
            "they mean may have changed. Remedy: read the changelog of swarm-galera, then change this program"
        )


def dsn(galera: dict[str, Any], balancer: dict[str, Any] | None, passwords: dict[str, str]) -> str:
    """Where an application attached to the overlay network connects; the user is called like the database.

    That is the load balancer's port for the one writer, or without one any node, as the virtual IP has it.
    """
    user = galera["database"]
    service, port = galera["service"], galera["port"]
    if balancer:
        service, port = balancer["service"], balancer["writerPort"]
    # Numbers of another stack's outputs arrive as 3306.0.
    return f"mysql://{user}:{passwords['app']}@{service}:{int(port)}/{galera['database']}"


def authority(galera: dict[str, Any]) -> str | None:
    """The certificate of that which has signed the nodes' one."""
    certificate: str | None = galera.get("tls", {}).get("caCertificate")
    return certificate


def store(discovery: dict[str, Any], access: dict[str, str]) -> dict[str, str]:
    """Where a program asks which node is the writer and which nodes live, and what it shows and knows there:
    a certificate, and a name with a password. It may read that, and nothing else (docs/how-to/moving-in.md).
    Of Consul it is a token, and the address is that of the container's own host (docs/how-to/consul.md).
    """
    # What to expect in the server's certificate.
    name = discovery.get("serverName", discovery["address"])
    return {"address": f"{discovery['address']}:{int(discovery['port'])}", "serverName": name, **access}


def main() -> None:
    """Read the outputs and hand out what an application is configured with."""
    name = pulumi.Config().require("cluster")
    cluster = pulumi.StackReference(name)
    # Nothing is read before the version is known to be the right one.
    checked = cluster.get_output("contractVersion").apply(lambda version: agreed(version, name))
    galera = checked.apply(lambda _: cluster.require_output("galera"))
    balancer = checked.apply(lambda _: cluster.get_output("loadBalancer"))
    network = checked.apply(lambda _: cluster.require_output("network"))
    passwords = checked.apply(lambda _: cluster.require_output("passwords"))
    discovery = checked.apply(lambda _: cluster.require_output("discovery"))
    access = checked.apply(lambda _: cluster.require_output("discoveryAccess"))
    cost = checked.apply(lambda _: cluster.require_output("estimatedCost"))

    # Attach the application's service to this network: nothing of the database is published elsewhere.
    pulumi.export("network", network.apply(lambda known: known["name"]))
    pulumi.export("members", galera.apply(lambda known: known["members"]))
    # A client that checks who answers gives its library this, as in `mariadb --ssl-ca=FILE`: what nodes show
    # is of this authority. A stack of before has none.
    pulumi.export(
        "databaseCa", galera.apply(lambda known: known["tls"]["caCertificate"] if "tls" in known else None)
    )
    # Passwords are secret outputs of the cluster's stack, so what is made of them is secret here, too.
    pulumi.export("dsn", pulumi.Output.all(galera, balancer, passwords).apply(lambda known: dsn(*known)))
    pulumi.export(
        "store", pulumi.Output.all(discovery, access).apply(lambda known: store(known[0], known[1]))
    )
    # Where an application connects that must not depend on the overlay's DNS. It gives each connection one of
    # the nodes, and locks are a node's own: two clients may be granted the same GET_LOCK at the same time, so
    # run migrations from one place (docs/how-to/moving-in.md).
    pulumi.export("vip", galera.apply(lambda known: known["vip"]))
    pulumi.export("monthlyCost", cost.apply(lambda known: known["monthly"]))


main()
