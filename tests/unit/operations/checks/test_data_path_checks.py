"""`verify` of the data's own path: which hosts are asked, what they say, and what follows from it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from operations import outputs, verify
from operations.checks import data_path as data_path_checks
from operations.checks import galera as galera_checks
from operations.facts import cluster as cluster_facts
from operations.facts.cluster import HostFacts
from operations.outputs import Outputs
from operations.remote_hosts import Answer, RemoteHosts
from operations.verify import Report
from tests.unit.fake_host import FakeHost
from tests.unit.operations.test_layers import KEPT, values
from tests.unit.operations.test_verify import NAMES, VALUES

pytestmark = pytest.mark.unit

DISK = "/dev/mapper/docker_vg-docker_lv1"
GOOD = "mount\tours\nvolume\t/srv/mariadb/data\n"
WHAT = "/srv/mariadb is the subvolume galera-data of the data disk"


@pytest.fixture
def found() -> Outputs:
    galera: dict[str, Any] = VALUES["galera"]
    return outputs.parse("dev", {**VALUES, "galera": {**galera, "dataPath": "/srv/mariadb"}})


def below(layer: str, **kept: Any) -> Outputs:
    return outputs.parse("dev", values(layer, kept={**KEPT, **kept}))


def test_the_hosts_with_data_are_asked_whether_or_not_it_is_served(found: Outputs) -> None:
    assert data_path_checks.hosts_of(found) == list(NAMES[:3])
    assert data_path_checks.hosts_of(below("hosts", dataPath="/srv/mariadb")) == list(NAMES[:3])
    for without in (
        outputs.parse("dev", VALUES),
        below("swarm"),
        outputs.parse("dev", values("hosts", kept=None)),
    ):
        assert data_path_checks.hosts_of(without) == []


def test_a_path_that_is_the_subvolume_with_the_volume_in_it_holds(found: Outputs) -> None:
    checks = data_path_checks.of_data_path(found, {name: Answer(GOOD) for name in NAMES[:3]})
    assert [(check.where, check.what, check.ok) for check in checks] == [
        (name, WHAT, True) for name in NAMES[:3]
    ]
    assert {check.found for check in checks} == {"of docker_vg/docker_lv1; the volume is /srv/mariadb/data"}


BAD = [
    (
        Answer("mount\t\nvolume\t/srv/mariadb/data\n"),
        "nothing is mounted there",
        "mount /srv/mariadb (its line",
    ),
    (Answer("mount\t/dev/sdz1 (ext4)\n"), "mounted from /dev/sdz1 (ext4)", "mount /srv/mariadb"),
    (
        Answer("mount\tours\nvolume\t\n"),
        "there is no volume galera-data",
        "--opt device=/srv/mariadb/data galera-data",
    ),
    (
        Answer("mount\tours\nvolume\t/var/lib/docker/volumes/galera-data/_data\n"),
        "the volume galera-data leads to /var/lib/docker/volumes/galera-data/_data",
        "its former data is in /srv/mariadb/data",
    ),
    (Answer(""), "nothing is mounted there", "mount /srv/mariadb"),
    (Answer(error="no answer within 120 s"), "no answer within 120 s", ""),
]


@pytest.mark.parametrize(("answer", "said", "remedy"), BAD)
def test_what_is_amiss_is_named_with_what_to_do(
    found: Outputs, answer: Answer, said: str, remedy: str
) -> None:
    (check,) = data_path_checks.of_data_path(found, {"galera-2": answer})
    assert (check.where, check.what, check.ok, check.found) == ("galera-2", WHAT, False, said)
    assert remedy in check.remedy
    assert "{" not in check.remedy


@pytest.mark.parametrize(
    ("at", "device", "said"),
    [
        (f"{DISK}[/galera-data] btrfs", "/srv/mariadb/data", GOOD),
        ("", "/srv/mariadb/data", "mount\t\nvolume\t/srv/mariadb/data\n"),
        ("/dev/sdz1 ext4", "", "mount\t/dev/sdz1 (ext4)\nvolume\t\n"),
        ("/dev/sdz[/galera-data] btrfs", "x", "mount\t/dev/sdz[/galera-data] (btrfs)\nvolume\tx\n"),
        (f"{DISK}[/other] btrfs", "x", f"mount\t{DISK}[/other] (btrfs)\nvolume\tx\n"),
    ],
)
def test_a_host_says_what_is_mounted_and_where_the_volume_leads(
    found: Outputs, tmp_path: Path, at: str, device: str, said: str
) -> None:
    host = FakeHost(tmp_path / "host")
    host.file("at", f"{at}\n" if at else "")
    host.program("findmnt", f'if [[ $5 == /var/lib/docker ]]; then echo {DISK}; else cat "$host/at"; fi')
    host.program("docker", f"[[ '{device}' ]] || exit 1; echo {device}")
    ran = host.run(data_path_checks.ask(found))
    assert (ran.code, ran.out) == (0, said), ran.err


def test_only_a_stack_with_a_path_is_asked(found: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    async def looked(*_: object) -> dict[str, HostFacts]:
        return {name: cluster_facts.parse("", "no SSH") for name in NAMES}

    @contextlib.asynccontextmanager
    async def connected(_outputs: Outputs) -> AsyncIterator[RemoteHosts]:
        hosts = RemoteHosts()
        hosts.unreachable = dict.fromkeys(NAMES, "no SSH")
        yield hosts

    monkeypatch.setattr(verify, "connected", connected)
    monkeypatch.setattr(verify, "_looked", looked)
    for each, expected in ((found, list(NAMES[:3])), (replace(found, data_path=""), [])):
        report = Report()
        asyncio.run(verify._verify(each, report))
        assert [check.where for check in report.checks if check.what == WHAT] == expected
        assert ("data path" in report.stages) == bool(expected)


def test_a_full_copy_begins_with_emptying_the_path() -> None:
    assert "find /srv/mariadb/data -mindepth 1 -delete" in galera_checks.full_copy("galera-2", "/srv/mariadb")
    assert "find /var/lib/docker/volumes/galera-data/_data -mind" in galera_checks.full_copy("galera-2")
