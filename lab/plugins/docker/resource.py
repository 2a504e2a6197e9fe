"""What all Docker resources share: the shape of a resource, and the engine's errors with a remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import docker.errors

from lab.plugins.docker.engine import Engine
from lab.plugins.docker.schema import Schema
from lab.plugins.provider import CheckFailure, Found, Log, ResourceError
from lab.plugins.values import Properties, contains_secret, wire


class Resource(Protocol):
    """One type of resource. Inputs are checked, with defaults filled in and a name."""

    @property
    def what(self) -> str:
        """The word for it in messages."""
        ...

    @property
    def schema(self) -> Schema:
        """Its inputs."""
        ...

    @property
    def computed(self) -> Iterable[str]:
        """Outputs that only the engine knows when the input is absent."""
        ...

    def check(self, inputs: Properties) -> list[CheckFailure]:
        """What the schema can't say is wrong."""
        ...

    async def create(self, engine: Engine, inputs: Properties, log: Log) -> tuple[str, Properties]: ...

    async def read(
        self, engine: Engine, id: str, state: Properties, inputs: Properties, log: Log
    ) -> Found: ...

    async def update(
        self, engine: Engine, id: str, news: Properties, wanted: Mapping[str, Any], log: Log
    ) -> Properties:
        """Change in place. `wanted`: plain inputs with a value for every field."""
        ...

    async def delete(self, engine: Engine, id: str, state: Properties, log: Log) -> None: ...


_TAKEN = (
    "It is in no state of this stack. If a broken-off update left it behind, remove it on the host "
    "(`docker {what} rm {name}`) and run `pulumi up` again; if it belongs elsewhere, take another name."
)
_REMEDIES = (
    (
        "in use by the following service",
        "It can be neither changed nor removed while a service uses it: give the new one another name (leave "
        "'name' out, or put a hash of the content into it), so that the service changes over first.",
    ),
    (
        "not a swarm manager",
        "The docker provider's host must be a manager of the swarm: see `docker node ls` on another host.",
    ),
    (
        "does not have a leader",
        "The swarm has lost the majority of its managers: bring them back before anything can be changed.",
    ),
    ("already exists", _TAKEN),
    ("name conflicts", _TAKEN),
    (
        "has active endpoints",
        "Containers are still attached to it: see `docker network inspect` on the hosts.",
    ),
    (
        " is in use by ",
        "A service or container is still attached to it: take that off first, or leave it as it was.",
    ),
    (
        "is already in use by service",
        "A port of the hosts leads to one service: publish one of the two on another. Nothing was changed.",
    ),
    ("overlaps with other one", "Choose another subnet: this one is in use on the host or in the swarm."),
    ("not found", "If it was removed by hand, run `pulumi refresh`, then `pulumi up`."),
)


def secrets_kept(state: Mapping[str, Any], inputs: Properties) -> Properties:
    """A plain state whose properties are secret where the inputs of the same name hold something secret."""
    return {
        key: wire(value).with_secret(key in inputs and contains_secret(inputs[key]))
        for key, value in state.items()
    }


def failure(what: str, name: str, error: docker.errors.APIError) -> ResourceError:
    """The engine's refusal, with the object it is about and what to do next."""
    said = str(error.explanation or error)
    words = f"{what} '{name}': the engine says: {said}"
    for sign, remedy in _REMEDIES:
        if sign in said:
            words += f". {remedy.format(what=what, name=name)}"
            break
    return ResourceError(words)
