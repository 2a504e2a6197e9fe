"""`docker:index/volume:Volume`: a named volume on the provider's own host. Every change replaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import docker.errors

from lab.plugins.docker import states
from lab.plugins.docker.engine import Engine
from lab.plugins.docker.resource import failure, secrets_kept
from lab.plugins.docker.schema import Schema, labels, string, strings
from lab.plugins.docker.translation import label_inputs, pairs
from lab.plugins.provider import CheckFailure, Found, Log, ResourceError
from lab.plugins.values import Properties, plain_map

VOLUME: Schema = {
    "name": string(replaces=True),
    "labels": labels(replaces=True),
    "driver": string(computed=True, replaces=True),
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
        return found["Name"], secrets_kept(_state(found, wanted), inputs)

    async def read(self, engine: Engine, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        try:
            found = await engine.read(log, lambda client: client.inspect_volume(id))
        except docker.errors.NotFound:
            return Found("")
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error
        now = _state(found, plain_map(inputs))
        known = states.refreshed(inputs, now) if inputs else states.imported(VOLUME, now)
        return Found(found["Name"], secrets_kept(now, inputs), known)

    async def update(
        self, engine: Engine, id: str, news: Properties, wanted: Mapping[str, Any], log: Log
    ) -> Properties:
        raise ResourceError("a volume can't be changed in place")

    async def delete(self, engine: Engine, id: str, state: Properties, log: Log) -> None:
        try:
            await engine.write(log, lambda client: client.remove_volume(id))
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error


def _state(found: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    inputs = {
        "name": found["Name"],
        "labels": label_inputs(found.get("Labels")),
        "driver": found["Driver"],
        "driverOpts": found.get("Options") or {},
    }
    return {**states.complete(VOLUME, inputs, given), "mountpoint": found.get("Mountpoint", "")}
