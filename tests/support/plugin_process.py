"""Drives a plugin as Pulumi's engine does, for tests: starts the process, calls it over gRPC, keeps its logs.

Owns: the plugin's process, the engine's side of the log, plain values to wire values. A test says
`engine.create(TOKEN, "name", {...})` and gets an id and plain values; `Secret(x)` and `UNKNOWN` mark values.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc, status_pb2

from lab.plugins.values import Value, from_struct, plain, to_struct, wire

ROOT = Path(__file__).resolve().parents[2]
_START = 60  # seconds for the plugin to print its port; a busy machine imports slowly


@dataclass(frozen=True)
class Secret:
    """Marks a test's value as secret."""

    value: Any


@dataclass(frozen=True)
class Message:
    """What a plugin had shown to the user."""

    severity: str
    text: str
    urn: str
    status: bool


class PluginError(Exception):
    """A call failed. `kept` is the state that the engine was told to keep (a half-made resource)."""

    def __init__(self, code: str, text: str, kept: provider_pb2.ErrorResourceInitFailed | None) -> None:
        super().__init__(text)
        self.code, self.kept = code, kept


@dataclass
class Made:
    """A resource in a test's hands, as the engine would have it in its state."""

    id: str
    urn: str
    inputs: struct_pb2.Struct
    state: struct_pb2.Struct

    @property
    def outputs(self) -> dict[str, Any]:
        """The state as plain values."""
        return {k: plain(v) for k, v in from_struct(self.state).items()}

    @property
    def outputs_with_nulls(self) -> dict[str, Any]:
        """The same, with what is null inside of maps, too."""
        return {k: _with_nulls(v) for k, v in from_struct(self.state).items()}

    def is_secret(self, key: str) -> bool:
        return from_struct(self.state)[key].is_secret


def _with_nulls(value: Value) -> Any:
    if isinstance(value.value, Mapping):
        return {k: _with_nulls(v) for k, v in value.value.items()}
    if isinstance(value.value, list):
        return [_with_nulls(v) for v in value.value]
    return value.value


