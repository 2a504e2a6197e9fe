"""Galera as one global service: a node on each labelled host, its data in a volume that never leaves it.

Owns: the service, its passwords and files, the wait until the cluster has formed.
Leaves to others: bootstrap, joining, SST and health (images/galera), the store (a `KeyValueStore`).

A node's identity is its host's name. The nodes find each other as `tasks.galera`; clients use the service's
virtual IP. Nothing is published on the hosts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pulumi_docker as docker

from components import remote
from components.commands import convergence
from components.key_value_store import KeyValueStore
from components.overlay_network import OverlayNetwork
from components.password import Password
from components.services import KEEPALIVE, health_check, one_at_a_time, restart_always, tasks_fingerprint
from components.swarm_files import config, secret
from components.virtual_server import VirtualServer

SERVICE = "galera"
PORT = 3306
LABEL = "galera"
"""Node label, `true` on the hosts that bear a node."""
START_PERIOD = 3600
"""Seconds in which a failing health check does not count; the node must know them, because a node that still
receives its data after that calls itself healthy while the transfer advances. Until then a rolling update
waits for it and clients are not sent to it, so the time is that of a large transfer. Nothing hangs as long: a
transfer that stands still is broken off by the node itself."""


@dataclass(frozen=True)
class GaleraArgs:
    """The database cluster.

    Attributes:
        image: container image.
        cluster_name: wsrep_cluster_name.
        database: created at the first bootstrap with a user of the same name.
        nodes: hosts labelled for it; the first is a manager and is asked whether the cluster has formed.
        network: the overlay network.
        store: for the bootstrap lease and positions.
        options: further lines of the server's [mysqld] group.
        initdb: folder of *.sql files for the very first bootstrap.
        after: what must be there before the service is made or changed.
        placed: the swarm's nodes. The service does not wait for them, its tasks start as they come.
    """

    image: str
    cluster_name: str
    database: str
    nodes: Sequence[VirtualServer]
    network: OverlayNetwork
    store: KeyValueStore
    after: Sequence[pulumi.Resource]
    placed: Sequence[pulumi.Resource]
    options: Mapping[str, str] = field(default_factory=dict)
    initdb: str | None = None


class Galera(pulumi.ComponentResource):
    """A Galera cluster whose nodes are all Synced.

    Attributes:
        service, port: where clients connect on the overlay network.
        vip: the service's virtual IP.
        members: host names.
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
        self.members = [node.hostname for node in args.nodes]
        child = pulumi.ResourceOptions(parent=self)
        passwords = {
            user: Password(f"{name}-{user}-password", opts=child).value for user in ("root", "monitor", "app")
        }
        self.root_password, self.app_password = passwords["root"], passwords["app"]
        secrets = [secret(name, f"galera-{user}-password", value, child) for user, value in passwords.items()]
        configs = [
            config(name, stem, path, text, child)
            for stem, path, text in config_files(args.options, args.initdb)
        ]
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
        service = docker.Service(
            f"{name}-service",
            name=args.network.service(SERVICE),
            mode=docker.ServiceModeArgs(global_=True),
            task_spec=docker.ServiceTaskSpecArgs(
                container_spec=docker.ServiceTaskSpecContainerSpecArgs(
                    image=args.image,
                    env=env,
                    secrets=secrets,
                    configs=configs,
                    mounts=[
                        docker.ServiceTaskSpecContainerSpecMountArgs(
                            type="volume", source="galera-data", target="/var/lib/mysql"
                        )
                    ],
                    healthcheck=health_check("galera-node", START_PERIOD),
                    stop_grace_period="1m0s",
                    sysctl=KEEPALIVE,
                ),
                networks_advanceds=[docker.ServiceTaskSpecNetworksAdvancedArgs(id=args.network.network_id)],
                placement=docker.ServiceTaskSpecPlacementArgs(constraints=[f"node.labels.{LABEL}==true"]),
                restart_policy=restart_always(),
            ),
            endpoint_spec=docker.ServiceEndpointSpecArgs(mode="vip"),
            update_config=one_at_a_time(proven="30s"),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*args.after, *args.store.declared],
                delete_before_replace=True,
            ),
        )
        self.formed = remote.run(
            f"{name}-formed",
            args.nodes[0].connection,
            "\n".join(
                (
                    convergence.service_running(SERVICE, self.size, args.network.name),
                    convergence.galera_formed(SERVICE, self.size),
                )
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[service, *args.placed, *args.store.running]),
            triggers=[service.id, tasks_fingerprint(args.image, env, [*secrets, *configs], args.nodes)],
        )
        self.vip = self.formed.stdout
        self.register_outputs({"vip": self.vip, "members": self.members})


def config_files(options: Mapping[str, str], initdb: str | None) -> list[tuple[str, str, str]]:
    """Docker configs of a node as (name, path in the container, text)."""
    lines = "".join(f"{key} = {value}\n" for key, value in sorted(options.items()))
    text = f"# Options from the stack's settings, galera.config.\n[mysqld]\n{lines}"
    files = [("galera-cnf", "/etc/mysql/mariadb.conf.d/90-stack.cnf", text)]
    if initdb:
        files.extend(
            (f"galera-initdb-{file.stem}", f"/docker-entrypoint-initdb.d/{file.name}", file.read_text())
            for file in sorted(Path(initdb).glob("*.sql"))
        )
    return files
