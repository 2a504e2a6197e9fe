"""The section `galera`: the database cluster.

Owns: its settings, and what of them must fit together or into a host.
Leaves to others: which options and names the server takes (database/), what the service is
(components/galera.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from settings import paths, values
from settings.database import initial_sql, names, provider_options, server_options, versions
from settings.rotation import Passwords
from settings.section import Section
from settings.tls import Tls

PORT = 3306
"""Of the nodes, of the service, and of every host where it is published."""
MB = 1 << 20
OTHERS = 512
"""MB of a host's memory that the buffer pool leaves to the system, the engine, etcd and connections at the
least.
"""


class Galera(Section):
    """The database cluster.

    Attributes:
        image: container image, which the hosts fetch without a login. By its tag the program knows the
            MariaDB in it: 11.8-1 has 11.8.
        upgrade_to: the version of MariaDB that may take over data of an older one, like 11.8; without it,
            `up` and the nodes refuse. There is no way back (docs/how-to/versions.md).
        cluster_name: wsrep_cluster_name.
        database: created at the first bootstrap, with a user of the same name. Neither name can be changed
            later.
        config: extra options of the server's [mysqld] group (database/server_options.py).
        provider: options of the Galera library (database/provider_options.py).
        strict_replication: refuse tables that Galera does not replicate (MyISAM, Aria, MEMORY, CSV). Without
            it their rows stay on the node that wrote them, until its next full copy removes them.
        publish: `vip` has port 3306 of every host lead to one of the nodes, whichever, as the service's
            virtual IP does: two clients that change one row meet on two nodes, and one gets error 1213
            (docs/how-to/operations.md). For everybody only if `servers.publishedPorts` has it, too. `none`:
            none has, and from outside of the overlay network there is only the load balancer.
        stop_grace: seconds a node has to stop in order; a large buffer pool takes longer to write out.
        data_path: folder on every manager for the data, like /srv/mariadb: a btrfs subvolume of the second
            disk is mounted there. Unset, the data is in a folder of the engine, on the same disk. Can't be
            changed while there is data.
        initdb: folder of *.sql and *.sql.gz files, run once at the very first bootstrap in the order of their
            names.
        tls: a section: certificates, and who must come with TLS.
        passwords: a section: new passwords of the cluster's own accounts.
    """

    title: ClassVar[str] = "galera"
    image: values.Image
    upgrade_to: values.Version | None = None
    cluster_name: Annotated[str, AfterValidator(names.cluster_name)] = "galera"
    database: Annotated[str, AfterValidator(names.database)] = "app"
    config: Annotated[dict[str, values.OptionValue], AfterValidator(values.options)] = {}
    provider: Annotated[dict[str, values.ProviderValue], AfterValidator(values.provider)] = {}
    strict_replication: bool = True
    publish: Literal["none", "vip"] = "none"
    stop_grace: int = Field(60, ge=10, le=3600)
    data_path: Annotated[str, AfterValidator(paths.data_path)] | None = None
    initdb: str | None = None
    tls: Tls = Tls.model_validate({})
    passwords: Passwords = Passwords.model_validate({})

    @model_validator(mode="after")
    def _initial_sql_runs(self) -> Galera:
        version = versions.of_image(self.image)
        found = (
            initial_sql.problems(self.initdb, self.strict_replication, version)
            if self.initdb is not None
            else ()
        )
        if problems := [f"initdb: {problem}" for problem in found]:
            raise ValueError("\n".join(problems))
        return self

    @property
    def ports(self) -> dict[int, str]:
        """What it takes on every host, and which setting says so."""
        return {PORT: "the database (galera.publish)"} if self.publish == "vip" else {}

    def clashes(self, ports: Mapping[int, str]) -> Iterable[str]:
        """What does not fit to the stack's other settings. Args: ports: that others take, and who."""
        for port in self.ports:
            if port in ports:
                yield (
                    f"galera.publish: vip needs port {port} of every host, which is taken by {ports[port]}. "
                    "Remedy: give that another port, or set galera.publish: none"
                )

    def too_large(self, memory: int, disk: int) -> Iterable[str]:
        """Sizes that are set and that a host does not have.

        Args:
            memory: of a host, in MB.
            disk: for the data, in GB.
        """
        pool = server_options.setting(self.config, "innodb-buffer-pool-size")
        most = memory - OTHERS
        if pool is not None and (size := provider_options.size(pool)) is not None and size > most * MB:
            yield (
                f"galera.config.innodb_buffer_pool_size: {pool} does not fit into the {memory} MB "
                "of a host beside the engine, etcd and connections, so that nodes would be killed. "
                f"Remedy: use {most}M or less, or raise servers.memory"
            )
        cache = self.provider.get("gcache.size")
        room = disk * 1000 // 2
        if (
            cache is not None
            and (size := provider_options.size(cache)) is not None
            and size > room * 1000 * 1000
        ):
            yield (
                f"galera.provider.gcache.size: {cache} is more than half of the data disk of "
                f"{disk} GB, and the file has its full size from the start. Remedy: use "
                f"{room}M or less, or raise servers.disks"
            )
