"""The provider's settings: which engine to speak to, and how to get there.

Owns reading `host`, `sshOpts` as the `ssh` program would, and what TLS is spoken with. An option that would
change who is trusted or where the connection goes, and that is not known here, is refused; options that only
tune are let through. A configuration file (`-F`) is for that program alone to read: then it is what connects.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab.plugins.ssh import Endpoint

DEFAULT_HOST = "unix:///var/run/docker.sock"

_IGNORED_SETTINGS = {"version", "pluginDownloadURL", "disableDockerDaemonCheck", "context"}
_REFUSED_SETTINGS = {"registryAuth", "certPath"}
_MATERIAL = ("caMaterial", "certMaterial", "keyMaterial")

# Options of ssh(1) that neither weaken nor redirect anything for a connection that only forwards a socket.
_HARMLESS_OPTIONS = {
    "addkeystoagent",
    "batchmode",
    "checkhostip",
    "compression",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "globalknownhostsfile",  # it is never read here
    "identitiesonly",
    "loglevel",
    "passwordauthentication",
    "preferredauthentications",
    "serveralivecountmax",
    "serveraliveinterval",
    "tcpkeepalive",
    "updatehostkeys",
}
_HARMLESS_FLAGS = {"-q", "-v", "-vv", "-vvv", "-4", "-6", "-C", "-T", "-x", "-a", "-k"}


class SettingsError(Exception):
    """A setting that can't work; the text is for the user."""


@dataclass(frozen=True)
class Material:
    """For TLS, as PEM: whom to trust (empty for anybody, as the official plugin has it), and what to show."""

    authority: str
    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class EngineAddress:
    """Where the engine is: a URL that docker's client knows, with `material` where that has TLS; or a socket
    behind an SSH endpoint, or behind what the `ssh` program connects to with these `arguments`.
    """

    url: str
    endpoint: Endpoint | None = None
    arguments: tuple[str, ...] = ()
    socket: str = "/var/run/docker.sock"
    material: Material | None = None

    def __str__(self) -> str:
        return str(self.endpoint) if self.endpoint else self.url


