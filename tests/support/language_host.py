"""Pulumi's Python language host as a `pulumi` of today needs it for component plugins, over the toolchain's.

The toolchain's command line is 3.245, its language host 3.78, the newest that Go's module proxy has
(lab/toolchain/build.py). Between the two, the call that starts a plugin has changed: the folder is said in
`info.program_directory` now, where the host reads `program`, which is empty, and starts whatever is in the
present folder. This process stands between them and says it in both fields.

    python -m tests.support.language_host HOST …     HOST: the toolchain's; the rest is the command line's

Owns: that, and that a plugin's dependencies are not installed: tests have them already. All other calls
go through as they are.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import language_pb2

from lab.toolchain import places

SERVICE = "/pulumirpc.LanguageRuntime/"
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def launcher(host: Path) -> str:
    """The text of a program that is found as `pulumi-language-python`, before the toolchain's."""
    return (
        f"#!/bin/sh\nPYTHONPATH={places.CHECKOUT} exec {places.VENV / 'bin/python'} "
        f'-m tests.support.language_host {host} "$@"\n'
    )


def in_both_fields(request: bytes) -> bytes:
    """A call that starts a plugin, as host and command line of whichever version say it."""
    asked = language_pb2.RunPluginRequest.FromString(request)
    asked.program = asked.program or asked.info.program_directory
    return bytes(asked.SerializeToString())


class Between(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Hands every call on, whether it is answered once or more often: that is the same on the wire."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        """The handler of one method."""
        method = details.method

        def call(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            if method == f"{SERVICE}InstallDependencies":
                return
            change: Callable[[bytes], bytes] = in_both_fields if method == f"{SERVICE}RunPlugin" else bytes
            try:
                yield from self._channel.stream_stream(method)(map(change, requests))
            except grpc.RpcError as error:
                # What the host does not know, the command line asks in an older way.
                context.abort(error.code(), error.details())

        return grpc.stream_stream_rpc_method_handler(call)


def ends_with_its_parent() -> None:
    """To be run in the child: the host must not outlive this process."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main(argv: list[str]) -> None:
    """Start the host, serve until killed; the port is the first line of the output, as Pulumi has it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    host = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, preexec_fn=ends_with_its_parent)  # noqa: PLW1509
    assert host.stdout is not None
    channel = grpc.insecure_channel(f"127.0.0.1:{int(host.stdout.readline())}", options=UNLIMITED)
    server = grpc.server(futures.ThreadPoolExecutor(32), options=UNLIMITED)
    server.add_generic_rpc_handlers((Between(channel),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    for line in host.stdout:
        print(line, end="", flush=True)
    os._exit(host.wait())


if __name__ == "__main__":
    main(sys.argv[1:])
