"""What single values of the settings may be, and every reason to refuse one.

Owns: checks of one value, which need neither the other settings nor any network; each refusal says what is
wrong, why, and the remedy. Leaves to others: which setting takes which kind of value, and what must fit
together (model.py and the sections' own files); values that only servers have (server_values.py); what may be
set of the database itself (database/).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from settings import engine_options
from settings.database import provider_options, server_options, versions

PUBLIC_ENDPOINT = "https://api.softlayer.com/xmlrpc/v3.1"
SETTLE, LONGEST_SETTLE = 60.0, 3600.0
"""Seconds for which an order with unknown outcome is looked for, and how many they may be."""
PRIVATE_SUBNETS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918. Python's `is_private` also counts networks for documentation and tests, which hosts may have."""
TAKEN_SUBNETS = {
    "127.0.0.0/8": "the loopback network of every host",
    "169.254.0.0/16": "the link-local network of every host",
    "224.0.0.0/4": "multicast",
}
Value = TypeVar("Value")


class Refused(ValueError):
    """A value can't be used. what: and why. remedy: what to do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}. Remedy: {remedy}")
        self.what, self.remedy = what, remedy


def hostname(value: str) -> str:
    """One label of DNS, in any case: 1 to 63 characters."""
    if not re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", value):
        raise Refused(
            f"{value!r} is no host name", "use 1 to 63 letters, digits and hyphens, no hyphen at an end"
        )
    return value


def domain(value: str) -> str:
    """At least two labels, in lower case, 190 characters in all: SoftLayer's limit."""
    label = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    if len(value) > 190 or not re.fullmatch(rf"({label}\.)+[a-z][a-z0-9-]*[a-z0-9]", value):
        raise Refused(f"{value!r} is no domain name", "give one of at least two labels, like example.com")
    return value