def parse(settings: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> EngineAddress:
    """Read the provider's settings. Raises `SettingsError`. Reads no file: in a preview none may exist."""
    for key, value in settings.items():
        if key in _REFUSED_SETTINGS and value not in (None, "", "[]", []):
            raise SettingsError(
                f"this stand-in for the official docker plugin has no '{key}'. Install the official one: "
                "`pulumi plugin install resource docker 5.2.0`."
            )
        if key not in {
            "host",
            "sshOpts",
            *_MATERIAL,
        } | _IGNORED_SETTINGS | _REFUSED_SETTINGS and not key.startswith("__"):
            raise SettingsError(f"the docker provider has no setting '{key}'")
    host = settings.get("host") or environment.get("DOCKER_HOST") or DEFAULT_HOST
    if not isinstance(host, str):
        raise SettingsError("the docker provider's 'host' must be a string")
    url = urlsplit(host)
    if url.scheme in ("unix", "tcp", "http"):
        # The official one reads the material only where it connects itself.
        return EngineAddress(host, material=_material(settings) if url.scheme != "unix" else None)
    if url.scheme != "ssh":
        raise SettingsError(f"docker host '{host}' must begin with ssh://, unix:// or tcp://")
    options = _options(settings.get("sshOpts"))
    if _has_file(options):
        return EngineAddress(host, arguments=(*options, *_target(host)))
    return EngineAddress(host, _endpoint(host, options))


def _material(settings: Mapping[str, Any]) -> Material | None:
    authority, certificate, key = (str(settings.get(name) or "") for name in _MATERIAL)
    if not certificate and not key:
        return None
    if not (certificate and key):
        raise SettingsError("the docker provider's 'certMaterial' and 'keyMaterial' must be given together")
    return Material(authority, certificate, key)


def _has_file(options: list[str]) -> bool:
    """Whether `ssh` is to read a configuration file."""
    files = [after for word, after in itertools.pairwise([*options, ""]) if word == "-F"]
    files += [word[2:].lstrip() for word in options if word.startswith("-F") and word != "-F"]
    return any(file != "none" for file in files)


def _target(host: str) -> list[str]:
    """The host as the official plugin's library names it for `ssh`."""
    user, name, port = _parts(host)
    return [*(("-l", user) if user else ()), *(("-p", str(port)) if port else ()), "--", name]


def _parts(host: str) -> tuple[str | None, str, int | None]:
    """User, host and port of `ssh://…`."""
    url = urlsplit(host)
    try:
        port = url.port
    except ValueError as error:
        raise SettingsError(f"docker host '{host}' has a wrong port: {error}") from error
    if not url.hostname:
        raise SettingsError(f"docker host '{host}' names no host; write it as ssh://root@ADDRESS")
    if url.password or url.path.strip("/") or url.query:
        raise SettingsError(f"docker host '{host}' may only have a user, a host and a port")
    return url.username, url.hostname, port


def _endpoint(host: str, options: list[str]) -> Endpoint:
    user, name, port = _parts(host)
    endpoint = Endpoint(host=name, user=user or "root", dial_error_limit=5)
    endpoint = _with_options(endpoint, options)
    return replace(endpoint, port=port) if port else endpoint


def _options(setting: Any) -> list[str]:
    # Pulumi sends a provider's lists as JSON text.
    if isinstance(setting, str):
        try:
            setting = json.loads(setting) if setting else []
        except ValueError as error:
            raise SettingsError(f"the docker provider's 'sshOpts' is no list: {error}") from error
    setting = setting or []
    if not isinstance(setting, list) or not all(isinstance(item, str) for item in setting):
        raise SettingsError("the docker provider's 'sshOpts' must be a list of strings")
    return setting


def _with_options(endpoint: Endpoint, arguments: list[str]) -> Endpoint:
    changes: dict[str, Any] = {}
    strict, known_hosts = "ask", str(Path.home() / ".ssh" / "known_hosts")
    for option, value in _pairs(arguments):
        if option == "identityfile":
            changes["private_key_file"] = _path(value)
        elif option == "port":
            changes["port"] = _number(option, value)
        elif option == "user":
            changes["user"] = value
        elif option == "connecttimeout":
            changes["per_dial_timeout"] = _number(option, value)
        elif option == "userknownhostsfile":
            known_hosts = _path(value)
        elif option == "stricthostkeychecking":
            strict = value.lower()
        elif option not in _HARMLESS_OPTIONS:
            raise SettingsError(
                f"the docker provider's 'sshOpts' has '{option}', which is not known. Known: -i, -p, -l and "
                "-o with IdentityFile, Port, User, ConnectTimeout, UserKnownHostsFile, StrictHostKeyChecking."
            )
    if strict in ("yes", "ask"):
        changes["known_hosts_file"] = known_hosts
    elif strict not in ("no", "off"):
        raise SettingsError(
            f"StrictHostKeyChecking={strict} in the docker provider's 'sshOpts' is not known; yes or no. "
            "Best is yes, with the host's key in the UserKnownHostsFile."
        )
    return replace(endpoint, **changes)


def _pairs(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """ssh's arguments as (option in lower case, value)."""
    short = {"-i": "identityfile", "-p": "port", "-l": "user"}
    remaining = iter(arguments)
    for argument in remaining:
        flag, attached = argument[:2], argument[2:].lstrip()
        if argument in _HARMLESS_FLAGS:
            continue
        if flag == "-F":  # none: else `ssh` itself is asked
            _ = attached or next(remaining, "")
            continue
        if flag not in short and flag != "-o":
            raise SettingsError(
                f"the docker provider's 'sshOpts' has '{argument}', which is not known; known: -i, -p, -l, -o"
            )
        value = attached or next(remaining, None)
        if not value:
            raise SettingsError(f"'{argument}' in the docker provider's 'sshOpts' lacks its value")
        if flag in short:
            yield short[flag], value
            continue
        name, separator, setting = value.replace("=", " ", 1).partition(" ")
        if not separator or not setting.strip():
            raise SettingsError(f"'-o {value}' in the docker provider's 'sshOpts' must be NAME=VALUE")
        yield name.lower(), setting.strip()


def _path(text: str) -> str:
    return str(Path(text).expanduser())


def _number(option: str, text: str) -> int:
    if not text.isdigit():
        raise SettingsError(f"'{option}' in the docker provider's 'sshOpts' must be a number, not '{text}'")
    return int(text)
