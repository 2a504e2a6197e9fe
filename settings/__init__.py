"""The stack's settings: `swarm-galera:*` in a stack's file, read and checked before anything is ordered.

Owns: reading them, and one message with everything that is wrong with them.
Leaves to others: which settings there are (model.py, and the sections' own files beside it); what a single
value may be (values.py, server_values.py); what may be set of the database itself (database/); checks that
need the cloud (an unknown datacenter, a price: components/softlayer) or the hosts (a subnet that one already
routes: components/host_scripts/host.py).
"""

from __future__ import annotations

import contextlib
import json
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from settings import values
from settings.application import Application
from settings.backup import Backup
from settings.bootstrap_from import BootstrapFrom
from settings.discovery import Discovery
from settings.errors import UserError
from settings.galera import Galera
from settings.load_balancer import LoadBalancer
from settings.model import Engine, Hosts, Network, Settings, Ssh
from settings.section import Section, in_words, section_of
from settings.servers import Servers
from settings.swarm import Swarm

__all__ = [
    "PROJECT",
    "Application",
    "Backup",
    "BootstrapFrom",
    "Discovery",
    "Engine",
    "Galera",
    "Hosts",
    "LoadBalancer",
    "Network",
    "Servers",
    "Settings",
    "SettingsError",
    "Ssh",
    "Swarm",
    "load",
    "parse",
]

PROJECT = "swarm-galera"
PROVIDER_KEYS = frozenset({"username", "apiKey"})
"""Keys that only the SoftLayer provider reads; the credentials must not reach the program."""


class SettingsError(UserError):
    """The stack's settings can't be used; the message lists every problem with its remedy."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"The stack's settings have {count}; nothing was ordered or changed:\n{lines}")


def parse(config: Mapping[str, Any]) -> Settings:
    """Settings from `swarm-galera` keys (without the project's name) to values or their JSON.

    Raises SettingsError with all problems at once.
    """
    given: dict[str, Any] = {}
    problems: list[str] = []
    unreadable: set[str] = set()
    for key, value in config.items():
        if key in PROVIDER_KEYS:
            continue
        try:
            given[key] = _structured(key, value)
        except ValueError as error:
            problems.append(f"{PROJECT}:{key}: {error}")
            unreadable.add(key)
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError(problems + list(_explain(error, unreadable))) from None
    if problems:
        raise SettingsError(problems)
    return settings


def _structured(key: str, value: Any) -> Any:
    """Pulumi hands sections and lists over as JSON and single values as text."""
    field = {to_camel(name): field for name, field in Settings.model_fields.items()}.get(key)
    if field is None or not isinstance(value, str):
        return value
    if typing.get_origin(field.annotation) is list and value.startswith("["):
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(value)
    if section_of(field.annotation) is None:
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise values.Refused(
            "this must be a section, not a single value", "indent its keys below it"
        ) from None


def _explain(error: ValidationError, unreadable: set[str]) -> Iterable[str]:
    """Each fault of pydantic as one line: where, what, remedy; `unreadable` sections are told already."""
    for fault in error.errors(include_url=False):
        if fault["loc"] and fault["loc"][0] in unreadable:
            continue
        path = ".".join(str(part) for part in fault["loc"] if part != "[key]")
        where = f"{PROJECT}:{path}" if path else PROJECT
        match fault["type"]:
            case "value_error":
                for line in in_words(fault).splitlines():
                    own_key = bool(re.match(r"[a-z][\w.-]*: ", line))
                    yield f"{where}{('.' if path else ':') if own_key else ': '}{line}"
            case "missing":
                yield f"{where}: this is missing. Remedy: add it to the stack's file, as in Pulumi.dev.yaml"
            case "extra_forbidden":
                known = _known(fault["loc"])
                yield f"{where}: there is no such setting. Remedy: correct its spelling (known: {known})"
            case _:
                yield f"{where}: {in_words(fault)}"


def _known(location: tuple[int | str, ...]) -> str:
    """The keys there are where an unknown one stood."""
    model: type[Section] = Settings
    for part in location[:-1]:
        for name, field in model.model_fields.items():
            if to_camel(name) == part and (section := section_of(field.annotation)) is not None:
                model = section
    return ", ".join(to_camel(name) for name in model.model_fields)


def load() -> Settings:
    """The settings of the stack that Pulumi runs now. Raises SettingsError."""
    from pulumi.runtime import config as pulumi_config  # noqa: PLC0415 - who only checks settings has no use for it

    everything = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    mine = {
        key.removeprefix(f"{PROJECT}:"): value
        for key, value in everything.items()
        if key.startswith(f"{PROJECT}:")
    }
    if "rootPassword" in mine and not pulumi_config.is_config_secret(f"{PROJECT}:rootPassword"):
        raise SettingsError(
            [
                f"{PROJECT}:rootPassword: the password stands in the stack's file in plain text, and must "
                "count as disclosed. Remedy: set another one with `pulumi config set --secret "
                f"{PROJECT}:rootPassword`"
            ]
        )
    if problem := _key_in_plain(mine, pulumi_config.is_config_secret(f"{PROJECT}:ssh")):
        raise SettingsError([problem])
    if "apiKey" in mine and not pulumi_config.is_config_secret(f"{PROJECT}:apiKey"):
        raise SettingsError(
            [
                f"{PROJECT}:apiKey: the key stands in the stack's file in plain text, and must count as "
                "disclosed. Remedy: make a new one (Manage > Access > API keys) and set it with "
                f"`pulumi config set --secret {PROJECT}:apiKey`, or in SL_USERNAME and SL_API_KEY"
            ]
        )
    settings = parse(mine)
    in_plain = [
        f"{PROJECT}:{name}.{key}"
        for name, section in (
            ("application", settings.application),
            ("backup", settings.backup),
            ("bootstrapFrom", settings.bootstrap_from),
        )
        if section is not None and not pulumi_config.is_config_secret(f"{PROJECT}:{name}")
        for key in section.confidential
    ]
    if in_plain:
        raise SettingsError(
            [
                f"{key}: it stands in the stack's file in plain text, and must count as disclosed. Remedy: "
                f"take another one, and set it with `pulumi config set --secret --path '{key}'`"
                for key in in_plain
            ]
        )
    return settings


def _key_in_plain(mine: Mapping[str, str], is_secret: bool) -> str:
    """What is wrong where a private key stands in the stack's file for all to read; else empty."""
    with contextlib.suppress(ValueError, AttributeError):
        if json.loads(mine.get("ssh") or "{}").get("privateKey") and not is_secret:
            return (
                f"{PROJECT}:ssh.privateKey: the key stands in the stack's file in plain text, and must count "
                "as disclosed. Remedy: make a new one (`ssh-keygen -t ed25519`), let the hosts know it, and "
                f"set it with `pulumi config set --secret --path '{PROJECT}:ssh.privateKey'`"
            )
    return ""
