"""The `docker` plugin's provider: finds the resource for a type and does what all resources have in common.

Common are: names chosen when the program gives none, defaults, what differs between a state and what is
wanted, what a preview shows. As with the official plugin, a replacement whose name was given removes the old
object first: names are unique in a swarm.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any

from lab.plugins.diffs import ITEM, Diff, Names, compare
from lab.plugins.docker import NAME, VERSION, input_checks, schema, states
from lab.plugins.docker.engine import Engine
from lab.plugins.docker.network import Network
from lab.plugins.docker.resource import Resource
from lab.plugins.docker.secret import Secret, ServiceConfig
from lab.plugins.docker.service import Service
from lab.plugins.docker.settings import SettingsError, parse
from lab.plugins.docker.volume import Volume
from lab.plugins.provider import CheckFailure, Found, Log, Provider, ResourceError, name_of
from lab.plugins.values import Properties, Unknown, Value, has_unknown, plain, plain_map, wire

RESOURCES: dict[str, Resource] = {
    "docker:index/network:Network": Network(),
    "docker:index/secret:Secret": Secret(),
    "docker:index/serviceConfig:ServiceConfig": ServiceConfig(),
    "docker:index/service:Service": Service(),
    "docker:index/volume:Volume": Volume(),
}


class DockerProvider(Provider):
    """One engine's networks, secrets, configs, services and volumes."""

    name, version = NAME, VERSION

    def __init__(self) -> None:
        self._engine: Engine | None = None

    async def check_config(self, news: Properties) -> list[CheckFailure]:
        try:
            known = {key: value for key, value in news.items() if not has_unknown(value)}
            parse(plain_map(known))
        except SettingsError as error:
            return [CheckFailure("", str(error))]
        return []

    async def configure(self, settings: Properties) -> None:
        if any(has_unknown(value) for value in settings.values()):
            # In a preview the host may not exist yet; nothing is asked of it then.
            self._engine = None
            return
        try:
            self._engine = Engine(parse(plain_map(settings)))
        except SettingsError as error:
            raise ResourceError(str(error)) from error

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.close()

    async def check(
        self, token: str, urn: str, olds: Properties, news: Properties
    ) -> tuple[Properties, list[CheckFailure]]:
        resource = _resource(token)
        inputs = named(urn, olds, schema.with_defaults(resource.schema, news))
        failures = input_checks.failures(resource.schema, inputs)
        return inputs, failures or resource.check(inputs)

    async def diff(
        self,
        token: str,
        old_inputs: Properties,
        state: Properties,
        news: Properties,
        ignored: Sequence[str] = (),
    ) -> Diff:
        """What was found at the engine against what is wanted, as the official plugin compares."""
        about = _resource(token).schema
        wanted = wanted_inputs(about, news, state, ignored)

        def same(names: Names, old: Value | None, new: Value | None) -> bool:
            return schema.same(about, names, old, new)

        changes = compare(
            {key: wire(value) for key, value in states.said(about, plain_map(state)).items()},
            {key: wire(value) for key, value in states.said(about, wanted).items()},
            lambda names: schema.replaces(about, names),
            same,
        )
        keeps_name = plain_map(state).get("name") == plain_map(news).get("name") and not _is_automatic(news)
        return Diff(changes, delete_before_replace=keeps_name and any(c.replaces for c in changes))

    async def preview_create(self, token: str, news: Properties) -> Properties:
        computed = {key: wire(Unknown()) for key in _resource(token).computed if key not in news}
        return {**_shown(news), **computed}

    async def preview_update(self, token: str, id: str, state: Properties, news: Properties) -> Properties:
        return {**state, **_shown(news)}

    async def create(self, token: str, urn: str, news: Properties, log: Log) -> tuple[str, Properties]:
        if unknown := sorted(key for key, value in news.items() if has_unknown(value)):
            raise ResourceError(f"not known while it is being made: {', '.join(unknown)}")
        return await _resource(token).create(self._connected(), news, log)

    async def read(self, token: str, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        return await _resource(token).read(self._connected(), id, state, inputs, log)

    async def update(
        self,
        token: str,
        id: str,
        state: Properties,
        news: Properties,
        log: Log,
        old_inputs: Properties,
        ignored: Sequence[str] = (),
    ) -> Properties:
        resource = _resource(token)
        wanted = wanted_inputs(resource.schema, news, state, ignored)
        return await resource.update(self._connected(), id, news, wanted, log)

    async def delete(self, token: str, id: str, state: Properties, log: Log) -> None:
        await _resource(token).delete(self._connected(), id, state, log)

    def _connected(self) -> Engine:
        if self._engine is None:
            raise ResourceError(
                "the docker provider's settings are not known yet, so there is no engine to ask"
            )
        return self._engine


def _resource(token: str) -> Resource:
    if token not in RESOURCES:
        raise ResourceError(
            f"this stand-in for the official docker plugin has no {token}, only {', '.join(RESOURCES)}. "
            "Install the official plugin for it: `pulumi plugin install resource docker 5.2.0`."
        )
    return RESOURCES[token]


def named(urn: str, olds: Properties, news: Properties) -> Properties:
    """`news` with a name: the given one, else the automatic one of before, else a new one.

    `__defaults` lists automatic inputs, as in the official plugin's states.
    """
    if news.get("name", wire(None)).value is not None:
        return news
    kept = olds.get("name") if _is_automatic(olds) else None
    name = kept or wire(f"{name_of(urn)}-{secrets.token_hex(4)[:7]}")
    return {**news, "name": name, "__defaults": wire(sorted([*plain(news["__defaults"]), "name"]))}


def _is_automatic(inputs: Properties) -> bool:
    return "name" in (plain(inputs["__defaults"]) if "__defaults" in inputs else [])


def _shown(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key != "__defaults"}


def wanted_inputs(
    about: schema.Schema, news: Properties, state: Properties, ignored: Sequence[str]
) -> dict[str, Any]:
    """Plain inputs with a value for every field, in which what is `ignored` is as it is.

    A path may end inside of blocks and lists, `a.b[0].c`. One that leads nowhere ignores nothing, and neither
    does one into a set: its elements are compared as a whole.
    """
    given, there = plain_map(news), plain_map(state)
    for path in ignored:
        steps = [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path)]
        if _into_a_set(about, steps):
            continue
        wanted: Any = given
        real: Any = there
        for step in steps[:-1]:
            wanted, real = _inside(wanted, step), _inside(real, step)
        if isinstance(wanted, dict):
            if (value := _inside(real, steps[-1])) is None:
                wanted.pop(steps[-1], None)
            else:
                wanted[steps[-1]] = value
    return states.planned(about, given, there)


def _into_a_set(about: schema.Schema, steps: Sequence[str | int]) -> bool:
    names = tuple(ITEM if isinstance(step, int) else step for step in steps)
    around = (schema.field_at(about, names[:length]) for length in range(1, len(names)))
    return any(field is not None and field.kind == "set" for field in around)


def _inside(value: Any, step: str | int) -> Any:
    if isinstance(value, list):
        return value[step] if isinstance(step, int) and step < len(value) else None
    return value.get(step) if isinstance(value, dict) else None
