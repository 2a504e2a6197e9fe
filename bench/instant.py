"""Plugins `command` and `docker` without hosts: `python -m bench.instant command ENGINE`.

Owns: making things up where a real plugin would ask a host: ids, and what the program's scripts would print.
Leaves to others: checks and diffs of commands, which are those of the lab's plugin, so that a preview costs
here what it costs there. A stack has a handful of docker resources whatever its size; for those, a plain
comparison will do.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Sequence

from lab.plugins.command.provider import CommandProvider
from lab.plugins.diffs import Diff, compare
from lab.plugins.docker.provider import named
from lab.plugins.docker.schema import with_defaults
from lab.plugins.provider import CheckFailure, Found, Log, Provider, name_of, unique_id
from lab.plugins.server import serve
from lab.plugins.values import Properties, wire

SWARM = {"cluster": "c", "node": "n", "manager": "SWMTKN-1-m", "worker": "SWMTKN-1-w"}
"""What the program reads from the command that starts the swarm (made up, like every id here)."""


class InstantCommand(CommandProvider):
    """The lab's command plugin, except that nothing is run."""

    async def create(self, token: str, urn: str, news: Properties, log: Log) -> tuple[str, Properties]:
        name = name_of(urn)
        printed = f"10.20.0.{secrets.randbelow(200) + 2}"
        if name.endswith("-started"):
            printed = json.dumps(SWARM)
        elif name.endswith("-image-resolved"):
            printed = f"registry.example.com/image:1@sha256:{secrets.token_hex(32)}"
        return unique_id(name), {**news, "stdout": wire(printed), "stderr": wire("")}

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
        return {**news, "stdout": state["stdout"], "stderr": state["stderr"]}

    async def delete(self, token: str, id: str, state: Properties, log: Log) -> None:
        """Nothing was made."""


class InstantDocker(Provider):
    """Docker resources that are only remembered: the state is the inputs, and a name where none was given."""

    name, version = "docker", "5.2.0"

    async def check(
        self, token: str, urn: str, olds: Properties, news: Properties
    ) -> tuple[Properties, list[CheckFailure]]:
        return named(urn, olds, with_defaults({}, news)), []

    async def diff(
        self,
        token: str,
        old_inputs: Properties,
        state: Properties,
        news: Properties,
        ignored: Sequence[str] = (),
    ) -> Diff:
        return Diff(compare(old_inputs, news))

    async def preview_create(self, token: str, news: Properties) -> Properties:
        return dict(news)

    async def preview_update(self, token: str, id: str, state: Properties, news: Properties) -> Properties:
        return dict(news)

    async def create(self, token: str, urn: str, news: Properties, log: Log) -> tuple[str, Properties]:
        return unique_id(name_of(urn)), dict(news)

    async def read(self, token: str, id: str, state: Properties, inputs: Properties, log: Log) -> Found:
        return Found(id, state, inputs)

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
        return dict(news)

    async def delete(self, token: str, id: str, state: Properties, log: Log) -> None:
        """Nothing was made."""


PLUGINS: dict[str, type[Provider]] = {"command": InstantCommand, "docker": InstantDocker}

if __name__ == "__main__":
    serve(PLUGINS[sys.argv[1]](), sys.argv[2:])
