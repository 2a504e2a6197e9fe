"""What single values of the settings may be, and every reason to refuse one.

Owns: checks of one value, which need neither the other settings nor any network; each refusal says what is
wrong, why, and the remedy.
Leaves to others: which setting takes which kind of value, and what must fit together (settings.py).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

PUBLIC_ENDPOINT = "https://api.softlayer.com/xmlrpc/v3.1"
LARGEST_SQL_FILE = 500_000
"""Bytes: a Docker config holds no more."""
MOST_MANAGERS = 7
"""Every write of the swarm's and etcd's state waits for a majority; more managers only make it slower."""
PRIVATE_SUBNETS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918. Python's `is_private` also counts networks for documentation and tests, which hosts may have."""
SYSTEMS = ("DEBIAN_", "UBUNTU_")
"""Operating systems that SoftLayer sells and on which the engine can keep its data in btrfs: the kernels of
CentOS, RHEL, Rocky and Alma (CENTOS_LATEST, REDHAT_LATEST, …) have none."""
TAKEN_SUBNETS = {
    "127.0.0.0/8": "the loopback network of every host",
    "169.254.0.0/16": "the link-local network of every host",
    "172.17.0.0/16": "the engine's default bridge docker0",
    "172.18.0.0/16": "the engine's bridge docker_gwbridge",
    "10.0.0.0/24": "the swarm's ingress network",
    "224.0.0.0/4": "multicast",
}
FORBIDDEN_MYSQLD = {
    "datadir": "the data must be in the volume galera-data",
    "socket": "the health check and the SST look for the server's own socket",
    "pid-file": "the node's supervisor owns it",
    "port": "the service's VIP and the other nodes expect 3306",
    "bind-address": "clients reach the server over the overlay network",
    "skip-networking": "clients reach the server over the overlay network",
    "user": "the image starts the server as mysql",
    "log-error": "the log belongs on the container's standard error, where `docker service logs` shows it",
    "default-storage-engine": "Galera replicates InnoDB tables only",
    "enforce-storage-engine": "Galera replicates InnoDB tables only",
    "init-file": "it would run on every node at every start; use galera.initdb",
    "plugin-dir": "the Galera library and the authentication plugins are in the image's own",
    "innodb-force-recovery": "a node that repairs itself must not replicate",
    "server-id": "the node sets its own",
    "basedir": "the server's files are where the image puts them",
}
FIXED_MYSQLD = {
    "binlog-format": ("ROW", "Galera replicates rows"),
    "innodb-autoinc-lock-mode": ("2", "appliers would deadlock on the auto-increment lock"),
    "innodb-flush-log-at-trx-commit": ("1", "nodes that crash soon after one another would lose commits"),
    "innodb-doublewrite": ("1", "a crash would leave torn pages, and every crash would cost a full SST"),
}
SYSTEM_DATABASES = frozenset({"mysql", "information_schema", "performance_schema", "sys"})
SYSTEM_USERS = frozenset({"root", "mysql", "sst", "monitor", "mariadb.sys", "galera"})


def refuse(what: str, remedy: str) -> ValueError:
    return ValueError(f"{what}. Remedy: {remedy}")


def hostname_label(value: str) -> str:
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?", value):
        raise refuse(
            f"{value!r} can't begin host names",
            "use 1 to 50 lower-case letters, digits and hyphens, a letter first and no hyphen last",
        )
    return value


def domain(value: str) -> str:
    label = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    if len(value) > 190 or not re.fullmatch(rf"({label}\.)+[a-z][a-z0-9-]*[a-z0-9]", value):
        raise refuse(f"{value!r} is no domain name", "give one of at least two labels, like example.com")
    return value


def datacenter(value: str) -> str:
    if not re.fullmatch(r"[a-z]{3}\d{2}", value):
        raise refuse(
            f"{value!r} is no datacenter's short name",
            "use one like tor01; `slcli vs create-options` lists them",
        )
    return value


