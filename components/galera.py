"""Galera as one global service: a node on each labelled host, its data in a volume that never leaves it.

Owns: what the service is, its passwords and files, the wait until the cluster has formed.
Leaves to others: bootstrap, joining, SST and health (images/galera), the store (a `KeyValueStore`).

A node's identity is its host's name. The nodes find each other as `tasks.galera`; clients use the service's
virtual IP. Nothing is published on the hosts, unless `galera.publish` says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components import backup, bootstrap_from, database_tls, remote, rotation, store_access, writer_last
from components.database_tls import DatabaseTls
from components.first_bootstrap import InitialSql
from components.host_scripts import convergence
from components.host_scripts import database_tls as tls_script
from components.host_scripts import passwords as passwords_script
from components.host_scripts import writer_last as text
from components.host_scripts.swarm_leaving import Membership
from components.key_value_store import KeyValueStore
from components.password import Password
from components.service_spec import ON_DATA_NODES, ConfigFile, HealthCheck, Port, ServiceSpec, UpdatePolicy
from components.services import ServiceArgs, declare
from settings import Settings
from settings import galera as section
from settings.backup import Backup
from settings.bootstrap_from import BootstrapFrom
from settings.rotation import Passwords
from settings.tls import Tls

SERVICE = "galera"
PORT = section.PORT
TYPE = "swarm-galera:galera:Galera"
USERS = ("root", "monitor", "app")
FORMER = "-former"
"""Ends the name of the secret with the password before, while that counts as well (images/galera)."""
VOLUME = "galera-data"
INITIAL_SQL_FAILED = "the initial SQL fails, and no client was served:"
"""In a node's log, before the file, the error and its line: until the file is corrected it fails again."""
INITDB = "/etc/galera-node/initdb.tar.gz"
"""Where a node looks for its initial SQL."""
START_PERIOD = 3600
"""Seconds in which a failing health check does not count; the node must know them, because a node that still
receives its data after that calls itself healthy while the transfer advances. Until then a rolling update
waits for it and clients are not sent to it, so the time is that of a large transfer. Nothing hangs as long: a
transfer that stands still is broken off by the node itself."""

MEMBERSHIP = Membership(SERVICE, "galera-node forget", votes=False)
"""What is to be done when a host leaves."""


def spec(settings: Settings, initial: InitialSql | None = None, *, at_once: bool = False) -> ServiceSpec:
    """The service, as far as it is known before the run.

    Args:
        initial: for the very first bootstrap.
        at_once: a change replaces all nodes at the same time; else one after the other, while clients go on.
    """
    galera, members = settings.galera, settings.servers.data_names
    configs = config_files(galera.config, galera.provider, galera.strict_replication, galera.tls.required)
    if initial is not None and initial.archive is not None:
        configs.append(ConfigFile("galera-initdb", INITDB, initial.archive, kept=initial.recorded))
    configs += backup.config_files(settings.backup, galera.image)
    configs += bootstrap_from.config_files(settings.bootstrap_from, galera.cluster_name)
    return ServiceSpec(
        name=SERVICE,
        image=galera.image,
        constraints=[ON_DATA_NODES],
        env={
            "NODE_NAME": "{{.Node.Hostname}}",
            "CLUSTER_NAME": galera.cluster_name,
            "CLUSTER_SIZE": str(len(members)),
            "MEMBERS": ",".join(members),
            "PEERS": f"tasks.{SERVICE}",
            "SUBNET": settings.network.subnet,
            "DATABASE": galera.database,
            "START_PERIOD": str(START_PERIOD),
            # A person's word, without which a node refuses data of an older server.
            **({"UPGRADE_TO": galera.upgrade_to} if galera.upgrade_to else {}),
            # Under which port a node registers itself.
            **({"DB_PORT": str(registered_port(settings))} if settings.discovery.kind == "consul" else {}),
        },
        secrets=[
            *(f"galera-{user}-password" for user in USERS),
            *database_tls.FILES,
            *store_access.FILES,
            *(f"galera-{user}-password{FORMER}" for user in overlapping(settings)),
            *backup.secret_names(settings.backup),
            *bootstrap_from.secret_names(settings.bootstrap_from),
        ],
        configs=configs,
        volumes={VOLUME: "/var/lib/mysql"},
        # As many hosts as there are lead to the same nodes, workers included; not through the load balancer.
        ports=[Port(port, mode="ingress", between_hosts=True) for port in galera.ports],
        health=HealthCheck(["galera-node", "health"], START_PERIOD),
        update=UpdatePolicy(proven=30, parallelism=len(members) if at_once else 1),
        stop_grace=galera.stop_grace,
        # After a full outage, a host that is still on the list would be waited for.
        membership=MEMBERSHIP,
    )


