"""The `docker` plugin's provider: finds the resource for a type and does what all resources have in common.

Common are: names chosen when the program gives none, defaults, comparison of inputs, what a preview shows. As
with the official plugin, a replacement whose name was given removes the old object first: names are unique in
a swarm.
"""

from __future__ import annotations

import secrets

from lab.plugins.diffs import Diff, Names, compare
from lab.plugins.docker import NAME, VERSION, schema
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
        inputs = schema.with_defaults(resource.schema, named(urn, olds, news))
        failures = schema.failures(resource.schema, inputs)
        return inputs, failures or resource.check(inputs)

    async def diff(self, token: str, old_inputs: Properties, state: Properties, news: Properties) -> Diff:
        about = _resource(token).schema

        def same(names: Names, old: Value | None, new: Value | None) -> bool:
            return schema.same(about, names, old, new)

        olds = {key: value for key, value in (old_inputs or state).items() if key in about}
        changes = compare(
            olds,
            {key: value for key, value in news.items() if key in about},
            lambda names: schema.replaces(about, names),
            same,
        )
        keeps_name = olds.get("name") == news.get("name") and not _is_automatic(news)
        return Diff(changes, delete_before_replace=keeps_name and any(c.replaces for c in changes))

    async def preview_create(self, token: str, news: Properties) -> Properties:
        computed = {key: wire(Unknown()) for key in _resource(token).computed if key not in news}
        return {**_shown(news), **computed}

    async def preview_update(self, token: str, id: str, state: Properties, news: Properties) -> Properties:
        kept = {key: state[key] for key in _resource(token).computed if key in state and key not in news}
        return {**_shown(news), **kept}

    async def create(self, token: str, urn: str, news: Properties, log: Log) -> tuple[str, Properties]:
        if unknown := sorted(key for key, value in news.items() if has_unknown(value)):
            raise ResourceError(f"not known while it is being made: {', '.join(unknown)}")
        return await _resource(token).create(self._connected(), news, log)

    async def read(self, token: str, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        return await _resource(token).read(self._connected(), id, state, inputs, log)

    async def update(
        self, token: str, id: str, state: Properties, news: Properties, log: Log, old_inputs: Properties
    ) -> Properties:
        return await _resource(token).update(self._connected(), id, state, old_inputs, news, log)

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
    given = {key: value for key, value in news.items() if key != "__defaults"}
    if given.get("name", wire(None)).value is not None:
        return {**given, "__defaults": wire([])}
    kept = olds.get("name") if _is_automatic(olds) else None
    name = kept or wire(f"{name_of(urn)}-{secrets.token_hex(4)[:7]}")
    return {**given, "name": name, "__defaults": wire(["name"])}


def _is_automatic(inputs: Properties) -> bool:
    return "name" in (plain(inputs["__defaults"]) if "__defaults" in inputs else [])


def _shown(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key != "__defaults"}
