"""`docker:index/network:Network`: networks, above all attachable and encrypted overlays of a swarm.

Every change replaces. What the engine fills in (gateway, VXLAN id, address range) is output, not drift.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import docker.errors

from lab.plugins.docker.drift import refreshed
from lab.plugins.docker.engine import Engine
from lab.plugins.docker.resource import failure
from lab.plugins.docker.schema import Schema, block, boolean, labels, string, strings, unordered
from lab.plugins.docker.translation import label_inputs, pairs
from lab.plugins.provider import CheckFailure, Found, Log, ResourceError
from lab.plugins.values import Properties, plain_map, wire

_WAIT = 60.0  # seconds for an overlay to be allocated, or for its last endpoint to go
_POLL = 0.5  # seconds

_ENGINES_OWN = "com.docker.network."  # options that the engine adds

NETWORK: Schema = {
    "name": string(replaces=True),
    "labels": labels(replaces=True),
    "driver": string(replaces=True),
    "options": strings(replaces=True),
    "internal": boolean(replaces=True),
    "attachable": boolean(replaces=True),
    "ingress": boolean(replaces=True),
    "ipv6": boolean(replaces=True),
    "ipamDriver": string(default="default", replaces=True),
    "ipamOptions": strings(replaces=True),
    "ipamConfigs": unordered(
        block({"subnet": string(), "ipRange": string(), "gateway": string(), "auxAddress": strings()}),
        replaces=True,
    ),
}


class Network:
    """Networks by id."""

    what = "network"
    schema = NETWORK
    computed = ("driver", "internal", "options", "ipamConfigs", "scope")

    def check(self, inputs: Properties) -> list[CheckFailure]:
        return []

    async def create(self, engine: Engine, inputs: Properties, log: Log) -> tuple[str, Properties]:
        wanted = plain_map(inputs)
        try:
            made = await engine.write(log, lambda client: client.create_network(**_arguments(wanted)))
            id = str(made["Id"])
        except docker.errors.APIError as error:
            taken = await self._left_behind(engine, inputs, log) if error.status_code in (403, 409) else None
            if taken is None:
                raise failure(self.what, wanted["name"], error) from error
            id = taken
        found = await self._allocated(engine, id, wanted["name"], log)
        return id, _state(inputs, found)

    async def read(self, engine: Engine, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        try:
            found = await engine.read(log, lambda client: client.inspect_network(id))
        except docker.errors.NotFound:
            return Found("")
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error
        now = refreshed(NETWORK, inputs, _comparable(found, inputs), {("driver",): found["Driver"]})
        return Found(found["Id"], _state(now, found), now)

    async def update(
        self, engine: Engine, id: str, state: Properties, olds: Properties, news: Properties, log: Log
    ) -> Properties:
        raise ResourceError("a network can't be changed in place")

    async def delete(self, engine: Engine, id: str, state: Properties, log: Log) -> None:
        name = plain_map(state).get("name", id)
        deadline = time.monotonic() + _WAIT
        while True:
            try:
                await engine.write(log, lambda client: client.remove_network(id))
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                # A service just removed may still have tasks on it, on this host or on another.
                busy = "active endpoints" in str(error) or "in use by" in str(error)
                if not busy or time.monotonic() > deadline:
                    raise failure(self.what, name, error) from error
                await log("info", "waiting for the last container to leave", status=True)
            # Removing one that is already going reports success; what counts is that it is gone.
            try:
                await engine.read(log, lambda client: client.inspect_network(id))
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                raise failure(self.what, name, error) from error
            if time.monotonic() > deadline:
                raise ResourceError(f"network '{name}' is still there {_WAIT:.0f} s after its removal")
            await asyncio.sleep(_POLL)

    async def _allocated(self, engine: Engine, id: str, name: str, log: Log) -> dict[str, Any]:
        """Inspect, once the swarm has given an overlay its options and addresses."""
        deadline = time.monotonic() + _WAIT
        while True:
            try:
                found = await engine.read(log, lambda client: client.inspect_network(id))
            except docker.errors.APIError as error:
                raise failure(self.what, name, error) from error
            # Until the swarm has allocated it, even the driver is missing.
            complete = found.get("Driver") and found.get("Options") and found["IPAM"].get("Config")
            ready = found.get("Scope") != "swarm" or complete
            if ready or time.monotonic() > deadline:
                return dict(found)
            await asyncio.sleep(_POLL)

    async def _left_behind(self, engine: Engine, inputs: Properties, log: Log) -> str | None:
        """The id of a network of this name that is exactly as wanted."""
        name = plain_map(inputs)["name"]
        for found in await engine.read(log, lambda client: client.networks(names=[name])):
            if found["Name"] != name:
                continue  # the engine's filter also finds names that only contain it
            if refreshed(NETWORK, inputs, _comparable(found, inputs), {}) == inputs:
                await log("info", f"network '{name}' was already there, as wanted: taken over")
                return str(found["Id"])
        return None


def _arguments(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of docker's `create_network` for plain inputs."""
    pools = [
        {
            name: config[key]
            for name, key in (
                ("Subnet", "subnet"),
                ("IPRange", "ipRange"),
                ("Gateway", "gateway"),
                ("AuxiliaryAddresses", "auxAddress"),
            )
            if config.get(key)
        }
        for config in wanted.get("ipamConfigs", [])
    ]
    return {
        "name": wanted["name"],
        "driver": wanted.get("driver"),
        "options": wanted.get("options"),
        "ipam": {
            "Driver": wanted.get("ipamDriver", "default"),
            "Config": pools,
            "Options": wanted.get("ipamOptions", {}),
        },
        "check_duplicate": True,
        "internal": wanted.get("internal", False),
        "labels": pairs(wanted.get("labels")),
        "enable_ipv6": wanted.get("ipv6", False),
        "attachable": wanted.get("attachable"),
        "ingress": wanted.get("ingress"),
    }