def overlapping(settings: Settings) -> list[str]:
    """Users whose former password counts as well. A password that is given has none."""
    if len(settings.galera.passwords.counting) < 2:
        return []
    return [user for user in USERS if user != "root" or settings.root_password is None]


def registered_port(settings: Settings) -> int:
    """The port of every host by which clients who found it by name reach the database.

    Without a published port or a load balancer there is none, and this is the nodes' own.
    """
    balancer = settings.load_balancer
    return balancer.reader_port if balancer and not settings.galera.ports else PORT


@dataclass(frozen=True)
class GaleraArgs:
    """The database cluster.

    Attributes:
        service: one node on each of its servers, which are labelled for it; its manager is one of them.
        store: for the bootstrap lease and positions.
        beside_store: the service is made beside the store's, for which its nodes wait. Without, nodes are
            made or changed once the store is whole.
        initdb: which initial SQL was or will be run; empty for none.
        tls: as in the settings.
        writer_last: in a rolling change, the node that takes the writes is the last. Only load balancers have
            one take them.
        arbitrator: there is one, or will be, or goes at the end of this run.
        root_password: None to have one drawn.
        passwords: generations of those that are drawn.
        backup: as in the settings; None for no backups.
        source: of a new cluster's data, likewise.
    """

    service: ServiceArgs
    store: KeyValueStore
    beside_store: bool = False
    initdb: str = ""
    tls: Tls = field(default_factory=lambda: Tls.model_validate({}))
    root_password: str | None = field(default=None, repr=False)
    passwords: Passwords = field(default_factory=lambda: Passwords.model_validate({}))
    writer_last: bool = False
    arbitrator: bool = False
    backup: Backup | None = field(default=None, repr=False)
    source: BootstrapFrom | None = field(default=None, repr=False)


