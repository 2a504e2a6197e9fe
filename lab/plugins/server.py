"""The gRPC side of a Pulumi provider plugin: what the engine calls, and nothing of any provider.

Owns: serving many requests side by side, secrets and unknowns on the wire, half-made resources, cancellation
(Ctrl-C in `pulumi up`) and the end of the process when the engine is gone. Leaves what a provider has to
offer to `provider`, and what resources are to the plugins themselves.

Written on the bare service and not on `pulumi.provider.experimental.server`, which passes on neither logs
nor detailed diffs nor `ErrorResourceInitFailed`, and can't write unknowns (see `values`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import (
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

from lab.plugins.diffs import Change, Diff
from lab.plugins.provider import Cancelled, CheckFailure, Log, Provider, ResourceError, ResourceInitFailed
from lab.plugins.values import from_struct, to_struct

T = TypeVar("T")

_MESSAGE_LIMIT = 400 * 1024 * 1024  # bytes; the engine's own limit
_ENGINE_GONE_AFTER = 5.0  # seconds without a connection to the engine


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Translates the engine's calls to a `Provider` and its answers and errors back."""

    def __init__(self, provider: Provider, engine: engine_pb2_grpc.EngineStub | None) -> None:
        self._provider, self._engine = provider, engine
        self._under_way: set[asyncio.Task[Any]] = set()
        self._cancelled = False

    # -- the plugin itself

    async def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: object
    ) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    async def GetPluginInfo(self, request: empty_pb2.Empty, context: object) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._provider.version)

    async def Cancel(self, request: empty_pb2.Empty, context: object) -> empty_pb2.Empty:
        self.cancel()
        return empty_pb2.Empty()

    def cancel(self) -> None:
        """Stop what runs; what is called from now on is refused."""
        self._cancelled = True
        for task in self._under_way:
            task.cancel()

    async def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.CheckResponse:
        news = from_struct(request.news)
        failures = await self._run(context, self._provider.check_config(news))
        return provider_pb2.CheckResponse(inputs=to_struct(news), failures=_failures(failures))

    async def DiffConfig(
        self, request: provider_pb2.DiffRequest, context: object
    ) -> provider_pb2.DiffResponse:
        # Other settings never replace what is managed through them: an address may change, the swarm stays.
        same = from_struct(request.old_inputs or request.olds) == from_struct(request.news)
        changes = provider_pb2.DiffResponse.DIFF_NONE if same else provider_pb2.DiffResponse.DIFF_SOME
        return provider_pb2.DiffResponse(changes=changes)

    async def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.ConfigureResponse:
        await self._run(context, self._provider.configure(from_struct(request.args)))
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    # -- resources

    async def Check(
        self, request: provider_pb2.CheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.CheckResponse:
        inputs, failures = await self._run(
            context,
            self._provider.check(
                _token(request.urn), request.urn, from_struct(request.olds), from_struct(request.news)
            ),
        )
        return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=_failures(failures))

    async def Diff(
        self, request: provider_pb2.DiffRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.DiffResponse:
        diff = await self._run(
            context,
            self._provider.diff(
                _token(request.urn),
                from_struct(request.old_inputs),
                from_struct(request.olds),
                from_struct(request.news),
                request.ignoreChanges,
            ),
        )
        return _diff_response(diff)

    async def Create(
        self, request: provider_pb2.CreateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.CreateResponse:
        token, news = _token(request.urn), from_struct(request.properties)
        if request.preview:
            state = await self._run(context, self._provider.preview_create(token, news))
            return provider_pb2.CreateResponse(id="", properties=to_struct(state))
        log = Log(self._engine, request.urn)
        id, state = await self._run(context, self._provider.create(token, request.urn, news, log))
        return provider_pb2.CreateResponse(id=id, properties=to_struct(state))

    async def Read(
        self, request: provider_pb2.ReadRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.ReadResponse:
        found = await self._run(
            context,
            self._provider.read(
                _token(request.urn),
                request.id,
                from_struct(request.properties),
                from_struct(request.inputs),
                Log(self._engine, request.urn),
            ),
        )
        if not found.id:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=found.id, properties=to_struct(found.state), inputs=to_struct(found.inputs)
        )

    async def Update(
        self, request: provider_pb2.UpdateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.UpdateResponse:
        token, state, news = _token(request.urn), from_struct(request.olds), from_struct(request.news)
        if request.preview:
            planned = await self._run(context, self._provider.preview_update(token, request.id, state, news))
            return provider_pb2.UpdateResponse(properties=to_struct(planned))
        log = Log(self._engine, request.urn)
        old_inputs = from_struct(request.old_inputs)
        ignored = request.ignoreChanges
        updated = await self._run(
            context, self._provider.update(token, request.id, state, news, log, old_inputs, ignored)
        )
        return provider_pb2.UpdateResponse(properties=to_struct(updated))

    async def Delete(
        self, request: provider_pb2.DeleteRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> empty_pb2.Empty:
        log, state = Log(self._engine, request.urn), from_struct(request.properties)
        await self._run(context, self._provider.delete(_token(request.urn), request.id, state, log))
        return empty_pb2.Empty()

    async def _run(self, context: grpc.aio.ServicerContext[Any, Any], work: Awaitable[T]) -> T:
        """Await `work` so that Cancel can stop it, and turn its errors into what the engine understands."""
        task = asyncio.ensure_future(work)
        if self._cancelled:
            task.cancel()
        self._under_way.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            await context.abort(
                grpc.StatusCode.CANCELLED,
                "cancelled: the update was interrupted while this resource was under way. "
                "Run `pulumi up` again to go on.",
            )
        except ResourceInitFailed as failed:
            context.set_trailing_metadata((("grpc-status-details-bin", _init_failed(failed)),))
            await context.abort(grpc.StatusCode.UNKNOWN, str(failed))
        except Cancelled as error:
            await context.abort(grpc.StatusCode.CANCELLED, str(error))
        except ResourceError as error:
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:
            # Anything else is a defect of the plugin: say so, with the trace, instead of a bare word.
            trace = "".join(traceback.format_exception(error))
            await context.abort(
                grpc.StatusCode.INTERNAL, f"defect in the {self._provider.name} plugin:\n{trace}"
            )
        finally:
            self._under_way.discard(task)
        raise AssertionError("unreachable: abort raises")


def serve(provider: Provider, arguments: list[str]) -> None:
    """Run the plugin: print the port it listens on, serve until the engine goes away."""
    parser = argparse.ArgumentParser(
        prog=f"pulumi-resource-{provider.name}", description="A Pulumi provider plugin; the engine starts it."
    )
    parser.add_argument("engine", nargs="?", default="", help="address of the engine's gRPC server")
    parser.add_argument("--version", action="version", version=provider.version)
    # The engine may pass flags for logging and tracing (-v=9 --logtostderr --tracing …); none matter here.
    known, _ignored = parser.parse_known_args(arguments)
    asyncio.run(_serve(provider, known.engine))


async def _serve(provider: Provider, engine_address: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # The engine ends a plugin by SIGINT, and kills it if it is still there five seconds later. A Ctrl-C in
    # the terminal does not come here, as plugins have process groups of their own: that is Cancel.
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    options = [
        ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
        ("grpc.max_send_message_length", _MESSAGE_LIMIT),
        # Requests wait in the queue while others run; the default drops them after 30 s.
        ("grpc.server_max_unrequested_time_in_server", 30 * 60),
    ]
    channel = grpc.aio.insecure_channel(engine_address, options=options) if engine_address else None
    servicer = Servicer(provider, engine_pb2_grpc.EngineStub(channel) if channel else None)
    server = grpc.aio.server(options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()

    watch = asyncio.create_task(_until_engine_gone(channel, stop)) if channel else None
    await stop.wait()
    servicer.cancel()
    await server.stop(grace=2)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(provider.close(), timeout=2)
    if watch:
        watch.cancel()
    if channel:
        await channel.close()


async def _until_engine_gone(channel: grpc.aio.Channel, stop: asyncio.Event) -> None:
    """Set `stop` when the engine's server is away for good: a killed `pulumi` leaves no plugin behind."""
    parent = os.getppid()
    while not stop.is_set():
        state = channel.get_state(try_to_connect=True)
        if state == grpc.ChannelConnectivity.READY:
            await channel.wait_for_state_change(state)
            continue
        try:
            await asyncio.wait_for(_ready(channel), timeout=_ENGINE_GONE_AFTER)
        except TimeoutError:
            # A busy machine may be slow to answer, but a dead parent does not come back.
            if os.getppid() != parent or state == grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                stop.set()


async def _ready(channel: grpc.aio.Channel) -> None:
    while (state := channel.get_state(try_to_connect=True)) != grpc.ChannelConnectivity.READY:
        await channel.wait_for_state_change(state)


def _token(urn: str) -> str:
    """The resource's own type from `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _failures(failures: list[CheckFailure]) -> list[provider_pb2.CheckFailure]:
    return [provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in failures]


_KINDS: Mapping[tuple[Change, bool], provider_pb2.PropertyDiff.Kind.ValueType] = {
    (Change.ADD, False): provider_pb2.PropertyDiff.ADD,
    (Change.ADD, True): provider_pb2.PropertyDiff.ADD_REPLACE,
    (Change.DELETE, False): provider_pb2.PropertyDiff.DELETE,
    (Change.DELETE, True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    (Change.UPDATE, False): provider_pb2.PropertyDiff.UPDATE,
    (Change.UPDATE, True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


def _diff_response(diff: Diff) -> provider_pb2.DiffResponse:
    some = provider_pb2.DiffResponse.DIFF_SOME
    return provider_pb2.DiffResponse(
        changes=some if diff.changes else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=sorted({c.key for c in diff.changes if c.replaces}),
        diffs=sorted({c.key for c in diff.changes}),
        deleteBeforeReplace=diff.delete_before_replace,
        hasDetailedDiff=True,
        detailedDiff={
            c.path: provider_pb2.PropertyDiff(kind=_KINDS[c.kind, c.replaces], inputDiff=True)
            for c in diff.changes
        },
    )


def _init_failed(failed: ResourceInitFailed) -> bytes:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=failed.id,
        properties=to_struct(failed.state),
        inputs=to_struct(failed.inputs),
        reasons=[str(failed)],
    )
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(failed), details=[packed])
    return bytes(status.SerializeToString())
