"""`docker:index/secret:Secret` and `docker:index/serviceConfig:ServiceConfig`: data that the swarm keeps.

Every change replaces. A secret's data goes to the engine and never comes back; in the state it is secret.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import docker.errors

from lab.plugins.docker.drift import refreshed
from lab.plugins.docker.engine import Engine
from lab.plugins.docker.resource import failure
from lab.plugins.docker.schema import Schema, labels, string
from lab.plugins.docker.translation import label_inputs, pairs
from lab.plugins.provider import CheckFailure, Found, Log, ResourceError
from lab.plugins.values import Properties, Unknown, Value, plain_map, wire

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
        return str(made["ID"]), _secret_state(inputs)

    async def read(self, engine: Engine, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        try:
            found = await engine.read(log, lambda client: client.inspect_secret(id))
        except docker.errors.NotFound:
            return Found("")
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error
        data = inputs.get("data", state.get("data", Value("", is_secret=True)))
        actual = {**_annotations(found), "data": data.value}
        now = refreshed(SECRET, inputs, actual, {})
        now["data"] = data.with_secret()
        return Found(found["ID"], _secret_state(now), now)

    async def update(
        self, engine: Engine, id: str, state: Properties, olds: Properties, news: Properties, log: Log
    ) -> Properties:
        raise ResourceError("a secret can't be changed in place")

    async def delete(self, engine: Engine, id: str, state: Properties, log: Log) -> None:
        try:
            await engine.write(log, lambda client: client.remove_secret(id))
        except docker.errors.NotFound:
            return
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
            id = str(made["ID"])
        except docker.errors.APIError as error:
            taken = await self._left_behind(engine, wanted, data, log) if error.status_code == 409 else None
            if taken is None:
                raise failure(self.what, wanted["name"], error) from error
            id = taken
        return id, _state(inputs)

    async def read(self, engine: Engine, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        try:
            found = await engine.read(log, lambda client: client.inspect_config(id))
        except docker.errors.NotFound:
            return Found("")
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error
        actual = _annotations(found)
        data = found["Spec"].get("Data", "")
        given = plain_map(inputs)
        if "dataRaw" in given:
            actual["dataRaw"] = base64.b64decode(data).decode("utf-8", "replace")
        else:
            # Base64 may be written in several ways; the same content is no drift.
            unchanged = "data" in given and base64.b64decode(given["data"]) == base64.b64decode(data)
            actual["data"] = given["data"] if unchanged else data
        now = refreshed(CONFIG, inputs, actual, {})
        return Found(found["ID"], _state(now), now)

    async def update(
        self, engine: Engine, id: str, state: Properties, olds: Properties, news: Properties, log: Log
    ) -> Properties:
        raise ResourceError("a config can't be changed in place")

    async def delete(self, engine: Engine, id: str, state: Properties, log: Log) -> None:
        try:
            await engine.write(log, lambda client: client.remove_config(id))
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            raise failure(self.what, plain_map(state).get("name", id), error) from error

    async def _left_behind(
        self, engine: Engine, wanted: Mapping[str, Any], data: bytes, log: Log
    ) -> str | None:
        """The id of a config of this name with the same data and labels."""
        name = wanted["name"]
        for found in await engine.read(log, lambda client: client.configs(filters={"name": name})):
            spec = found["Spec"]
            same = base64.b64decode(spec.get("Data", "")) == data
            if spec["Name"] == name and same and (spec.get("Labels") or {}) == pairs(wanted.get("labels")):
                await log("info", f"config '{name}' was already there, as wanted: taken over")
                return str(found["ID"])
        return None


def _config_data(wanted: Mapping[str, Any]) -> bytes:
    return str(wanted["dataRaw"]).encode() if "dataRaw" in wanted else base64.b64decode(wanted["data"])


def _annotations(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": found["Spec"]["Name"], "labels": label_inputs(found["Spec"].get("Labels"))}


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


def _state(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key != "__defaults"}


def _secret_state(inputs: Properties) -> Properties:
    return {**_state(inputs), "data": inputs["data"].with_secret()}
