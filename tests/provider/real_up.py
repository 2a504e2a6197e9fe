"""A stack of nine servers under the real Pulumi, from `up` to `destroy`, run by test_real_up.py in namespaces
of its own; prints JSON facts.

Owns: the runs and the facts. Leaves to others: what is expected of them.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from harness import namespaces
from harness.account import Account
from harness.lab_api import LabApi
from harness.servers import Servers

SERVERS = 9
PROVISION = 12.0
"""Seconds that each server takes from its order on: far more than nine orders take."""
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
    """Files below `folder` that hold the text, but for the user's own credentials."""
    needle = text.encode()
    return [
        str(file.relative_to(folder))
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and not file.is_symlink()
        and file.name != ".softlayer"
        and needle in file.read_bytes()
    ]


def made(stack: Servers, lab: LabApi) -> dict[str, Any]:
    """`up`, with the API key as an encrypted setting of the stack."""
    stack.settings({"username": lab.username})
    secret = stack.run("config", "set", "--secret", "swarm-galera:apiKey", given=lab.api_key)
    lab.durations(provision=PROVISION)
    hold = Hold(lab)
    hold.start()
    said = stack.up()
    hold.join()
    last_look = max(call["at"] for call in lab.calls("Virtual_Guest", "getObject"))
    lab.durations(provision=0.05)
    exported = stack.exported()
    guests = lab.guests()
    return {
        "said": said,
        "secret": secret.code,
        "all_ordered_while_none_was_ready": hold.held,
        "seconds_from_last_order_to_last_look": last_look - max(guest.created for guest in guests),
        "exported": exported,
        "guests": [guest.model_dump(include={"id", "tags", "memory"}) for guest in guests],
        "ordered": lab.ordered,
        "in_state": stack.guests(),
    }


def changed(stack: Servers, lab: LabApi) -> dict[str, Any]:
    """A change in place, with the API key in the environment."""
    stack.settings({"username": None, "apiKey": None, "memory": 4096})
    stack.environment |= lab.environment
    said = stack.up()
    # Drift, which a refresh would find, would be a change of this preview.
    again = stack.run("preview", "--refresh", "--expect-no-changes")
    return {
        "said": said + again.said,
        "guests": [guest.model_dump(include={"id", "memory"}) for guest in lab.guests()],
        "ordered": lab.ordered,
        "changes": "" if again.code == 0 else again.said,
    }


def cancelled(stack: Servers, lab: LabApi) -> dict[str, Any]:
    """A server that somebody cancelled, taken out of the state and ordered anew, as `operations up` does."""
    gone = min(guest.id for guest in lab.guests())
    before = {each["urn"]: each.get("id") for each in stack.exported()["deployment"]["resources"]}
    (urn,) = (each for each, number in before.items() if number == str(gone) and "VirtualGuest" in each)
    lab.client().call("Virtual_Guest", "deleteObject", id=gone)
    lab.wait_until(lambda: gone not in [guest.id for guest in lab.guests()], "its end")
    said = stack.must("refresh", "--yes", "--skip-preview", "--target", urn)
    without = stack.guests()
    said += stack.up()
    after = {each["urn"]: each for each in stack.exported()["deployment"]["resources"]}
    return {
        "said": said,
        "without": without,
        "others": [guest.id for guest in lab.guests() if guest.id in without],
        "ordered": lab.ordered,
        "in_state": stack.guests(),
        "waited_for": [
            int(float(each["outputs"]["guest_id"]))
            for each in after.values()
            if each["type"].endswith("GuestReady")
        ],
        "replaced": [
            name
            for name, number in before.items()
            if number and name != urn and after[name].get("id") != number
        ],
    }


def destroyed(stack: Servers, lab: LabApi, home: Path) -> dict[str, Any]:
    """`destroy`, with the API key in the user's own file."""
    for name in lab.environment:
        stack.environment.pop(name)
    stack.environment["HOME"] = str(home)
    home.mkdir()
    text = f"[softlayer]\nusername = {lab.username}\napi_key = {lab.api_key}\n"
    (home / ".softlayer").write_text(text, encoding="utf-8")
    said = stack.destroy()
    client = lab.client()
    return {
        "said": said,
        "in_state": stack.guests(),
        "guests": [guest.id for guest in lab.guests()],
        "keys": client.call("Account", "getSshKeys"),
        "groups": client.call("Account", "getSecurityGroups"),
    }


def run(root: Path) -> dict[str, Any]:
    """All of it, and a look at everything the API key might have got into."""
    with Account(root / "api") as account:
        lab = account.lab
        # The marked key comes from another place in each of the runs, and into them by no other way.
        stack = Servers(root / "pulumi", account.endpoint, {}, SERVERS)
        watch = Watch()
        watch.start()
        facts: dict[str, Any] = {"up": made(stack, lab)}
        key_in_files = holding(root / "pulumi", lab.api_key)
        private_key_in_files = holding(stack.backend, "PRIVATE KEY")
        facts["change"] = changed(stack, lab)
        facts["cancel"] = cancelled(stack, lab)
        facts["destroy"] = destroyed(stack, lab, root / "pulumi" / "user")
        watch.end()
        return {
            **facts,
            "key_in_said": [name for name, one in facts.items() if lab.api_key in one["said"]],
            "key_in_arguments": sorted(line for line in watch.seen if lab.api_key in line),
            "providers": sorted(line for line in watch.seen if "pulumi.dynamic" in line),
            "key_in_files": key_in_files + holding(root / "pulumi", lab.api_key),
            "private_key_in_files": private_key_in_files,
        }


if __name__ == "__main__":
    namespaces.enter("tests.provider.real_up", sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="swarm-galera-real-up-") as temporary:
        print(json.dumps(run(Path(temporary))))
