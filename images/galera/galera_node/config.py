"""mariadbd's configuration for this start: what depends on the node, as text. No secret is in it.

Owns: the order of what is set: sizes that follow from the machine, then the image's and the deployment's
files, then what is the node's own. The deployment's options of the Galera library
(`/etc/galera-node/provider.json`) come before the node's own, too. Leaves to others: the sizes (`sizing`),
which options a deployment may set (the program that makes it).

mariadb-backup reads its group from the same file and comes in as the node does: over the socket, as the
system's user.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .archive import plan
from .settings import SettingsError
from .sizing import MB, Sizes, machine, sizes
from .tls import BOTH, Way

SST_PORT = 4444
GROUP = {
    "evs.inactive_check_period": "PT0.2S",
    "evs.join_retrans_period": "PT0.3S",
    "evs.keepalive_period": "PT0.5S",
}
"""Half of Galera's own and less: writes stand still until a node that has died suddenly is left out. What the
others say of it they repeat every so often until they agree, and with Galera's second between two times that
alone took one (measured on three hosts). For how long a node may be silent stays Galera's (5 s): with half of
it the group fell apart while all processors were busy. Whoever has died is left out before: see `silence`."""
LEAVES_IT_TO_GALERA = "evs.suspect_timeout"
"""The option that, once it is set, leaves dead hosts to Galera, too."""
MY_CNF = Path("/etc/mysql/my.cnf")
OPTION_FILES = Path("/etc/mysql/mariadb.conf.d")
PROVIDER = Path("/etc/galera-node/provider.json")


class ConfigError(SettingsError):
    """A file that the deployment has brought can't be used; the message names it."""


@dataclass(frozen=True)
class Tuning:
    """What a container keeps from start to start.

    `provider`: the deployment's options of the Galera library. `sizes`: what follows from the machine, and
    counts where nothing is set; None leaves the server's own defaults. `words`: what counts, for the log.
    """

    provider: Mapping[str, str] = field(default_factory=dict)
    sizes: Sizes | None = None
    words: str = ""


@dataclass(frozen=True)
class NodeConfig:
    """One start of mariadbd.

    `weight` is this node's vote in the Primary component: see docs/adr/0002-bootstrap-and-formation.md.
    `way`: how it speaks TLS, None without. `logs`: it writes binary logs, for the archive.
    """

    node: str
    cluster: str
    address: str
    weight: int = 1
    join: Sequence[str] = ()
    tuning: Tuning = Tuning()
    way: Way | None = None
    logs: bool = False


def tune(data_dir: Path) -> Tuning:
    """The sizes of this machine and the deployment's options. Raises ConfigError."""
    provider, options, here = provider_options(), server_options(), machine(data_dir)
    chosen = sizes(here, options)
    counts = {
        "innodb_buffer_pool_size": (options.get("innodb_buffer_pool_size"), f"{chosen.pool // MB}M"),
        "gcache.size": (provider.get("gcache.size"), f"{chosen.cache // MB}M"),
        "wsrep_slave_threads": (options.get("wsrep_slave_threads"), str(chosen.threads)),
    }
    values = ", ".join(
        f"{name} {f'{is_set} (as set)' if is_set else own}" for name, (is_set, own) in counts.items()
    )
    limit = "" if here.limit is None else f" ({here.limit // MB} MB for this container)"
    memory = f"{here.memory // MB} MB of memory{limit}"
    words = f"sizes for {memory}, {here.cores} cores and {here.disk // MB} MB of disk: {values}"
    return Tuning(provider, chosen, words)


def render(config: NodeConfig) -> str:
    """The whole option file; what comes later counts."""
    provider = dict(GROUP)
    defaults = []
    if (own := config.tuning.sizes) is not None:
        provider["gcache.size"] = f"{own.cache // MB}M"
        defaults = [
            "[mysqld]",
            f"innodb_buffer_pool_size = {own.pool}",
            f"wsrep_slave_threads = {own.threads}",
        ]
    provider |= config.tuning.provider
    provider |= {
        "gmcast.listen_addr": f"tcp://{config.address}:4567",
        "base_host": config.address,
        "ist.recv_addr": f"{config.address}:4568",
        "pc.weight": str(config.weight),
        "pc.recovery": "TRUE",
    }
    encrypted: list[str] = []
    if (way := config.way) is not None:
        files = {"ca": way.ca, "cert": way.certificate, "key": way.key}
        provider |= {f"socket.ssl_{name}": str(path) for name, path in files.items()}
        if way.mode == BOTH:
            provider["socket.dynamic"] = "YES"
        encrypted = [f"ssl_{name} = {path}" for name, path in files.items()]
    return "\n".join(
        [
            *defaults,
            f"!include {MY_CNF}",
            "[mysqld]",
            f"wsrep_cluster_name = {config.cluster}",
            f"wsrep_cluster_address = gcomm://{','.join(config.join)}",
            f"wsrep_node_name = {config.node}",
            f"wsrep_node_address = {config.address}",
            f"wsrep_node_incoming_address = {config.address}:3306",
            f"wsrep_sst_receive_address = {config.address}:{SST_PORT}",
            f'wsrep_provider_options = "{";".join(f"{key}={value}" for key, value in provider.items())}"',
            *encrypted,
            *(plan.options(config.node) if config.logs else ()),
            "[mariabackup]",
            "user = mysql",
            "",
        ]
    )


class OptionFile:
    """mariadbd's option file at `path`, written anew for each start; `base` is what all starts share."""

    def __init__(self, path: Path, base: NodeConfig) -> None:
        self._path, self._base = path, base

    def write(self, weight: int, join: Sequence[str], way: Way | None = None) -> None:
        """For a start with this vote, against these addresses (none: it is not to join), with this TLS."""
        self._path.write_text(render(replace(self._base, weight=weight, join=join, way=way)))


def provider_options(path: Path = PROVIDER) -> dict[str, str]:
    """The deployment's options of the Galera library; none without a file. Raises ConfigError."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {error}") from None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path} must be JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f'{path} must be an object of texts, like {{"gcache.size": "2G"}}')
    for key, value in found.items():
        if not isinstance(value, str) or re.search(r"[;=\"\\\s]", f"{key}{value}"):
            raise ConfigError(f"{path}: {key!r} must be a text without blanks, quotes, ; or =")
    return found


def server_options(files: Iterable[Path] | None = None) -> dict[str, str]:
    """The server's options as the image's and the deployment's files set them; the last one of a name counts.

    Names are written with _. Only names in full are known here; that others are not used is seen to where the
    files are written.
    """
    options: dict[str, str] = {}
    for path in sorted(OPTION_FILES.glob("*.cnf")) if files is None else files:
        group = ""
        for line in path.read_text(errors="replace").splitlines():
            if found := re.fullmatch(r"\s*\[(.+)\]\s*", line):
                group = found[1]
            elif group in SERVER_GROUPS and (
                found := re.fullmatch(r"\s*([A-Za-z][\w-]*)\s*(?:=\s*(.*?)\s*)?", line)
            ):
                options[found[1].replace("-", "_")] = found[2] or ""
    return options


SERVER_GROUPS = frozenset({"mysqld", "server", "mariadb", "mariadbd", "galera"})
