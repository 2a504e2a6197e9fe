"""`docker:index/secret:Secret` and `docker:index/serviceConfig:ServiceConfig`: data that the swarm keeps.

Every change replaces. A secret's data goes to the engine and never comes back; in the state it is secret.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import docker.errors

from lab.plugins.docker.engine import Engine
from lab.plugins.docker.resource import failure, secrets_kept
from lab.plugins.docker.schema import Schema, labels, string
from lab.plugins.docker.states import complete, imported, refreshed
from lab.plugins.docker.translation import label_inputs, pairs
from lab.plugins.provider import CheckFailure, Found, Log, ResourceError
from lab.plugins.values import Properties, Unknown, Value, plain_map, wire

META = '{"schema_version":"1"}'  # as the official plugin writes it

SECRET: Schema = {
    "name": string(replaces=True),
    "labels": labels(replaces=True),
    "data": string(required=True, replaces=True),
}
CONFIG: Schema = {
    "name": string(replaces=True),
    "labels": labels(replaces=True),
    "data": string(replaces=True),
    "dataRaw": string(replaces=True),
}


class Secret:
    """Secrets by id."""

    what = "secret"
    schema = SECRET
    computed = ()

    def check(self, inputs: Properties) -> list[CheckFailure]:
        return _check_base64(inputs)

    async def create(self, engine: Engine, inputs: Properties, log: Log) -> tuple[str, Properties]:
        wanted = plain_map(inputs)
        data = base64.b64decode(wanted["data"])
        try:
            made = await engine.write(
                log,
                lambda client: client.create_secret(wanted["name"], data, labels=pairs(wanted.get("labels"))),
            )
        except docker.errors.APIError as error:
            raise failure(self.what, wanted["name"], error) from error
        return str(made["ID"]), _state(str(made["ID"]), inputs, SECRET)

    async def read(self, engine: Engine, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        try:
            found = await engine.read(log, lambda client: client.inspect_secret(id))
        except docker.errors.NotFound:
            return Found("")
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error
        # Of labels the official plugin takes no notice, and data never comes back.
        known = {**state, **inputs, "name": wire(found["Spec"]["Name"])}
        inputs = {**inputs, "name": known["name"]} if inputs else inputs
        return Found(found["ID"], _state(found["ID"], known, SECRET), inputs)

    async def update(
        self, engine: Engine, id: str, news: Properties, wanted: Mapping[str, Any], log: Log
    ) -> Properties:
        raise ResourceError("a secret can't be changed in place")

    async def delete(self, engine: Engine, id: str, state: Properties, log: Log) -> None:
        try:
            await engine.write(log, lambda client: client.remove_secret(id))
        except docker.errors.APIError as error:
            raise failure(self.what, plain_map(state).get("name", id), error) from error


class ServiceConfig:
    """Configs by id."""

    what = "config"
    schema = CONFIG
    computed = ()

    def check(self, inputs: Properties) -> list[CheckFailure]:
        given = [key for key in ("data", "dataRaw") if key in inputs and inputs[key].value is not None]
        if len(given) != 1:
            return [CheckFailure("data", "a config needs exactly one of 'data' (in base64) and 'dataRaw'")]
        return _check_base64(inputs)

    async def create(self, engine: Engine, inputs: Properties, log: Log) -> tuple[str, Properties]:
        wanted = plain_map(inputs)
        data = _config_data(wanted)
        try:
            made = await engine.write(
                log,
                lambda client: client.create_config(wanted["name"], data, labels=pairs(wanted.get("labels"))),
            )
        except docker.errors.APIError as error:
            raise failure(self.what, wanted["name"], error) from error
        return str(made["ID"]), _state(str(made["ID"]), inputs, CONFIG)

    async def read(self, engine: Engine, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        try:
            found = await engine.read(log, lambda client: client.inspect_config(id))
        except docker.errors.NotFound:
            return Found("")
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error
        data = found["Spec"].get("Data", "")
        now: dict[str, Any] = {
            "name": found["Spec"]["Name"],
            "labels": label_inputs(found["Spec"].get("Labels")),
        }
        if plain_map(inputs or state).get("dataRaw"):
            now["dataRaw"] = base64.b64decode(data).decode("utf-8", "replace")
        else:
            now["data"] = data
        known = refreshed(inputs, now) if inputs else imported(CONFIG, now)
        return Found(
            found["ID"], _state(found["ID"], {key: wire(v) for key, v in now.items()}, CONFIG), known
        )

    async def update(
        self, engine: Engine, id: str, news: Properties, wanted: Mapping[str, Any], log: Log
    ) -> Properties:
        raise ResourceError("a config can't be changed in place")

    async def delete(self, engine: Engine, id: str, state: Properties, log: Log) -> None:
        try:
            await engine.write(log, lambda client: client.remove_config(id))
        except docker.errors.APIError as error:
            raise failure(self.what, plain_map(state).get("name", id), error) from error


def _config_data(wanted: Mapping[str, Any]) -> bytes:
    return str(wanted["dataRaw"]).encode() if "dataRaw" in wanted else base64.b64decode(wanted["data"])


def _check_base64(inputs: Properties) -> list[CheckFailure]:
    data = inputs.get("data", wire(None)).value
    if data is None or isinstance(data, Unknown):
        return []
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        # Without the data itself: it may be secret.
        return [
            CheckFailure(
                "data", "'data' is not in base64; encode it: base64.b64encode(text.encode()).decode()"
            )
        ]
    return []


def _state(id: str, known: Mapping[str, Value], schema: Schema) -> Properties:
    state = complete(schema, plain_map(known), plain_map(known))
    if schema is CONFIG:
        # Of the two it has one.
        state.update({key: state[key] or None for key in ("data", "dataRaw")})
        return secrets_kept({**state, "id": id}, dict(known))
    kept = secrets_kept({**state, "id": id, "__meta": META}, dict(known))
    return {**kept, "data": kept["data"].with_secret()}