class Galera(pulumi.ComponentResource):
    """A Galera cluster whose nodes are all Synced.

    Attributes:
        service, port: where clients connect on the overlay network.
        published_port: of every host; None where it is not published.
        vip: the service's virtual IP.
        members: host names.
        initdb: as given.
        root_password, app_password: the newest; secret. Known once they count.
        passwords: the newest of all accounts that it makes, by user.
        store_url: where the nodes find the store.
        authority: certificate of that which has signed the nodes' one, PEM: whom clients trust.
        files: by which the nodes know one another, by the secrets' names.
        formed: depend on this to use the database.
        settled: on this to change what uses it: no node starts anew any more.
    """

    vip: pulumi.Output[str]
    root_password: pulumi.Output[str]
    app_password: pulumi.Output[str]
    authority: pulumi.Output[str]
    settled: remote.Step

    def __init__(self, name: str, args: GaleraArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`opts` bring the provider, which the service inherits."""
        super().__init__(TYPE, name, None, opts)
        self.service, self.port, self.initdb = SERVICE, PORT, args.initdb
        self.published_port = next((port.published for port in args.service.spec.ports), None)
        self.cluster_name = args.service.spec.env["CLUSTER_NAME"]
        self.members = [server.hostname for server in args.service.servers]
        self.size = len(self.members)
        child = pulumi.ResourceOptions(parent=self)
        passwords = drawn_passwords(name, args.root_password, args.passwords, child)
        self.passwords = {user: values[0] for user, values in passwords.items()}
        self.store_url = args.store.url
        tls = DatabaseTls.declare(name, args.tls, child)
        self._name, self._manager, self._tls = name, args.service.manager, args.tls
        self.authority, self.files = tls.authority, tls.files
        formed = convergence.galera_formed(
            SERVICE, self.size, arbitrator=args.arbitrator, backup=args.backup is not None
        )
        first, then, before = "", formed, None
        if args.writer_last:
            before = writer_last.hook(f"{name}-service", SERVICE, args.service.manager)
            first, then = text.free(SERVICE), f"{text.release()}\n{then}"
        self.formed = declare(
            name,
            args.service,
            self,
            {
                **password_files(passwords),
                **tls.files,
                **args.store.access.files(),
                **backup.secrets(args.backup),
                **bootstrap_from.secrets(args.source),
            },
            {"STORE": args.store.url},
            # The store's wait, not only its service: two services are never changed at the same time.
            after=[] if args.beside_store else args.store.running,
            step="formed",
            hopeless=INITIAL_SQL_FAILED,
            first=first,
            then=then,
            before=before,
        )
        counts = self._count(passwords, args)
        self.root_password = _once(passwords["root"][0], counts)
        self.app_password = _once(passwords["app"][0], counts)
        self.vip = self.formed.stdout
        self.register_outputs({"vip": self.vip, "members": self.members})

    def _count(self, passwords: Drawn, args: GaleraArgs) -> remote.Step | None:
        """The wait until all accounts have these passwords. None in a cluster whose passwords were never
        changed this way: it was made with them.
        """
        if not args.passwords.rotated:
            return None
        env = args.service.spec.env
        known = pulumi.Output.all(**{user: pulumi.Output.all(*values) for user, values in passwords.items()})
        lines: pulumi.Output[str] = known.apply(
            lambda told: passwords_script.lines(told, env["DATABASE"], env["SUBNET"])
        )
        return remote.run(
            f"{self._name}-passwords",
            self._manager,
            passwords_script.count(SERVICE),
            pulumi.ResourceOptions(parent=self, depends_on=[self.formed]),
            values=pulumi.Output.secret(lines),
            triggers=[self.formed.id],
        )

    def settle(self, after: Sequence[pulumi.Resource]) -> None:
        """Have no node let anybody in without TLS, or with a former authority's certificate, now that all are
        of this version. In a cluster that this version has formed that is so already.

        Args:
            after: what else is changed, and first.
        """
        self.settled = remote.run(
            f"{self._name}-tls",
            self._manager,
            tls_script.only(SERVICE),
            pulumi.ResourceOptions(parent=self, depends_on=[self.formed, *after]),
            triggers=[self.formed.id, self._tls.generation],
        )

    def tls_as_output(self) -> pulumi.Output[dict[str, object]]:
        """What clients need to know, once all nodes have come to it."""
        told = {
            "required": self._tls.required,
            "generation": self._tls.generation,
            "names": [*database_tls.NAMES, *self._tls.names],
        }
        return pulumi.Output.all(self.authority, self.settled.id).apply(
            lambda known: {"caCertificate": known[0], **told}
        )


Drawn = Mapping[str, Sequence[pulumi.Output[str]]]
"""Passwords that count, by user, the newest first."""


def _once(password: pulumi.Output[str], counts: remote.Step | None) -> pulumi.Output[str]:
    """The password, once it counts."""
    if counts is None:
        return password
    return pulumi.Output.secret(pulumi.Output.all(password, counts.id).apply(lambda known: str(known[0])))


def password_files(passwords: Drawn) -> dict[str, pulumi.Input[str]]:
    """Of a node, by the secrets' names."""
    return {
        f"galera-{user}-password{ending}": value
        for user, values in passwords.items()
        for ending, value in zip(("", FORMER), values, strict=False)
    }


def keep_secrets(
    name: str,
    root_password: str | None,
    passwords: Passwords,
    tls: Tls,
    opts: pulumi.ResourceOptions,
) -> None:
    """Have the passwords and the authority of data that nothing serves stay in the state, where `Galera`
    finds them again.
    """
    child = pulumi.ResourceOptions(parent=pulumi.ComponentResource(TYPE, name, None, opts))
    drawn_passwords(name, root_password, passwords, child)
    database_tls.drawn(name, tls, child)


def drawn_passwords(
    name: str, root_password: str | None, wanted: Passwords, child: pulumi.ResourceOptions
) -> Drawn:
    """All that count; that of root is the given one alone, if there is one."""
    given = {} if root_password is None else {"root": [pulumi.Output.secret(root_password)]}
    return {
        user: given[user]
        if user in given
        else [
            Password(rotation.numbered(f"{name}-{user}-password", number), opts=child).value
            for number in wanted.counting
        ]
        for user in USERS
    }


def config_files(
    options: Mapping[str, str],
    provider: Mapping[str, str],
    strict_replication: bool,
    tls_required: bool = False,
) -> list[ConfigFile]:
    """A node's files, without the initial SQL."""
    lines = "".join(f"{key} = {value}\n" for key, value in sorted(options.items()))
    if not strict_replication:
        lines += "# galera.strictReplication: false\nwsrep_mode =\n"
    if tls_required:
        lines += "# galera.tls.required: true\nrequire_secure_transport = ON\n"
    text = f"# Options from the stack's settings, galera.config.\n[mysqld]\n{lines}"
    files = [ConfigFile("galera-cnf", "/etc/mysql/mariadb.conf.d/90-stack.cnf", text)]
    if provider:
        text = json.dumps(dict(provider), indent=1, sort_keys=True)
        files.append(ConfigFile("galera-provider", "/etc/galera-node/provider.json", text))
    return files
