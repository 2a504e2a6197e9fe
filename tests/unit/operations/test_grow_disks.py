"""Disks that were grown are taken into use online: where, and what is never touched."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from operations import grow_disks, outputs
from operations.errors import OperationsError
from operations.remote_hosts import Answer
from tests.unit.fake_host import FakeHost
from tests.unit.operations.around_run.test_care import FOUND
from tests.unit.operations.test_verify import NAMES

pytestmark = pytest.mark.unit


def test_every_host_with_a_disk_of_the_program_s_is_meant_and_no_other_can_be() -> None:
    assert [host.name for host in grow_disks.of(FOUND, [])] == list(NAMES)
    assert [host.name for host in grow_disks.of(FOUND, ["galera-2"])] == ["galera-2"]
    without = replace(FOUND, hosts=(replace(FOUND.hosts[0], disk=False), *FOUND.hosts[1:]))
    assert [host.name for host in grow_disks.of(without, [])] == list(NAMES[1:])
    for name in ("galera-1", "galera-9"):
        with pytest.raises(OperationsError, match=f"{name} has no data disk"):
            grow_disks.of(without, [name])


def test_where_nothing_is_mounted_no_disk_is_looked_for(tmp_path: Path) -> None:
    """`up` would prepare one; this command never does."""
    made = FakeHost(tmp_path / "host")
    made.program("findmnt", "exit 1")
    for name in ("vgs", "pvs", "wipefs", "vgcreate"):
        made.program(name)
    ran = made.run(grow_disks.grow("galera-1", str(tmp_path)))
    assert ran.code == 1
    assert "nothing is mounted at /var/lib/docker" in ran.err
    assert {call.split()[0] for call in ran.calls} == {"findmnt"}


def test_disks_are_asked_for_their_size_anew(tmp_path: Path) -> None:
    made = FakeHost(tmp_path / "host")
    made.program("findmnt")
    device = tmp_path / "class" / "block" / "sdb" / "device"
    device.mkdir(parents=True)
    (device / "rescan").write_text("")
    made.run(grow_disks.grow("galera-1", str(tmp_path)))
    assert (device / "rescan").read_text() == "1\n"


def test_an_encrypted_disk_takes_its_device_s_size_first_with_its_own_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, tuple[str, str]] = {}

    class Hosts:
        async def run_all(self, texts: Mapping[str, str]) -> dict[str, Answer]:
            return {name: Answer("1000000000") for name in texts}

        async def run(self, name: str, text: str, stdin: str = "", limit: float = 0.0) -> Answer:
            given[name] = text, stdin
            return Answer()

    @contextlib.asynccontextmanager
    async def connected(_: object) -> AsyncIterator[Hosts]:
        yield Hosts()

    monkeypatch.setattr(grow_disks, "connected", connected)
    found = replace(FOUND, disk_keys={"galera-2": "k2"})
    monkeypatch.setattr(outputs, "of_stack", lambda _: found)
    grow_disks.grow_disks(["galera-1", "galera-2"], "dev")
    assert given["galera-1"] == (grow_disks.grow("galera-1"), "")
    text, stdin = given["galera-2"]
    assert stdin == "k2\n"
    assert text.startswith("IFS= read -r key\n")
    assert text.index("rescan") < text.index("cryptsetup resize")
    assert "cryptsetup" not in given["galera-1"][0]