def _inputs(found: Mapping[str, Any]) -> dict[str, Any]:
    """An inspected network as plain inputs, with all that the engine filled in."""
    ipam = found.get("IPAM") or {}
    pools = [
        {
            key: config[name]
            for name, key in (
                ("Subnet", "subnet"),
                ("IPRange", "ipRange"),
                ("Gateway", "gateway"),
                ("AuxiliaryAddresses", "auxAddress"),
            )
            if config.get(name)
        }
        for config in ipam.get("Config") or []
    ]
    return {
        "name": found["Name"],
        "labels": label_inputs(found.get("Labels")),
        "driver": found["Driver"],
        "options": found.get("Options") or {},
        "internal": found.get("Internal", False),
        "attachable": found.get("Attachable", False),
        "ingress": found.get("Ingress", False),
        "ipv6": found.get("EnableIPv6", False),
        "ipamDriver": ipam.get("Driver") or "default",
        "ipamOptions": ipam.get("Options") or {},
        "ipamConfigs": pools,
    }


def _comparable(found: Mapping[str, Any], inputs: Properties) -> dict[str, Any]:
    """The same without what the engine filled in for these inputs."""
    given, actual = plain_map(inputs), _inputs(found)
    options = given.get("options", {})
    actual["options"] = {
        key: value
        for key, value in actual["options"].items()
        if key in options or not key.startswith(_ENGINES_OWN)
    }
    pools = {pool.get("subnet"): pool for pool in given.get("ipamConfigs", [])}
    if not pools:
        actual["ipamConfigs"] = []
    for pool in actual["ipamConfigs"]:
        asked = pools.get(pool.get("subnet"), pool)
        for key in set(pool) - set(asked):
            del pool[key]
    return actual


def _state(inputs: Properties, found: Mapping[str, Any]) -> Properties:
    # What the program gave stays as written; beside it stands what only the engine knows.
    return {
        **{key: wire(value) for key, value in _inputs(found).items()},
        **{
            key: value for key, value in inputs.items() if key not in ("ipamConfigs", "options", "__defaults")
        },
        "scope": wire(found.get("Scope", "")),
    }
