"""What a command prints: captured whole, shown line by line while it runs, quoted when it fails.

Owns the `logging` input's meaning and the text of a failure. Leaves running commands to `remote` and `local`.
"""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import Set as AbstractSet

from lab.plugins.provider import Log
from lab.plugins.values import hide

LOGGING = {
    "stdout": frozenset({"stdout"}),
    "stderr": frozenset({"stderr"}),
    "stdoutAndStderr": frozenset({"stdout", "stderr"}),
    "none": frozenset[str](),
}

_LONGEST_COMMAND = 400  # characters of the command in a failure
_LONGEST_OUTPUT = 32 * 1024  # characters of the output's end in a failure


class Output:
    """Takes the two streams' bytes as they come. An async context: at its end all lines have been shown.

    `shown` are the streams to show, `hidden` texts that must not be shown in plain.
    """

    def __init__(self, log: Log, shown: AbstractSet[str], hidden: AbstractSet[str]) -> None:
        self._log, self._shown, self._hidden = log, shown, hidden
        self._decoders = {s: codecs.getincrementaldecoder("utf-8")("replace") for s in ("stdout", "stderr")}
        self._texts: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._both: list[str] = []
        self._unfinished = {"stdout": "", "stderr": ""}
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._showing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Output:
        self._showing = asyncio.create_task(self._show())
        return self

    async def __aexit__(self, *_: object) -> None:
        for stream in ("stdout", "stderr"):
            self._take(stream, self._decoders[stream].decode(b"", final=True))
            if self._unfinished[stream]:
                self._line(stream, self._unfinished[stream])
        self._lines.put_nowait(None)
        assert self._showing is not None
        await self._showing

    def write(self, stream: str, data: bytes) -> None:
        """Take bytes of `stream`, stdout or stderr."""
        self._take(stream, self._decoders[stream].decode(data))

    @property
    def stdout(self) -> str:
        """All of stdout, one trailing newline taken off."""
        return "".join(self._texts["stdout"]).removesuffix("\n")

    @property
    def stderr(self) -> str:
        """All of stderr, one trailing newline taken off."""
        return "".join(self._texts["stderr"]).removesuffix("\n")

    def failure(self, reason: str, command: str, where: str = "") -> str:
        """The text of a failed command: why, which command, and what it printed; secrets hidden."""
        # Of a script its first line: the rest is in the state, and what it printed matters more.
        first, *others = hide(command, self._hidden).strip().split("\n")
        shown = first[:_LONGEST_COMMAND] + ("…" if others or len(first) > _LONGEST_COMMAND else "")
        output = hide("".join(self._both), self._hidden)
        if len(output) > _LONGEST_OUTPUT:
            output = "… (earlier output left out)\n" + output[-_LONGEST_OUTPUT:]
        place = (f" ({len(others) + 1} lines)" if others else "") + (f" on {where}" if where else "")
        return f"{reason}: running {json.dumps(shown, ensure_ascii=False)}{place}:\n{output}"

    def _take(self, stream: str, text: str) -> None:
        if not text:
            return
        self._texts[stream].append(text)
        self._both.append(text)
        *lines, self._unfinished[stream] = (self._unfinished[stream] + text).split("\n")
        for line in lines:
            self._line(stream, line)

    def _line(self, stream: str, line: str) -> None:
        if stream in self._shown and line.strip():
            self._lines.put_nowait(hide(line.rstrip("\r"), self._hidden))

    async def _show(self) -> None:
        while (line := await self._lines.get()) is not None:
            await self._log("info", line, status=True)
