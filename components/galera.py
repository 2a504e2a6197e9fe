"""Galera as one global service: a node on each labelled host, its data in a volume that never leaves it.

Owns: the service, its passwords and files, the wait until the cluster has formed.
Leaves to others: bootstrap, joining, SST and health (images/galera), the store (a `KeyValueStore`).

A node's identity is its host's name. The nodes find each other as `tasks.galera`; clients use the service's
virtual IP. Nothing is published on the hosts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components import remote
from components.commands import convergence
from components.first_bootstrap import InitialSql
from components.key_value_store import KeyValueStore
from components.overlay_network import OverlayNetwork
from components.password import Password
from components.services import GlobalService, ServiceSpec
from components.swarm_files import config, secret
from components.virtual_server import VirtualServer

SERVICE = "galera"
PORT = 3306
LABEL = "galera"
"""Node label, `true` on the hosts that bear a node."""
INITIAL_SQL_FAILED = "the initial SQL fails, and no client was served:"
"""In a node's log, before the file, the error and its line: until the file is corrected it fails again."""
INITDB = "/etc/galera-node/initdb.tar.gz"
"""Where a node looks for its initial SQL."""
START_PERIOD = 3600
"""Seconds in which a failing health check does not count; the node must know them, because a node that still
receives its data after that calls itself healthy while the transfer advances. Until then a rolling update
waits for it and clients are not sent to it, so the time is that of a large transfer. Nothing hangs as long: a
transfer that stands still is broken off by the node itself."""


@dataclass(frozen=True)
class GaleraArgs:
    """The database cluster.

    Attributes:
        image: container image, with its digest.
        cluster_name: wsrep_cluster_name.
        database: created at the first bootstrap with a user of the same name.
        nodes: hosts labelled for it; the first is a manager and is asked whether the cluster has formed.
        network: the overlay network.
        store: for the bootstrap lease and positions; nodes are made or changed once it is whole.
        options: further lines of the server's [mysqld] group.
        provider: options of the Galera library.
        strict_replication: whether tables that Galera does not replicate are refused.
        stop_grace: seconds a node has to stop in order.
        initial_sql: for the very first bootstrap.
        after: what must be there before the service is made or changed.
        placed: the swarm's nodes. The service does not wait for them, its tasks start as they come.
    """

    image: pulumi.Input[str]
    cluster_name: str
    database: str
    nodes: Sequence[VirtualServer]
    network: OverlayNetwork
    store: KeyValueStore
    after: Sequence[pulumi.Resource]
    placed: Sequence[pulumi.Resource]
    options: Mapping[str, str] = field(default_factory=dict)
    provider: Mapping[str, str] = field(default_factory=dict)
    strict_replication: bool = True
    stop_grace: int = 60
    initial_sql: InitialSql = field(default_factory=lambda: InitialSql(None))


class Galera(pulumi.ComponentResource):
    """A Galera cluster whose nodes are all Synced.

    Attributes:
        service, port: where clients connect on the overlay network.
        vip: the service's virtual IP.
        members: host names.
        initdb: which initial SQL was run; empty for none.
        root_password, app_password: secret.
        formed: depend on this to use the database.
    """

    vip: pulumi.Output[str]
    root_password: pulumi.Output[str]
    app_password: pulumi.Output[str]

    def __init__(self, name: str, args: GaleraArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`opts` bring the provider, which the service inherits."""
        super().__init__("swarm-galera:galera:Galera", name, None, opts)
        self.service, self.port = SERVICE, PORT
        self.cluster_name, self.size = args.cluster_name, len(args.nodes)
        self.initdb = args.initial_sql.digest
        self.members = [node.hostname for node in args.nodes]
        child = pulumi.ResourceOptions(parent=self)
        passwords = {
            user: Password(f"{name}-{user}-password", opts=child).value for user in ("root", "monitor", "app")
        }
        self.root_password, self.app_password = passwords["root"], passwords["app"]
        secrets = [secret(name, f"galera-{user}-password", value, child) for user, value in passwords.items()]
        configs = [
            config(name, stem, path, text, child)
            for stem, path, text in config_files(args.options, args.provider, args.strict_replication)
        ]
        if args.initial_sql.archive is not None:
            kept = pulumi.ResourceOptions(ignore_changes=["data"] if args.initial_sql.recorded else None)
            once = pulumi.ResourceOptions.merge(child, kept)
            configs.append(config(name, "galera-initdb", INITDB, args.initial_sql.archive, once))
        env = {
            "NODE_NAME": "{{.Node.Hostname}}",
            "CLUSTER_NAME": args.cluster_name,
            "CLUSTER_SIZE": str(self.size),
            "MEMBERS": ",".join(self.members),
            "PEERS": f"tasks.{SERVICE}",
            "STORE": args.store.url,
            "SUBNET": args.network.subnet,
            "DATABASE": args.database,
            "START_PERIOD": str(START_PERIOD),
        }
        service = GlobalService(
            name,
            ServiceSpec(
                service=SERVICE,
                image=args.image,
                env=env,
                secrets=secrets,
                configs=configs,
                volume=("galera-data", "/var/lib/mysql"),
                program="galera-node",
                start_period=START_PERIOD,
                stop_grace=args.stop_grace,
                constraint=f"node.labels.{LABEL}==true",
                proven=30,
            ),
            args.network,
            args.nodes,
            self,
            # The store's wait, not only its service: two services are never changed at the same time.
            [*args.after, *args.store.running],
        )
        self.formed = remote.run(
            f"{name}-formed",
            args.nodes[0].connection,
            "\n".join(
                (
                    convergence.service_running(
                        SERVICE, self.size, args.network.name, hopeless=INITIAL_SQL_FAILED
                    ),
                    convergence.galera_formed(SERVICE, self.size),
                )
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[service.resource, *args.placed]),
            triggers=service.changes,
        )
        self.vip = self.formed.stdout
        self.register_outputs({"vip": self.vip, "members": self.members})


def config_files(
    options: Mapping[str, str], provider: Mapping[str, str], strict_replication: bool
) -> list[tuple[str, str, str]]:
    """Docker configs of a node as (name, path in the container, text), without the initial SQL."""
    lines = "".join(f"{key} = {value}\n" for key, value in sorted(options.items()))
    if not strict_replication:
        lines += "# galera.strictReplication: false\nwsrep_mode =\n"
    text = f"# Options from the stack's settings, galera.config.\n[mysqld]\n{lines}"
    files = [("galera-cnf", "/etc/mysql/mariadb.conf.d/90-stack.cnf", text)]
    if provider:
        text = json.dumps(dict(provider), indent=1, sort_keys=True)
        files.append(("galera-provider", "/etc/galera-node/provider.json", text))
    return files