def image(value: str) -> str:
    """An image reference that always means the same image."""
    name = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
    pattern = (
        rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{name}(?:/{name})*(:[\w][\w.-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?"
    )
    match = re.fullmatch(pattern, value)
    if match is None:
        raise Refused(f"{value!r} is no image reference", "write it like registry.example.com/galera:11.8-1")
    tag, digest = match.groups()
    if digest is None and tag in (None, ":latest"):
        raise Refused(
            f"{value!r} may be another image tomorrow, so nodes would run different versions",
            "add a version's tag or a digest, like :11.8-1",
        )
    return value


def ip_address(value: str) -> str:
    """An address, IPv4 or IPv6, in its shortest form."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise Refused(f"{value!r} is no IP address", "give DNS servers by address, like 10.0.80.11") from None


def cidr(value: str) -> str:
    """A network, IPv4 or IPv6; with bits set behind the prefix it is taken for a slip."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise Refused(f"{value!r} is no network ({error})", "write it like 198.51.100.7/32") from None


def subnet(value: str) -> str:
    """The overlay network's: private IPv4 that no host has for itself, /16 to /26."""
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise Refused(f"{value!r} is no IPv4 network ({error})", "write it like 10.20.0.0/24") from None
    for taken, by in TAKEN_SUBNETS.items():
        if network.overlaps(ipaddress.IPv4Network(taken)):
            raise Refused(
                f"{value} overlaps {taken}, {by}", "choose a private network of its own, like 10.20.0.0/24"
            )
    if not any(network.subnet_of(ipaddress.IPv4Network(private)) for private in PRIVATE_SUBNETS):
        raise Refused(
            f"{value} is not private address space, so the hosts would lose sight of the real owners",
            f"choose a network within {', '.join(PRIVATE_SUBNETS)}, like 10.20.0.0/24",
        )
    if not 16 <= network.prefixlen <= 26:
        raise Refused(
            f"{value} has {network.num_addresses} addresses, and swarm gives out one for every task, service "
            "and host",
            "choose a prefix from /16 to /26",
        )
    return value


def engine_network(value: str) -> str:
    """The engine's pool: private IPv4, /24 or larger, as each of its networks takes a /24."""
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise Refused(f"{value!r} is no IPv4 network ({error})", "write it like 172.28.0.0/16") from None
    if not any(network.subnet_of(ipaddress.IPv4Network(private)) for private in PRIVATE_SUBNETS):
        raise Refused(
            f"{value} is not private address space, so the hosts would lose sight of the real owners",
            f"choose a network within {', '.join(PRIVATE_SUBNETS)}, like 172.28.0.0/16",
        )
    if network.prefixlen > 24:
        raise Refused(f"{value} has no room: a network of 256 addresses is taken", "use a prefix up to /24")
    return value


def registry(value: str) -> str:
    """What the engine takes as an insecure registry: `host:port`, or a network."""
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d{1,5})?(/\d{1,2})?", value):
        raise Refused(f"{value!r} is no registry", "write host:port without a scheme, or a network as CIDR")
    return value


def mirror(value: str) -> str:
    """What the engine takes as a mirror: scheme and host, no path."""
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?/?", value):
        raise Refused(f"{value!r} is no registry mirror", "write it like https://mirror.example.com")
    return value


def endpoint(value: str) -> str:
    """The API's address: the account's key goes there."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", value):
        raise Refused(f"{value!r} is not an http(s) address", f"leave it out, or use {PUBLIC_ENDPOINT}")
    if parts.username or parts.password:
        raise Refused(
            "the address holds a user or password",
            "take them out; credentials belong in SL_USERNAME and SL_API_KEY",
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise Refused(
            f"{value!r} would carry the API key in plain text",
            "use https; http is for an API on this machine's loopback only",
        )
    if "/rest" in parts.path:
        raise Refused(f"{value!r} is the REST API", "give the XML-RPC one, which ends in /xmlrpc/v3.1")
    return value


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def docker_name(value: str) -> str:
    """A name for a network of the swarm's, which is none of the engine's own."""
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}", value):
        raise Refused(f"{value!r} is no name the engine takes", "use letters, digits and . _ - only")
    if value in {"host", "bridge", "none", "ingress", "docker_gwbridge"}:
        raise Refused(f"{value!r} is a network the engine brings itself", "choose another name")
    return value


def public_key(value: str) -> str:
    """One line of OpenSSH, without blanks at its ends."""
    if not re.fullmatch(
        r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+) [A-Za-z0-9+/]+={0,3}( .*)?", value.strip()
    ):
        raise Refused(
            "this is no OpenSSH public key", "paste the one line of a .pub file, like ssh-ed25519 AAAA…"
        )
    return value.strip()


def scalar(value: object) -> object:
    """YAML turns `yes` and 100 into other types than the text my.cnf needs."""
    if isinstance(value, bool):
        return "ON" if value else "OFF"
    return str(value) if isinstance(value, int | float) else value


def yes_no(value: object) -> object:
    """As `scalar`, in the words of the Galera library."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return scalar(value)


def options(value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    """Options of the database server; of the version that the section's image has, where its tag says so."""
    others: Mapping[str, Any] = getattr(info, "data", None) or {}  # there is none for a field by itself
    image = others.get("image")
    return _without(server_options.problems(value, versions.of_image(image) if image else None), value)


def version(value: str) -> str:
    """A version of MariaDB that the program knows."""
    if value not in versions.VERSIONS:
        raise Refused(
            f"{value!r} is no version of MariaDB that this program knows",
            f"give {' or '.join(versions.VERSIONS)}",
        )
    return value


def provider(value: dict[str, str]) -> dict[str, str]:
    """Options of the Galera library."""
    return _without(provider_options.problems(value), value)


def daemon_options(value: dict[str, Any]) -> dict[str, Any]:
    """Options of daemon.json."""
    return _without(engine_options.problems(value), value)


def _without(problems: Iterable[str], value: Value) -> Value:
    if found := list(problems):
        raise ValueError("\n".join(found))
    return value


DockerName = Annotated[str, AfterValidator(docker_name)]
Image = Annotated[str, AfterValidator(image)]
OptionValue = Annotated[str, BeforeValidator(scalar)]
Version = Annotated[str, BeforeValidator(scalar), AfterValidator(version)]
ProviderValue = Annotated[str, BeforeValidator(yes_no)]
EngineNetwork = Annotated[str, AfterValidator(engine_network)]
