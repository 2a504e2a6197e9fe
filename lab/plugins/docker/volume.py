"""`docker:index/volume:Volume`: a named volume on the provider's own host. Every change replaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import docker.errors

from lab.plugins.docker.drift import refreshed
from lab.plugins.docker.engine import Engine
from lab.plugins.docker.resource import failure
from lab.plugins.docker.schema import Schema, labels, string, strings
from lab.plugins.docker.translation import label_inputs, pairs
from lab.plugins.provider import CheckFailure, Found, Log, ResourceError
from lab.plugins.values import Properties, plain_map, wire

VOLUME: Schema = {
    "name": string(replaces=True),
    "labels": labels(replaces=True),
    "driver": string(replaces=True),
    "driverOpts": strings(replaces=True),
}


class Volume:
    """Volumes by name, which is their id."""

    what = "volume"
    schema = VOLUME
    computed = ("driver", "mountpoint")

    def check(self, inputs: Properties) -> list[CheckFailure]:
        return []

    async def create(self, engine: Engine, inputs: Properties, log: Log) -> tuple[str, Properties]:
        wanted = plain_map(inputs)
        try:
            found = await engine.write(
                log,
                lambda client: client.create_volume(
                    wanted["name"],
                    driver=wanted.get("driver"),
                    driver_opts=wanted.get("driverOpts"),
                    labels=pairs(wanted.get("labels")),
                ),
            )
        except docker.errors.APIError as error:
            raise failure(self.what, wanted["name"], error) from error
        return found["Name"], _state(inputs, found)

    async def read(self, engine: Engine, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        try:
            found = await engine.read(log, lambda client: client.inspect_volume(id))
        except docker.errors.NotFound:
            return Found("")
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error
        actual = {
            "name": found["Name"],
            "labels": label_inputs(found.get("Labels")),
            "driver": found["Driver"],
            "driverOpts": found.get("Options") or {},
        }
        now = refreshed(VOLUME, inputs, actual, {("driver",): "local"})
        return Found(found["Name"], _state(now, found), now)

    async def update(
        self, engine: Engine, id: str, state: Properties, olds: Properties, news: Properties, log: Log
    ) -> Properties:
        raise ResourceError("a volume can't be changed in place")

    async def delete(self, engine: Engine, id: str, state: Properties, log: Log) -> None:
        try:
            await engine.write(log, lambda client: client.remove_volume(id))
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error


def _state(inputs: Properties, found: Mapping[str, Any]) -> Properties:
    return {
        "driver": wire(found["Driver"]),
        **{key: value for key, value in inputs.items() if key != "__defaults"},
        "mountpoint": wire(found.get("Mountpoint", "")),
    }
