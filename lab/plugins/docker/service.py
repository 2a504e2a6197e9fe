"""`docker:index/service:Service`: creation, change in place, waiting for convergence, removal.

Leaves the mapping of inputs to `spec`, and what a list of tasks means to `convergence`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import docker.errors

from lab.plugins.docker import convergence
from lab.plugins.docker.drift import EngineDefaults, refreshed
from lab.plugins.docker.durations import parse
from lab.plugins.docker.engine import Client, Engine
from lab.plugins.docker.resource import failure
from lab.plugins.docker.schema import canonical
from lab.plugins.docker.spec.service import SERVICE, to_inputs, to_spec
from lab.plugins.provider import CheckFailure, Found, Log, ResourceError, ResourceInitFailed
from lab.plugins.values import Properties, Unknown, plain, plain_map, wire

_POLL = 0.5  # seconds between two looks at a service
_STILL = 1.0  # seconds that tasks must be seen running
_SECOND = 1_000_000_000
_SETTLED = 2.0  # seconds in which a changed service must have begun to roll out, if it will at all
_PUBLISHING = 30.0  # seconds for the engine to choose ports
_REMOVAL = 60.0  # seconds beyond the grace period for a removed service's tasks to go
_DEFAULT_GRACE = 10 * _SECOND
_RETRIES = 5  # of an update that somebody else's came before

# What the engine has in the specification when nothing was asked for.
ENGINE_DEFAULTS: EngineDefaults = {
    ("mode", "replicated", "replicas"): 1,
    ("taskSpec", "containerSpec", "stopGracePeriod"): "10s",
    ("taskSpec", "restartPolicy", "condition"): "any",
    ("taskSpec", "restartPolicy", "delay"): "5s",
    ("taskSpec", "runtime"): "container",
    ("endpointSpec", "mode"): "vip",
}


class Service:
    """Services by id."""

    what = "service"
    schema = SERVICE
    computed = ("mode", "endpointSpec")

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
        spec = to_spec(canonical(SERVICE, inputs))
        name = spec["Name"]
        try:
            made = await engine.write(log, _creation(spec))
            id = str(made["ID"])
            for warning in made.get("Warnings") or []:
                await log("warning", str(warning))
        except docker.errors.APIError as error:
            taken = await self._left_behind(engine, inputs, log) if error.status_code == 409 else None
            if taken is None:
                raise failure(self.what, name, error) from error
            id = taken
        try:
            if "convergeConfig" in inputs:
                await self._converge(engine, id, inputs, log, lambda service: False)
            return id, _state(inputs, await self._published(engine, id, name, log))
        except asyncio.CancelledError:
            # It exists; the state must know it, or the next update would trip over its name.
            raise ResourceInitFailed(
                id,
                _state(inputs, {}),
                inputs,
                f"service '{name}' was created; the update was interrupted then",
            ) from None
        except _NotConverged as error:
            # As the official provider does: what did not come up is taken away, so that a corrected one can.
            await self._remove(engine, id, inputs, log)
            raise ResourceError(f"{error}\nThe service was removed again.") from error

    async def read(self, engine: Engine, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        try:
            found = await engine.read(log, lambda client: client.inspect_service(id))
            now = await self._refreshed(engine, inputs, found, log)
        except docker.errors.NotFound:
            return Found("")
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error
        return Found(found["ID"], _state(now, found), now)

    async def update(
        self, engine: Engine, id: str, state: Properties, olds: Properties, news: Properties, log: Log
    ) -> Properties:
        spec = to_spec(canonical(SERVICE, news))
        name = spec["Name"]
        for attempt in range(_RETRIES):
            before = await self._inspect(engine, id, name, log)
            try:
                answer = await engine.write(log, _change(id, before["Version"]["Index"], spec))
                break
            except docker.errors.APIError as error:
                # The engine itself, or somebody else, changed the service since the look at it.
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

                await self._converge(engine, id, news, log, rolling)
            return _state(news, await self._published(engine, id, name, log))
        except asyncio.CancelledError:
            raise ResourceInitFailed(
                id, _state(news, {}), news, f"service '{name}' was changed; the update was interrupted then"
            ) from None
        except _NotConverged as error:
            raise ResourceInitFailed(id, _state(news, {}), news, str(error)) from error

    async def delete(self, engine: Engine, id: str, state: Properties, log: Log) -> None:
        await self._remove(engine, id, state, log)

    async def _inspect(self, engine: Engine, id: str, name: str, log: Log) -> dict[str, Any]:
        try:
            return dict(await engine.read(log, lambda client: client.inspect_service(id)))
        except docker.errors.APIError as error:
            raise failure(self.what, name, error) from error

    async def _published(self, engine: Engine, id: str, name: str, log: Log) -> dict[str, Any]:
        """Inspect, once the engine has said under which ports it publishes the service."""
        deadline = time.monotonic() + _PUBLISHING
        while True:
            found = await self._inspect(engine, id, name, log)
            asked = found["Spec"].get("EndpointSpec", {}).get("Ports") or []
            given = found.get("Endpoint", {}).get("Ports") or []
            chosen = all(p.get("PublishedPort") for p in given if p.get("PublishMode") == "ingress")
            if (len(given) == len(asked) and chosen) or time.monotonic() > deadline:
                return found
            await asyncio.sleep(_POLL)

    async def _refreshed(
        self, engine: Engine, inputs: Properties, found: Mapping[str, Any], log: Log
    ) -> Properties:
        actual = to_inputs(found)
        given = plain_map(inputs)
        networks = given.get("taskSpec", {}).get("networksAdvanceds", [])
        names = {}
        if any("name" in network and "id" not in network for network in networks):
            listed = await engine.read(log, lambda client: client.networks())
            names = {network["Id"]: network["Name"] for network in listed}
        return refreshed(SERVICE, inputs, comparable(actual, given, names), ENGINE_DEFAULTS)

    async def _left_behind(self, engine: Engine, inputs: Properties, log: Log) -> str | None:
        """The id of a service of this name that is exactly as wanted."""
        name = plain_map(inputs)["name"]
        try:
            found = await engine.read(log, lambda client: client.inspect_service(name))
            if found["Spec"]["Name"] != name or await self._refreshed(engine, inputs, found, log) != inputs:
                return None
        except docker.errors.APIError:
            return None
        await log("info", f"service '{name}' was already there, as wanted: taken over")
        return str(found["ID"])

    async def _converge(
        self,
        engine: Engine,
        id: str,
        inputs: Properties,
        log: Log,
        rolling: Callable[[Mapping[str, Any]], bool],
    ) -> None:
        """Wait until all tasks run and still do a moment later, else raise `_NotConverged`.

        What fails at once is seen running, too, if one looks in just that moment. `rolling`: is it too early
        to tell?
        """
        settings = plain(inputs["convergeConfig"])
        timeout = settings.get("timeout", "3m")
        deadline = time.monotonic() + parse(timeout) / _SECOND
        shown = ""
        ran: tuple[str, ...] = ()
        while True:
            service, tasks, nodes = await self._look(engine, id, log)
            name = service["Spec"]["Name"]
            current = convergence.progress(service, tasks, nodes)
            ended, problem = convergence.outcome(service)
            if problem:
                raise _NotConverged(convergence.explained(f"service '{name}': {problem}", current))
            updating = bool(service.get("UpdateStatus")) and not ended
            runs = current.done and not updating and not rolling(service)
            if runs and current.tasks == ran:
                return
            ran = current.tasks if runs else ()
            pause = _STILL if runs else _POLL
            if time.monotonic() > deadline + pause:
                raise _NotConverged(
                    convergence.explained(f"service '{name}' did not converge within {timeout}", current)
                )
            said = current.words + (f"; {current.failures[0]}" if current.failures else "")
            if said != shown:
                await log("info", said, status=True)
                shown = said
            await asyncio.sleep(pause)

    async def _look(self, engine: Engine, id: str, log: Log) -> tuple[dict[str, Any], list[Any], list[Any]]:
        try:
            service = await engine.read(log, lambda client: client.inspect_service(id))
            tasks = await engine.read(log, lambda client: client.tasks(filters={"service": id}))
            nodes = await engine.read(log, lambda client: client.nodes())
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error
        return service, tasks, nodes

    async def _remove(self, engine: Engine, id: str, state: Properties, log: Log) -> None:
        """Remove the service and wait for its tasks, so that networks and secrets are free then."""
        known = plain_map(state)
        name = known.get("name", id)
        try:
            await engine.write(log, lambda client: client.remove_service(id))
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            raise failure(self.what, name, error) from error
        grace = known.get("taskSpec", {}).get("containerSpec", {}).get("stopGracePeriod")
        deadline = time.monotonic() + (parse(grace) if grace else _DEFAULT_GRACE) / _SECOND + _REMOVAL
        shown = -1
        while left := await self._tasks_left(engine, id, log):
            if time.monotonic() > deadline:
                await log(
                    "warning",
                    f"service '{name}' is removed, but {left} of its containers have not ended in time; "
                    "see `docker ps` on the hosts",
                )
                return
            if left != shown:
                await log("info", f"waiting for {left} containers to end", status=True)
                shown = left
            await asyncio.sleep(_POLL)

    async def _tasks_left(self, engine: Engine, id: str, log: Log) -> int:
        """How many containers of a removed service still run, as far as living nodes can tell."""
        try:
            tasks = await engine.read(log, lambda client: client.tasks())
            nodes = await engine.read(log, lambda client: client.nodes())
        except docker.errors.APIError as error:
            raise failure(self.what, id, error) from error
        up = {node["ID"] for node in nodes if node["Status"]["State"] != "down"}
        # The engine can't be asked for the tasks of a service that is gone, hence all of them.
        return sum(
            1
            for task in tasks
            if task.get("ServiceID") == id and task.get("NodeID") in up and _has_container(task["Status"])
        )


class _NotConverged(Exception):
    """The tasks are not as wanted; the text says which and why."""


def comparable(actual: dict[str, Any], given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """`actual` inputs without what the engine chose for `given` ones.

    `names` are the networks' by id: the engine stores ids, the program may have said names.
    """
    task, asked = actual["taskSpec"], given.get("taskSpec", {})
    if "convergeConfig" in given:
        actual["convergeConfig"] = given["convergeConfig"]  # ours alone; the engine knows nothing of it
    if "platforms" not in asked.get("placement", {}):
        task.get("placement", {}).pop("platforms", None)
    by_key = {n.get("id") or n.get("name"): n for n in asked.get("networksAdvanceds", [])}
    for network in task.get("networksAdvanceds", []):
        id = network["id"]
        said = by_key.get(id) or by_key.get(names.get(id, "")) or {}
        if said:
            del network["id"]
            network.update({key: said[key] for key in ("id", "name") if key in said})
    for kind in ("secret", "config"):
        references = asked.get("containerSpec", {}).get(f"{kind}s", [])
        unnamed = {r.get(f"{kind}Id") for r in references if f"{kind}Name" not in r}
        for reference in task.get("containerSpec", {}).get(f"{kind}s", []):
            if reference[f"{kind}Id"] in unnamed:
                reference.pop(f"{kind}Name", None)
    for key in ("updateConfig", "rollbackConfig"):
        if key not in given:
            actual.pop(key, None)
    ports = given.get("endpointSpec", {}).get("ports", [])
    real = actual.get("endpointSpec", {}).get("ports", [])
    for index, port in enumerate(_in_order(real, ports)):
        if index < len(ports) and "publishedPort" not in ports[index]:
            port.pop("publishedPort", None)
    if real:
        actual["endpointSpec"]["ports"] = _in_order(real, ports)
    return actual


def _in_order(real: list[dict[str, Any]], asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The real ports in the order in which they were asked for; the engine sorts them."""
    keys = [(port.get("targetPort"), port.get("protocol", "tcp")) for port in asked]

    def place(port: dict[str, Any]) -> int:
        key = (port["targetPort"], port["protocol"])
        return keys.index(key) if key in keys else len(keys)

    return sorted(real, key=place)


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


def _has_container(status: Mapping[str, Any]) -> bool:
    return status["State"] in ("preparing", "ready", "starting", "running")


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


def _state(inputs: Properties, found: Mapping[str, Any]) -> Properties:
    state = {key: value for key, value in inputs.items() if key != "__defaults"}
    if found:
        actual = to_inputs(found)
        state.setdefault("mode", wire(actual["mode"]))
        if "endpointSpec" in actual:
            # With the published ports that the engine chose.
            state["endpointSpec"] = wire(actual["endpointSpec"])
    return state
