"""The resources of the `command` plugin: their inputs, what a change means, which command runs when.

Rules of the official plugin, kept here:
- `create` runs on creation; `update`, or else `create`, when any input changed; `delete` on deletion; a
  changed trigger replaces; a resource without the command in question only changes its state.
- stdout and stderr of the run before are in the environment of updates and deletions as
  PULUMI_COMMAND_STDOUT/STDERR, unless `addPreviousOutputInEnv` is false.
- An output is secret when the input of the same name is; stdout and stderr are plain unless the program says
  `additional_secret_outputs`. In a preview stdout and stderr are unknown as soon as any input changed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi

from lab.plugins.command import NAME, VERSION, local, remote
from lab.plugins.command.output import LOGGING, Output
from lab.plugins.diffs import Diff, compare
from lab.plugins.provider import (
    CheckFailure,
    Found,
    Log,
    Provider,
    ResourceError,
    name_of,
    unique_id,
)
from lab.plugins.ssh import ConnectionPool, Endpoint
from lab.plugins.values import Properties, Unknown, has_unknown, plain, plain_map, secret_texts, wire

REMOTE, COPY, LOCAL = "command:remote:Command", "command:remote:CopyToRemote", "command:local:Command"

_COMMAND_INPUTS = {
    "create": str,
    "update": str,
    "delete": str,
    "stdin": str,
    "environment": dict,
    "triggers": list,
    "logging": str,
    "addPreviousOutputInEnv": bool,
}
_INPUTS: Mapping[str, Mapping[str, Any]] = {
    REMOTE: {**_COMMAND_INPUTS, "connection": dict},
    LOCAL: {**_COMMAND_INPUTS, "dir": str, "interpreter": list},
    COPY: {"connection": dict, "source": object, "remotePath": str, "triggers": list},
}
_REQUIRED = {REMOTE: {"connection"}, LOCAL: set[str](), COPY: {"connection", "source", "remotePath"}}

_ENDPOINT_INPUTS: Mapping[str, type | tuple[type, ...]] = {
    "host": str,
    "port": (int, float),
    "user": str,
    "password": str,
    "privateKey": str,
    "privateKeyPassword": str,
    "agentSocketPath": str,
    "hostKey": str,
    "dialErrorLimit": int,
    "perDialTimeout": int,
}
_ENDPOINT_DEFAULTS = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}
_CREDENTIALS = ("password", "privateKey", "privateKeyPassword")

_WORDS = {str: "a string", dict: "a map", list: "a list", bool: "true or false", int: "a whole number"}


class CommandProvider(Provider):
    """All three resources; they differ in their inputs and in how a command is run."""

    name, version = NAME, VERSION

    def __init__(self) -> None:
        self._pool = ConnectionPool()

    async def close(self) -> None:
        await self._pool.close()

    async def check(
        self, token: str, urn: str, olds: Properties, news: Properties
    ) -> tuple[Properties, list[CheckFailure]]:
        if token not in _INPUTS:
            known = ", ".join(_INPUTS)
            raise ResourceError(
                f"this stand-in for the official command plugin has no {token}, only {known}. "
                "Install the official plugin for it: `pulumi plugin install resource command 1.2.1`."
            )
        failures = [
            CheckFailure(key, f"Missing required property '{key}'")
            for key in sorted(_REQUIRED[token])
            if key not in news or news[key].value is None
        ]
        for key, value in plain_map(news).items():
            if reason := _wrong(token, key, value):
                failures.append(CheckFailure(key, reason))
        return (news if failures else _with_defaults(token, news)), failures

    async def diff(
        self,
        token: str,
        old_inputs: Properties,
        state: Properties,
        news: Properties,
        ignored: Sequence[str] = (),
    ) -> Diff:
        # State from a version that did not record inputs: the state holds them, beside the outputs.
        olds = old_inputs or {k: v for k, v in state.items() if k not in ("stdout", "stderr")}
        return Diff(compare(olds, news, replaces=lambda names: names[0] == "triggers"))

    async def preview_create(self, token: str, news: Properties) -> Properties:
        return dict(news) if token == COPY else {**news, **_unknown_outputs()}

    async def preview_update(self, token: str, id: str, state: Properties, news: Properties) -> Properties:
        _require_known(token, state)
        return dict(news) if token == COPY else {**news, **_unknown_outputs()}

    async def create(self, token: str, urn: str, news: Properties, log: Log) -> tuple[str, Properties]:
        state = await self._apply(token, news, news.get("create"), {}, log)
        return unique_id("" if token == COPY else name_of(urn)), state

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
        _require_known(token, state)
        if token == COPY and not any(
            change.key in ("source", "remotePath") for change in compare(old_inputs or state, news)
        ):
            return dict(news)
        return await self._apply(token, news, _given(news.get("update")) or news.get("create"), state, log)

    async def read(self, token: str, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        # What a command did can't be looked at; what was recorded stands, as with the official plugin.
        return Found(id, state, inputs)

    async def delete(self, token: str, id: str, state: Properties, log: Log) -> None:
        if token != COPY:
            await self._apply(token, state, state.get("delete"), state, log)

    async def _apply(
        self, token: str, inputs: Properties, command: Any, before: Properties, log: Log
    ) -> Properties:
        """Do what `inputs` say (run `command`, or copy) and return the new state."""
        if unknown := sorted(k for k, v in inputs.items() if has_unknown(v) and k in _INPUTS[token]):
            raise ResourceError(f"not known while it is being made: {', '.join(unknown)}")
        if token == COPY:
            await self._copy(plain_map(inputs), log)
            return dict(inputs)
        kept = {k: v for k, v in inputs.items() if k in _INPUTS[token]}
        text = None if command is None else plain(command)
        if text is None:
            return {
                **kept,
                "stdout": before.get("stdout", wire("")),
                "stderr": before.get("stderr", wire("")),
            }
        options = plain_map(inputs)
        hidden = set().union(*(secret_texts(v) for k, v in inputs.items() if k != "connection"))
        hidden |= _credentials(options.get("connection"))
        output = Output(log, LOGGING[options.get("logging", "stdoutAndStderr")], hidden)
        async with output:
            await self._run(token, str(text), options, _previous(options, before), output, log)
        return {**kept, "stdout": wire(output.stdout), "stderr": wire(output.stderr)}

    async def _run(
        self,
        token: str,
        command: str,
        options: dict[str, Any],
        previous: dict[str, str],
        output: Output,
        log: Log,
    ) -> None:
        environment, stdin = options.get("environment", {}), options.get("stdin", "")
        if token == LOCAL:
            await local.run(
                command,
                output,
                interpreter=options.get("interpreter") or ("/bin/sh", "-c"),
                directory=options.get("dir"),
                stdin=stdin,
                environment={**environment, **previous},
            )
            return

        async def on_retry(message: str) -> None:
            await log("info", message, status=True)

        async def warn(message: str) -> None:
            await log("warning", message)

        job = remote.Job(command, stdin, environment, previous)
        await remote.run(self._pool, endpoint(options["connection"]), job, output, on_retry, warn)

    async def _copy(self, options: dict[str, Any], log: Log) -> None:
        async def on_retry(message: str) -> None:
            await log("info", message, status=True)

        source = options["source"]
        what: Path | str = source.text if isinstance(source, pulumi.StringAsset) else Path(source.path)
        if isinstance(what, Path) and not what.exists():
            raise ResourceError(f"nothing to copy: {what} does not exist (seen from {os.getcwd()})")
        await remote.copy(self._pool, endpoint(options["connection"]), what, options["remotePath"], on_retry)


def _require_known(token: str, state: Properties) -> None:
    """Refuse what another type left in the state, as the official plugin does: an alias helps nobody."""
    known = {*_INPUTS[token], "stdout", "stderr", "assets", "archive", "assetPaths", "archivePaths"}
    if unknown := sorted(state.keys() - known):
        kind = "remote" if token == REMOTE else "local"
        words = [f"\t{key}: Unrecognized field '{key}' on '{kind}.CommandOutputs'" for key in unknown]
        raise ResourceError(f"{len(words)} failures decoding:\n" + "\n".join(words))


def endpoint(connection: Mapping[str, Any]) -> Endpoint:
    """The `connection` input as an `Endpoint`."""
    return Endpoint(
        host=connection["host"],
        port=int(connection.get("port", 22)),
        user=connection.get("user", "root"),
        password=connection.get("password"),
        private_key=connection.get("privateKey"),
        private_key_password=connection.get("privateKeyPassword"),
        agent_socket_path=connection.get("agentSocketPath"),
        host_key=connection.get("hostKey"),
        dial_error_limit=int(connection.get("dialErrorLimit", 10)),
        per_dial_timeout=int(connection.get("perDialTimeout", 15)),
        proxy=endpoint(connection["proxy"]) if connection.get("proxy") else None,
    )


def _given(value: Any) -> Any:
    return value if value is not None and value.value is not None else None


def _unknown_outputs() -> Properties:
    return {"stdout": wire(Unknown()), "stderr": wire(Unknown())}


def _previous(options: Mapping[str, Any], before: Properties) -> dict[str, str]:
    if not options.get("addPreviousOutputInEnv", True):
        return {}
    outputs = {name: plain(before[name]) for name in ("stdout", "stderr") if name in before}
    return {f"PULUMI_COMMAND_{name.upper()}": text for name, text in outputs.items() if text}


def _credentials(connection: Mapping[str, Any] | None) -> set[str]:
    if not connection:
        return set()
    own = {str(connection[key]) for key in _CREDENTIALS if connection.get(key)}
    return own | _credentials(connection.get("proxy"))


def _with_defaults(token: str, news: Properties) -> Properties:
    inputs = dict(news)
    if token != COPY and "addPreviousOutputInEnv" not in inputs:
        inputs["addPreviousOutputInEnv"] = wire(True)
    connection = inputs.get("connection")
    if connection is not None and isinstance(connection.value, Mapping):
        inputs["connection"] = wire(_connection_with_defaults(connection.value))
    if connection is not None:
        inputs["connection"] = inputs["connection"].with_secret(True)
    return inputs


def _connection_with_defaults(connection: Mapping[str, Any]) -> dict[str, Any]:
    filled = {**{k: wire(v) for k, v in _ENDPOINT_DEFAULTS.items()}, **connection}
    proxy = connection.get("proxy")
    if proxy is not None and isinstance(proxy.value, Mapping):
        filled["proxy"] = wire(_connection_with_defaults(proxy.value)).with_secret(proxy.is_secret)
    return filled


def _wrong(token: str, key: str, value: Any) -> str | None:
    """What is wrong with one input, None when nothing is."""
    expected = _INPUTS[token].get(key)
    if expected is None:
        return f"{token} takes no '{key}'" + (
            "; this stand-in for the official command plugin leaves assets out"
            if key in ("assetPaths", "archivePaths")
            else ""
        )
    if isinstance(value, Unknown):
        return None
    if not isinstance(value, expected):
        return f"'{key}' must be {_WORDS[expected]}"
    if key == "logging" and value not in LOGGING:
        return f"'logging' must be one of {', '.join(LOGGING)}"
    if key == "environment" and (
        bad := sorted(k for k, v in value.items() if not isinstance(v, str | Unknown))
    ):
        return f"the value of environment variable '{bad[0]}' must be a string"
    if key == "source":
        return _wrong_source(value)
    return _wrong_connection(value) if key == "connection" else None


def _wrong_connection(connection: Mapping[str, Any], what: str = "connection") -> str | None:
    if not connection.get("host"):
        return f"the {what} has no host"
    for key, value in connection.items():
        if key == "proxy" and what == "connection" and isinstance(value, dict):
            if reason := _wrong_connection(value, "connection's proxy"):
                return reason
            continue
        expected = _ENDPOINT_INPUTS.get(key)
        if expected is None:
            return f"the {what} takes no '{key}'"
        if not isinstance(value, expected) and not isinstance(value, Unknown):
            kind = expected if isinstance(expected, type) else int
            return f"the {what}'s '{key}' must be {_WORDS[kind]}"
    return None


def _wrong_source(source: Any) -> str | None:
    if isinstance(source, pulumi.FileAsset | pulumi.StringAsset | pulumi.FileArchive):
        return None
    return "'source' must be a FileAsset, a StringAsset or a FileArchive"
