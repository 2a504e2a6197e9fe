"""`docker:index/network:Network`: networks, above all attachable and encrypted overlays of a swarm.

Every change replaces. What the engine fills in is found by a refresh (gateway), or soon after the creation
(the VXLAN's number among the options), and differs then from inputs that do not say it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import docker.errors

from lab.plugins.docker import states
from lab.plugins.docker.engine import Engine
from lab.plugins.docker.resource import failure, secrets_kept
from lab.plugins.docker.schema import Schema, block, boolean, labels, string, strings, unordered
from lab.plugins.docker.translation import label_inputs, pairs
from lab.plugins.provider import CheckFailure, Found, Log, ResourceError
from lab.plugins.values import Properties, plain_map

_WAIT = 30.0  # seconds for an overlay to be allocated, or for its last endpoint to go
_POLL = 0.5  # seconds

_NO_POOL = {"subnet": "", "ipRange": "", "gateway": "", "auxAddress": None}

META = '{"schema_version":"1"}'  # as the official plugin writes it

NETWORK: Schema = {
    "name": string(replaces=True),
    "labels": labels(replaces=True),
    "driver": string(computed=True, replaces=True),
    "options": strings(computed=True, replaces=True),
    "internal": boolean(computed=True, replaces=True),
    "attachable": boolean(replaces=True),
    "ingress": boolean(replaces=True),
    "ipv6": boolean(replaces=True),
    "ipamDriver": string(default="default", replaces=True),
    "ipamOptions": strings(replaces=True),
    "ipamConfigs": unordered(
        block({"subnet": string(), "ipRange": string(), "gateway": string(), "auxAddress": strings()}),
        computed=True,
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
        except docker.errors.APIError as error:
            raise failure(self.what, wanted["name"], error) from error
        found = await self._options_shown(engine, str(made["Id"]), wanted["name"], log)
        state = _state(found, wanted)
        pools = wanted.get("ipamConfigs")
        if pools:
            # The swarm has not allocated it yet, or so it seems to the official plugin.
            state["ipamConfigs"] = [
                {**_NO_POOL, **{key: value for key, value in pool.items() if key in _NO_POOL}}
                for pool in pools
            ]
        return str(made["Id"]), secrets_kept(state, inputs)

    async def read(self, engine: Engine, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        try:
            found = await engine.read(log, lambda client: client.inspect_network(id))
        except docker.errors.NotFound:
            return Found("")
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error
        now = _state(found, plain_map(inputs))
        # What an overlay has nothing of is told as empty from now on.
        now["ipamOptions"] = now["ipamOptions"] or {}
        for pool in now["ipamConfigs"]:
            pool["auxAddress"] = pool["auxAddress"] or {}
        known = states.refreshed(inputs, now) if inputs else states.imported(NETWORK, now)
        return Found(found["Id"], secrets_kept(now, inputs), known)

    async def update(
        self, engine: Engine, id: str, news: Properties, wanted: Mapping[str, Any], log: Log
    ) -> Properties:
        raise ResourceError("a network can't be changed in place")

    async def delete(self, engine: Engine, id: str, state: Properties, log: Log) -> None:
        name = plain_map(state).get("name", id)
        deadline = time.monotonic() + _WAIT
        while True:
            try:
                await engine.read(log, lambda client: client.inspect_network(id))
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                raise failure(self.what, name, error) from error
            try:
                await engine.write(log, lambda client: client.remove_network(id))
                return
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                # A container of this host has not ended yet. What others say of it is final.
                if "active endpoints" not in str(error) or time.monotonic() > deadline:
                    raise failure(self.what, name, error) from error
                await log("info", "waiting for the last container to leave", status=True)
            await asyncio.sleep(_POLL)

    async def _options_shown(self, engine: Engine, id: str, name: str, log: Log) -> dict[str, Any]:
        """Inspect, once an overlay's options are there."""
        deadline = time.monotonic() + _WAIT
        while True:
            try:
                found = await engine.read(log, lambda client: client.inspect_network(id))
            except docker.errors.APIError as error:
                raise failure(self.what, name, error) from error
            # Until the swarm has allocated it, even the driver is missing.
            ready = found.get("Scope") != "swarm" or (found.get("Driver") and found.get("Options"))
            if ready or time.monotonic() > deadline:
                return dict(found)
            await asyncio.sleep(_POLL)


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


def _state(found: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """An inspected network as a plain state."""
    ipam = found.get("IPAM") or {}
    pools = [
        {
            "subnet": config.get("Subnet"),
            "ipRange": config.get("IPRange"),
            "gateway": config.get("Gateway"),
            "auxAddress": config.get("AuxiliaryAddresses"),
        }
        for config in ipam.get("Config") or []
    ]
    inputs = {
        "name": found["Name"],
        "labels": label_inputs(found.get("Labels")),
        "driver": found["Driver"],
        "options": found.get("Options") or {},
        "internal": found.get("Internal", False),
        "attachable": found.get("Attachable", False),
        "ingress": found.get("Ingress", False),
        "ipv6": found.get("EnableIPv6", False),
        "ipamDriver": ipam.get("Driver") or "default",
        "ipamOptions": ipam.get("Options"),
        "ipamConfigs": pools,
    }
    return {
        **states.complete(NETWORK, inputs, given),
        "id": found["Id"],
        "scope": found.get("Scope", ""),
        "__meta": META,
    }