def image(value: str) -> str:
    """An image reference that always means the same image."""
    name = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
    pattern = (
        rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{name}(?:/{name})*(:[\w][\w.-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?"
    )
    match = re.fullmatch(pattern, value)
    if match is None:
        raise refuse(f"{value!r} is no image reference", "write it like registry.example.com/galera:10.11-2")
    tag, digest = match.groups()
    if digest is None and tag in (None, ":latest"):
        raise refuse(
            f"{value!r} may be another image tomorrow, so nodes would run different versions",
            "add a version's tag or a digest, like :10.11-2",
        )
    return value


def ip_address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise refuse(f"{value!r} is no IP address", "give DNS servers by address, like 10.0.80.11") from None


def cidr(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise refuse(f"{value!r} is no network ({error})", "write it like 198.51.100.7/32") from None


def subnet(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise refuse(f"{value!r} is no IPv4 network ({error})", "write it like 10.20.0.0/24") from None
    for taken, by in TAKEN_SUBNETS.items():
        if network.overlaps(ipaddress.IPv4Network(taken)):
            raise refuse(
                f"{value} overlaps {taken}, {by}", "choose a private network of its own, like 10.20.0.0/24"
            )
    if not any(network.subnet_of(ipaddress.IPv4Network(private)) for private in PRIVATE_SUBNETS):
        raise refuse(
            f"{value} is not private address space, so the hosts would lose sight of the real owners",
            f"choose a network within {', '.join(PRIVATE_SUBNETS)}, like 10.20.0.0/24",
        )
    if not 16 <= network.prefixlen <= 26:
        raise refuse(
            f"{value} has {network.num_addresses} addresses, and swarm gives out one for every task, service "
            "and host",
            "choose a prefix from /16 to /26",
        )
    return value


def operating_system(value: str) -> str:
    if not value.startswith(SYSTEMS):
        raise refuse(
            f"{value!r} can't bear the engine: its data is kept in btrfs, and of what SoftLayer sells only "
            "Debian's and Ubuntu's kernels have it (those of CentOS, RHEL, Rocky and Alma have none)",
            "use DEBIAN_LATEST or UBUNTU_LATEST, or an image of your own whose kernel has it (servers.image)",
        )
    return value


def hosts_named(value: object) -> object:
    if isinstance(value, str) and value:
        raise refuse(
            f"{value!r} does not say which host is to be reloaded",
            f'write {{galera-2: "{value}"}}; managers are database nodes and are reloaded one at a time',
        )
    return value or {}


def registry(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d{1,5})?(/\d{1,2})?", value):
        raise refuse(f"{value!r} is no registry", "write host:port without a scheme, or a network as CIDR")
    return value


def mirror(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?/?", value):
        raise refuse(f"{value!r} is no registry mirror", "write it like https://mirror.example.com")
    return value


def endpoint(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
        raise refuse(f"{value!r} is no web address", f"leave it out for {PUBLIC_ENDPOINT}")
    if "/rest" in value:
        raise refuse(f"{value!r} is the REST API", "give the XML-RPC one, which ends in /xmlrpc/v3.1")
    return value


def tag(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._:-]{0,63}", value):
        raise refuse(f"SoftLayer takes no tag {value!r}", "use letters, digits, blanks and . _ : - only")
    return value


def docker_name(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}", value):
        raise refuse(f"{value!r} is no name the engine takes", "use letters, digits and . _ - only")
    if value in {"host", "bridge", "none", "ingress", "docker_gwbridge"}:
        raise refuse(f"{value!r} is a network the engine brings itself", "choose another name")
    return value


def cluster_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", value):
        raise refuse(f"{value!r} is no cluster name Galera takes", "use up to 32 letters, digits, _ and -")
    return value


def database(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", value):
        raise refuse(
            f"{value!r} can't name a database and its user",
            "use up to 64 letters, digits and _, no digit first",
        )
    if value.lower() in SYSTEM_DATABASES | SYSTEM_USERS:
        raise refuse(f"{value!r} belongs to the server itself", "choose another name, like app")
    return value


def public_key(value: str) -> str:
    if not re.fullmatch(
        r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+) [A-Za-z0-9+/]+={0,3}( .*)?", value.strip()
    ):
        raise refuse(
            "this is no OpenSSH public key", "paste the one line of a .pub file, like ssh-ed25519 AAAA…"
        )
    return value.strip()


def managers(value: int) -> int:
    """Quorum's arithmetic, as a refusal people can follow."""
    if value < 1:
        raise refuse(
            f"{value} managers make no swarm: it needs at least one to decide",
            "use 3 (survives the loss of one host) or 5 (of two)",
        )
    if value % 2 == 0:
        raise refuse(
            f"an even number of managers ({value}) is refused: swarm, etcd and Galera decide by majority "
            f"(quorum), and {value} survive the loss of {(value - 1) // 2}, no more than {value - 1} would, "
            "but have one host more that can fail",
            f"use {value - 1} or {value + 1}",
        )
    if value > MOST_MANAGERS:
        raise refuse(
            f"{value} managers: each write waits for a majority, so more than {MOST_MANAGERS} only make the "
            "cluster slower",
            f"use at most {MOST_MANAGERS} managers, and workers for the rest",
        )
    return value


def memory(value: int) -> int:
    if value < 1024 or value % 1024:
        raise refuse(
            f"{value} MB can't be ordered: SoftLayer sells whole GB, at least 1024 MB",
            f"use {max(1, round(value / 1024)) * 1024}",
        )
    return value


def disks(value: list[int]) -> list[int]:
    if len(value) < 2:
        raise refuse("the engine's data needs a second disk", "give two sizes in GB, like [25, 25]")
    return value


def scalar(value: object) -> object:
    """YAML turns `yes` and 100 into other types than the text my.cnf needs."""
    if isinstance(value, bool):
        return "ON" if value else "OFF"
    return str(value) if isinstance(value, int | float) else value


def options(value: dict[str, str]) -> dict[str, str]:
    if problems := list(_bad_options(value)):
        raise ValueError("\n".join(problems))
    return value


def scripts(value: str | None) -> str | None:
    if problems := list(_bad_scripts(value)):
        raise ValueError("\n".join(problems))
    return value


def _bad_options(config: Mapping[str, str]) -> Iterable[str]:
    """Server options that would break the cluster, or the file they are written to."""
    for key, value in config.items():
        name = key.lower().replace("_", "-").removeprefix("loose-")
        if not re.fullmatch(r"[a-z][a-z0-9.-]*", name):
            yield f"{key!r} is no name of a server option. Remedy: write it as in my.cnf"
        elif re.search(r"[\x00-\x1f\x7f]", value):
            yield f"{key}: the value has line breaks or control characters. Remedy: put it on one line"
        elif name.startswith("wsrep"):
            yield (
                f"{key}: the node sets all wsrep options itself, and a wrong one splits the cluster. "
                "Remedy: remove it"
            )
        elif name in FORBIDDEN_MYSQLD:
            yield f"{key}: {FORBIDDEN_MYSQLD[name]}. Remedy: remove it"
        elif name in FIXED_MYSQLD:
            wanted, why = FIXED_MYSQLD[name]
            same = {wanted.upper()} | ({"ON", "TRUE"} if wanted == "1" else set())
            if value.upper() not in same:
                yield f"{key}: with {value!r} {why}. Remedy: remove it or set it to {wanted}"


def _bad_scripts(folder: str | None) -> Iterable[str]:
    """Reasons why the first bootstrap could not run the SQL files of `folder`."""
    if folder is None:
        return
    if not Path(folder).is_dir():
        yield f"there is no folder {folder!r}. Remedy: give a path relative to the project, or null"
        return
    files = sorted(Path(folder).glob("*.sql"))
    if not files:
        yield f"{folder!r} holds no *.sql file. Remedy: add one, or set initdb to null"
    for file in files:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,50}\.sql", file.name):
            yield f"the engine takes no name like {file.name!r}. Remedy: use letters, digits, . _ and - only"
        if file.stat().st_size > LARGEST_SQL_FILE:
            yield (
                f"{file.name} has {file.stat().st_size} bytes, and a Docker config holds "
                f"{LARGEST_SQL_FILE}. Remedy: split it, or load it through the VIP after the first start"
            )


DockerName = Annotated[str, AfterValidator(docker_name)]
Image = Annotated[str, AfterValidator(image)]
OptionValue = Annotated[str, BeforeValidator(scalar)]
OperatingSystem = Annotated[str, Field(pattern=r"^[A-Z0-9_]+$"), AfterValidator(operating_system)]
Token = Annotated[str, Field(min_length=1), BeforeValidator(scalar)]
