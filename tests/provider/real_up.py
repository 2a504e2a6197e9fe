"""One real `pulumi up` of nine servers, run by test_real_up.py in namespaces of its own; prints JSON facts.

Owns: the run and the facts. Leaves to others: what is expected of them.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from bench.account import Account
from bench.servers import Servers, namespaces
from lab.api.testing import LabApi

SERVERS = 9
PATIENCE = 120.0
"""Seconds until servers of which none gets ready must all have been ordered."""


class Hold(threading.Thread):
    """Keeps every guest from being provisioned until all of them are ordered.

    Attributes:
        held: whether all were being provisioned while none was ready.
    """

    def __init__(self, lab: LabApi) -> None:
        super().__init__(daemon=True)
        self.held = False
        self._lab = lab
        lab.fault("stuck", step="ASSIGN_HOST")

    def run(self) -> None:
        try:
            self._lab.wait_until(lambda: self._steps() == ["ASSIGN_HOST"] * SERVERS, "all orders", PATIENCE)
            self.held = True
        finally:
            self._lab.clear_faults()

    def _steps(self) -> list[str | None]:
        return [self._lab.step(guest.id) for guest in self._lab.guests()]


class Watch(threading.Thread):
    """Reads all command lines of this process namespace over and over."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[str] = set()
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.1):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    def end(self) -> None:
        self._ended.set()
        self.join()


def holding(folder: Path, text: str) -> list[str]:
    """Files below `folder` that hold the text."""
    needle = text.encode()
    return [
        str(file.relative_to(folder))
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.is_symlink() and needle in file.read_bytes()
    ]


def run(root: Path) -> dict[str, Any]:
    """Bring nine servers up and look at everything."""
    with Account(root / "api") as account:
        lab = account.lab
        stack = Servers(root / "pulumi", account.endpoint, {}, SERVERS)
        # As encrypted settings of the stack: the way in which a key might get into most places.
        stack.settings({"username": lab.username})
        secret = stack.run("config", "set", "--secret", "swarm-galera:apiKey", given=lab.api_key)
        watch, hold = Watch(), Hold(lab)
        watch.start()
        hold.start()
        said = stack.up()
        hold.join()
        watch.end()
        exported = stack.must("stack", "export")
        guests = [guest.model_dump() for guest in lab.guests()]
        return {
            "secret": secret.code,
            "all_ordered_while_none_was_ready": hold.held,
            "said": said,
            "exported": json.loads(exported),
            "guests": [
                {key: guest[key] for key in ("id", "created", "provisioned", "tags")} for guest in guests
            ],
            "ordered": lab.ordered,
            "in_state": stack.guests(),
            "key_in_said": lab.api_key in said,
            "key_in_arguments": sorted(line for line in watch.seen if lab.api_key in line),
            "providers": sorted(line for line in watch.seen if "pulumi.dynamic" in line),
            "key_in_files": holding(root / "pulumi", lab.api_key),
            "private_key_in_files": holding(root / "pulumi" / "backend", "PRIVATE KEY"),
        }


if __name__ == "__main__":
    namespaces("tests.provider.real_up", sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="swarm-galera-real-up-") as temporary:
        print(json.dumps(run(Path(temporary))))
