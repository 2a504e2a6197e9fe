"""A host of bash scripts: programs on PATH that note how they were called and answer from files.

Owns: running a generated script against such programs. Leaves to others: what the programs answer.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from components.host_scripts.shell import script


@dataclass(frozen=True)
class Ran:
    """How a script ended.

    Attributes:
        code: exit code. out, err: its words. calls: the programs it called, with their arguments.
    """

    code: int
    out: str
    err: str
    calls: list[str]

    def called(self, program: str) -> list[str]:
        """Calls of one program."""
        return [call for call in self.calls if call.split()[0] == program]


class FakeHost:
    """Programs under `folder`/bin, files anywhere under `folder`."""

    def __init__(self, folder: Path, name: str = "galera-1") -> None:
        self.folder, self.name = folder, name
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self._log = folder / "calls"

    def program(self, name: str, body: str = "") -> None:
        """A program that notes its call and then does `body` (bash; `$host` is the host's folder)."""
        path = self.bin / name
        path.write_text(
            f'#!/bin/bash\nhost={self.folder}\nprintf "%s\\n" "{name} $*" >>"$host/calls"\n{body}\n'
        )
        path.chmod(0o755)

    def file(self, name: str, text: str) -> Path:
        """A file of the host."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, text: str, stdin: str = "") -> Ran:
        """Run `text` with the prologue in front, as a host would; the fakes come first on PATH."""
        self._log.write_text("")
        done = subprocess.run(
            ["bash", "-c", script(text)],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.folder), "HOSTNAME": self.name},
            timeout=60,
        )
        return Ran(done.returncode, done.stdout, done.stderr, self._log.read_text().splitlines())
