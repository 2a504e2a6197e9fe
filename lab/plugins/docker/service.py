"""`docker:index/service:Service`: creation, change in place, waiting for convergence, removal.

Leaves the mapping of inputs to `spec`, and how long a service takes to `waiting`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import docker.errors

from lab.plugins.docker import waiting
from lab.plugins.docker.durations import parse
from lab.plugins.docker.engine import Client, Engine
from lab.plugins.docker.resource import failure, secrets_kept
from lab.plugins.docker.spec.service import SERVICE, found, to_spec
from lab.plugins.docker.states import complete, imported, planned, refreshed
from lab.plugins.docker.waiting import NotConverged
from lab.plugins.provider import CheckFailure, Found, Log, ResourceError, ResourceInitFailed
from lab.plugins.values import Properties, Unknown, plain_map

META = '{"schema_version":"2"}'  # as the official plugin writes it

_POLL = 0.5  # seconds between two looks at a service
_SETTLED = 2.0  # seconds in which a changed service must have begun to roll out, if it will at all
_RETRIES = 5  # of a change that the engine's own came before
_SHOWN = 30.0  # seconds for the engine to show how a service is reached


class Service:
    """Services by id."""

    what = "service"
    schema = SERVICE
    computed = ("mode", "endpointSpec", "labels")

    def check(self, inputs: Properties) -> list[CheckFailure]:
        given = plain_map(inputs)
        mode = given.get("mode", {})
        problems = []
        if isinstance(mode, dict) and "global" in mode and "convergeConfig" in given:
            problems.append(
                CheckFailure(
                    "convergeConfig",
                    "'convergeConfig' conflicts with 'mode.global': the docker provider waits only for "
                    "replicated services. Leave it out and wait by other means",
                )
            )
        if isinstance(mode, dict) and mode.get("global") and "replicated" in mode:
            problems.append(CheckFailure("mode", "'mode.global' conflicts with 'mode.replicated'"))
        problems += _check_networks(given)
        return problems

    async def create(self, engine: Engine, inputs: Properties, log: Log) -> tuple[str, Properties]:
        wanted = planned(SERVICE, plain_map(inputs), None)
        spec = to_spec(wanted)
        name = spec["Name"]
        await self._ask_registry(engine, spec, log)
        try:
            made = await engine.write(log, _creation(spec))
        except docker.errors.APIError as error:
            raise failure(self.what, name, error) from error
        id = str(made["ID"])
        for warning in made.get("Warnings") or []:
            await log("warning", str(warning))
        try:
            if "convergeConfig" in inputs:
                await waiting.for_convergence(engine, id, inputs, log, lambda service: False)
            state = _state(await self._shown(engine, id, name, log), plain_map(inputs))
            return id, secrets_kept(_as_created(state, plain_map(inputs)), inputs)
        except asyncio.CancelledError:
            # It exists; the state must know it, or the next update would trip over its name.
            raise ResourceInitFailed(
                id,
                secrets_kept(complete(SERVICE, wanted, plain_map(inputs)), inputs),
                inputs,
                f"service '{name}' was created; the update was interrupted then",
            ) from None
        except NotConverged as error:
            # As the official provider does: what did not come up is taken away, so that a corrected one can.
            await self._remove(engine, id, wanted, log)
            raise ResourceError(f"{error}\nThe service was removed again.") from error

    async def read(self, engine: Engine, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        name = plain_map(state).get("name")
        try:
            services = await engine.read(log, lambda client: client.services())
            # By id or by name: one that was made anew by hand is taken for it.
            there = [each for each in services if each["ID"] == id or each["Spec"]["Name"] == name]
            if not there:
                return Found("")
            real = await engine.read(log, lambda client: client.inspect_service(there[0]["ID"]))
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error
        now = _state(real, plain_map(inputs or state))
        known = refreshed(inputs, now) if inputs else imported(SERVICE, now)
        return Found(real["ID"], secrets_kept(now, inputs), known)

    async def update(
        self, engine: Engine, id: str, news: Properties, wanted: Mapping[str, Any], log: Log
    ) -> Properties:
        spec = to_spec(wanted)
        name = spec["Name"]
        for attempt in range(_RETRIES):
            before = await self._inspect(engine, id, name, log)
            try:
                answer = await engine.write(log, _change(id, before["Version"]["Index"], spec))
                break
            except docker.errors.APIError as error:
                # The engine itself has changed a new service since the look at it. (The official plugin looks
                # two seconds after its creation, when that is over.)
                if "out of sequence" not in str(error) or attempt == _RETRIES - 1:
                    raise failure(self.what, name, error) from error
        for warning in (answer or {}).get("Warnings") or []:
            await log("warning", str(warning))
        try:
            if "convergeConfig" in news:
                began = time.monotonic()
                changed = before["Spec"]["TaskTemplate"] != spec["TaskTemplate"]

                def rolling(service: Mapping[str, Any]) -> bool:
                    # A change of the tasks shows in the update's status, but only after a moment.
                    unseen = changed and not service.get("UpdateStatus")
                    return bool(unseen and time.monotonic() - began < _SETTLED)

                await waiting.for_convergence(engine, id, news, log, rolling)
            state = _state(await self._shown(engine, id, name, log), plain_map(news))
            return secrets_kept(state, news)
        except asyncio.CancelledError:
            state = complete(SERVICE, wanted, plain_map(news))
            raise ResourceInitFailed(
                id,
                secrets_kept(state, news),
                news,
                f"service '{name}' was changed; the update was interrupted then",
            ) from None
        except NotConverged as error:
            state = complete(SERVICE, wanted, plain_map(news))
            raise ResourceInitFailed(id, secrets_kept(state, news), news, str(error)) from error

    async def delete(self, engine: Engine, id: str, state: Properties, log: Log) -> None:
        await self._remove(engine, id, plain_map(state), log)

    async def _ask_registry(self, engine: Engine, spec: dict[str, Any], log: Log) -> None:
        """Enter what the registry says of a new service's image: its digest and platforms.

        As docker's own command line does, and as there without a word if the registry does not answer. A
        change asks nobody.
        """
        container = spec["TaskTemplate"]["ContainerSpec"]
        try:
            said = await engine.read(log, lambda client: client.inspect_distribution(container["Image"]))
        except docker.errors.APIError:
            return
        if "@" not in container["Image"]:
            container["Image"] += f"@{said['Descriptor']['digest']}"
        platforms = [
            {
                "Architecture": "" if each["architecture"].lower() == "arm" else each["architecture"],
                "OS": each["os"],
            }
            for each in said.get("Platforms") or []
        ]
        if platforms:
            spec["TaskTemplate"]["Placement"]["Platforms"] = platforms

    async def _inspect(self, engine: Engine, id: str, name: str, log: Log) -> dict[str, Any]:
        try:
            return dict(await engine.read(log, lambda client: client.inspect_service(id)))
        except docker.errors.APIError as error:
            raise failure(self.what, name, error) from error

    async def _shown(self, engine: Engine, id: str, name: str, log: Log) -> dict[str, Any]:
        """Inspect, once the engine shows how the service is reached, and under which ports."""
        deadline = time.monotonic() + _SHOWN
        while True:
            real = await self._inspect(engine, id, name, log)
            asked = real["Spec"].get("EndpointSpec", {}).get("Ports") or []
            given = real.get("Endpoint", {}).get("Ports") or []
            if (found(real)["endpointSpec"] and len(given) >= len(asked)) or time.monotonic() > deadline:
                return real
            await asyncio.sleep(_POLL)

    async def _remove(self, engine: Engine, id: str, known: Mapping[str, Any], log: Log) -> None:
        """Remove the service, and wait for its containers on this engine's host as long as they may take.

        As the official plugin does: of containers on other hosts it knows nothing, one that is not gone in
        its time is an error, and so is a service that is not there.
        """
        name = known.get("name", id)
        task = known.get("taskSpec") or {}
        grace = (task.get("containerSpec") or {}).get("stopGracePeriod") or "0s"
        try:
            containers = await waiting.containers(engine, id, log) if parse(grace) else []
            await engine.write(log, lambda client: client.remove_service(id))
        except docker.errors.APIError as error:
            raise failure(self.what, name, error) from error
        await waiting.for_removal(engine, name, containers, grace, log)


def _creation(spec: Mapping[str, Any]) -> Callable[[Client], Any]:
    def create(client: Client) -> Any:
        return client.create_service(
            spec["TaskTemplate"],
            name=spec["Name"],
            labels=spec["Labels"],
            mode=spec["Mode"],
            update_config=spec.get("UpdateConfig"),
            rollback_config=spec.get("RollbackConfig"),
            endpoint_spec=spec["EndpointSpec"],
        )

    return create


def _change(id: str, version: int, spec: Mapping[str, Any]) -> Callable[[Client], Any]:
    def change(client: Client) -> Any:
        return client.update_service(
            id,
            version,
            task_template=spec["TaskTemplate"],
            name=spec["Name"],
            labels=spec["Labels"],
            mode=spec["Mode"],
            update_config=spec.get("UpdateConfig"),
            rollback_config=spec.get("RollbackConfig"),
            endpoint_spec=spec["EndpointSpec"],
        )

    return change


def _check_networks(given: Mapping[str, Any]) -> list[CheckFailure]:
    task = given.get("taskSpec", {})
    networks = task.get("networksAdvanceds", []) if isinstance(task, dict) else []
    if isinstance(networks, Unknown):
        return []
    return [
        CheckFailure(f"taskSpec.networksAdvanceds[{index}]", "a network needs its 'id' (or its 'name')")
        for index, network in enumerate(networks)
        if isinstance(network, dict) and not network.get("id") and not network.get("name")
    ]


def _state(real: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """An inspected service as a plain state."""
    state = complete(SERVICE, found(real), given)
    # Of these the engine knows nothing.
    return {
        **state,
        "auth": None,
        "convergeConfig": given.get("convergeConfig"),
        "id": real["ID"],
        "__meta": META,
    }


def _as_created(state: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A state as the official plugin writes it after a creation: what was planned as nothing is nothing.

    The next update or refresh finds what there is.
    """
    container, asked = state["taskSpec"]["containerSpec"], given["taskSpec"]["containerSpec"]
    for key in ("args", "capAdds", "capDrops", "commands", "groups"):
        container[key] = container[key] or None
    readable = {mount["target"] for mount in asked.get("mounts", []) if "readOnly" not in mount}
    for mount in container["mounts"]:
        if mount["target"] in readable:
            mount["readOnly"] = None
    if asked := given["taskSpec"].get("placement"):
        said = {"platforms": asked.get("platforms", []), "prefs": asked.get("prefs")}
        state["taskSpec"]["placement"] |= said
    return state
