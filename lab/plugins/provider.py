"""What a provider is: its methods, its errors, and its messages to the user with the resource's URN.

Every plugin derives from `Provider` and runs with `server.serve`. Leaves what the engine sends, and
how it is answered, to `server`.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import grpc.aio
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from lab.plugins.diffs import Diff
from lab.plugins.values import Properties

Severity = Literal["debug", "info", "warning", "error"]

_SEVERITIES: Mapping[Severity, engine_pb2.LogSeverity.ValueType] = {
    "debug": engine_pb2.DEBUG,
    "info": engine_pb2.INFO,
    "warning": engine_pb2.WARNING,
    "error": engine_pb2.ERROR,
}


class ResourceError(Exception):
    """What went wrong with one resource, in words for the user. Nothing of it is left behind."""


class ResourceInitFailed(ResourceError):
    """The resource exists but is not as wanted: its id and state are kept, the reasons are shown."""

    def __init__(self, id: str, state: Properties, inputs: Properties, reason: str) -> None:
        super().__init__(reason)
        self.id, self.state, self.inputs = id, state, inputs


class Cancelled(ResourceError):
    """The engine asked to stop (Ctrl-C) while this resource was under way."""


@dataclass(frozen=True)
class CheckFailure:
    """An input that can't be; `property` may be empty when no single one is to blame."""

    property: str
    reason: str


@dataclass(frozen=True)
class Found:
    """What `read` found: the state, and the inputs that would make it. An empty id means: gone."""

    id: str
    state: Properties = field(default_factory=dict)
    inputs: Properties = field(default_factory=dict)


class Log:
    """Messages to the user about one resource (or about none)."""

    def __init__(self, engine: engine_pb2_grpc.EngineStub | None, urn: str) -> None:
        self._engine, self.urn = engine, urn

    async def __call__(self, severity: Severity, message: str, *, status: bool = False) -> None:
        """Show `message`; with `status` only beside the resource while it is worked on."""
        if self._engine is None:
            return
        request = engine_pb2.LogRequest(
            severity=_SEVERITIES[severity], message=message, urn=self.urn, ephemeral=status
        )
        # A message that can't be delivered must not end the work it is about: the engine may be on its way
        # out.
        with contextlib.suppress(grpc.aio.AioRpcError):
            await self._engine.Log(request)


class Provider:
    """What a provider implements. `token` is the resource's type, `docker:index/network:Network`.

    Inputs and state keep secrets and unknowns as `Value` has them. Errors are `ResourceError`s.
    """

    name: str
    version: str

    async def check_config(self, news: Properties) -> list[CheckFailure]:
        """Refuse provider settings that can't work. Unknowns are possible."""
        return []

    async def configure(self, settings: Properties) -> None:
        """Take the settings; nothing is connected yet, so that a preview needs no host."""

    async def check(
        self, token: str, urn: str, olds: Properties, news: Properties
    ) -> tuple[Properties, list[CheckFailure]]:
        """Return the inputs with defaults filled in, and what is wrong with them. No network.

        `olds` are the checked inputs of before, empty for a new resource (also for a replacement).
        """
        raise NotImplementedError

    async def diff(
        self,
        token: str,
        old_inputs: Properties,
        state: Properties,
        news: Properties,
        ignored: Sequence[str] = (),
    ) -> Diff:
        """Say what changes from `old_inputs` (and `state`) to `news`, and what of it replaces. No network.

        `ignored`: paths of which no difference counts.
        """
        raise NotImplementedError

    async def preview_create(self, token: str, news: Properties) -> Properties:
        """The state that a creation would give, unknowns where only the creation can tell."""
        raise NotImplementedError

    async def preview_update(self, token: str, id: str, state: Properties, news: Properties) -> Properties:
        """The state that an update would give, unknowns where only the update can tell."""
        raise NotImplementedError

    async def create(self, token: str, urn: str, news: Properties, log: Log) -> tuple[str, Properties]:
        """Create; return id and state."""
        raise NotImplementedError

    async def read(self, token: str, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        """Look at the real thing. `state` and `inputs` are what was known (empty on import)."""
        raise NotImplementedError

    async def update(
        self,
        token: str,
        id: str,
        state: Properties,
        news: Properties,
        log: Log,
        old_inputs: Properties,
        ignored: Sequence[str] = (),
    ) -> Properties:
        """Change in place, but nothing of what is `ignored`; return the whole new state."""
        raise NotImplementedError

    async def delete(self, token: str, id: str, state: Properties, log: Log) -> None:
        """Delete; something already gone is no error."""
        raise NotImplementedError

    async def close(self) -> None:
        """Give connections back. Called once, at the end of the process."""


def unique_id(name: str) -> str:
    """An id as the official providers make them: the resource's name and random hex digits."""
    return f"{name}{secrets.token_hex(4)}"


def name_of(urn: str) -> str:
    """The resource's logical name: the URN's last part."""
    return urn.rsplit("::", 1)[-1]