@dataclass
class Engine(engine_pb2_grpc.EngineServicer):
    """The engine's end: its log and a stub to call the plugin with."""

    stub: Any = None
    server: Any = None
    process: subprocess.Popen[str] | None = None
    messages: list[Message] = field(default_factory=list)
    logged: threading.Condition = field(default_factory=threading.Condition)

    def Log(self, request: Any, context: object) -> Any:
        severity = engine_pb2.LogSeverity.Name(request.severity).lower()
        with self.logged:
            self.messages.append(Message(severity, request.message, request.urn, request.ephemeral))
            self.logged.notify_all()
        return empty_pb2.Empty()

    def wait_for_message(self, text: str, seconds: float = 30) -> Message:
        """The first message that has `text` in it; fails the test when none comes."""
        deadline = time.monotonic() + seconds
        with self.logged:
            while True:
                for message in self.messages:
                    if text in message.text:
                        return message
                if not self.logged.wait(timeout=deadline - time.monotonic()):
                    raise AssertionError(f"no message with {text!r} among {self.messages}")

    def stop(self) -> None:
        """Go away, as a killed `pulumi` does."""
        self.server.stop(grace=None).wait()

    # -- calls as the engine makes them

    def configure(self, settings: Mapping[str, Any] | None = None) -> None:
        self._call(
            self.stub.Configure,
            provider_pb2.ConfigureRequest(args=struct(settings or {}), acceptSecrets=True),
        )

    def check_config(self, settings: Mapping[str, Any]) -> list[str]:
        answer = self._call(
            self.stub.CheckConfig, provider_pb2.CheckRequest(news=struct(settings), urn="urn")
        )
        return [f.reason for f in answer.failures]

    def check(
        self, token: str, inputs: Mapping[str, Any], olds: Made | None = None, name: str = "x"
    ) -> tuple[struct_pb2.Struct, list[str]]:
        """The checked inputs, and the reasons why some are refused."""
        answer = self._call(
            self.stub.Check,
            provider_pb2.CheckRequest(
                urn=urn(token, name), olds=olds.inputs if olds else None, news=struct(inputs)
            ),
        )
        return answer.inputs, [f.reason for f in answer.failures]

    def checked(
        self, token: str, inputs: Mapping[str, Any], olds: Made | None = None, name: str = "x"
    ) -> struct_pb2.Struct:
        """The checked inputs; none may be refused."""
        checked, reasons = self.check(token, inputs, olds, name)
        assert not reasons, reasons
        return checked

    def create(self, token: str, name: str, inputs: Mapping[str, Any], *, preview: bool = False) -> Made:
        news = self.checked(token, inputs, name=name)
        request = provider_pb2.CreateRequest(urn=urn(token, name), properties=news, preview=preview)
        answer = self._call(self.stub.Create, request)
        return Made(answer.id, request.urn, news, answer.properties)

    def diff(
        self, made: Made, inputs: Mapping[str, Any], ignored: Sequence[str] = ()
    ) -> provider_pb2.DiffResponse:
        token = made.urn.split("::")[2]
        request = provider_pb2.DiffRequest(
            id=made.id,
            urn=made.urn,
            olds=made.state,
            old_inputs=made.inputs,
            news=self.checked(token, inputs, made),
            ignoreChanges=ignored,
        )
        answer: provider_pb2.DiffResponse = self._call(self.stub.Diff, request)
        return answer

    def update(self, made: Made, inputs: Mapping[str, Any], *, preview: bool = False) -> Made:
        news = self.checked(made.urn.split("::")[2], inputs, made)
        request = provider_pb2.UpdateRequest(
            id=made.id, urn=made.urn, olds=made.state, old_inputs=made.inputs, news=news, preview=preview
        )
        return Made(made.id, made.urn, news, self._call(self.stub.Update, request).properties)

    def read(self, made: Made) -> Made | None:
        """What a refresh would put into the state; None when the resource is gone."""
        request = provider_pb2.ReadRequest(
            id=made.id, urn=made.urn, properties=made.state, inputs=made.inputs
        )
        answer = self._call(self.stub.Read, request)
        return Made(answer.id, made.urn, answer.inputs, answer.properties) if answer.id else None

    def delete(self, made: Made) -> None:
        self._call(
            self.stub.Delete,
            provider_pb2.DeleteRequest(
                id=made.id, urn=made.urn, properties=made.state, old_inputs=made.inputs
            ),
        )

    def cancel(self) -> None:
        self._call(self.stub.Cancel, empty_pb2.Empty())

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request)
        except grpc.RpcError as error:
            kept = None
            for key, value in error.trailing_metadata() or ():
                if key == "grpc-status-details-bin":
                    kept = _kept(value)
            raise PluginError(error.code().name, error.details() or "", kept) from None


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:test::test::{token}::{name}"


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Plain values, with `Secret` and `UNKNOWN` marks, as the wire has them."""
    return to_struct({k: _marked(v) for k, v in values.items()})


def _marked(value: Any) -> Value:
    if isinstance(value, Secret):
        return _marked(value.value).with_secret()
    if isinstance(value, Mapping):
        return Value({k: _marked(v) for k, v in value.items()})
    if isinstance(value, list):
        return Value([_marked(v) for v in value])
    return wire(value)


def _kept(details: bytes) -> provider_pb2.ErrorResourceInitFailed | None:
    status = status_pb2.Status.FromString(details)
    for detail in status.details:
        failed = provider_pb2.ErrorResourceInitFailed()
        if detail.Unpack(failed):
            return failed
    return None


@contextlib.contextmanager
def plugin(module: str, environment: Mapping[str, str] | None = None) -> Iterator[Engine]:
    """Run `python -m MODULE` as a plugin and yield the engine's side of it."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    engine = Engine(server=server)
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    variables = {k: v for k, v in os.environ.items() if k != "SSH_AUTH_SOCK"}
    process = subprocess.Popen(
        [sys.executable, "-m", module, f"127.0.0.1:{port}"],
        cwd=ROOT,
        env={**variables, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
    )
    engine.process = process
    watchdog = threading.Timer(_START, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        watchdog.cancel()
        assert line.isdigit(), f"the plugin printed no port but {line!r}"
        with grpc.insecure_channel(f"127.0.0.1:{line}") as channel:
            engine.stub = provider_pb2_grpc.ResourceProviderStub(channel)
            yield engine
    finally:
        watchdog.cancel()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        finally:
            process.kill()
            process.communicate()
            server.stop(grace=None)
