"""Which MariaDB data is of, and what a node makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from images.galera.galera_node import data_version
from images.galera.galera_node.local_state import Kind, Local
from images.galera.galera_node.network import Names
from images.galera.galera_node.settings import Settings
from tests.unit.images.no_balancer import NO_BALANCER
from tests.unit.images.test_galera_node_supervisor import AWAY

pytestmark = pytest.mark.unit

VIEW = "TYPE=VIEW\nquery=select 1\ntimestamp=0001732910000\nmariadb-version={}\nsource=select 1\n"


def data(folder: Path, sys: int | None = None, mysql: int | None = None, note: str = "") -> Path:
    """A data directory whose views these servers wrote, and what an upgrade has noted."""
    for name, version in (("sys/version.frm", sys), ("mysql/user.frm", mysql)):
        if version is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(VIEW.format(version))
    if note:
        (folder / "mariadb_upgrade_info").write_text(note)
    return folder


@pytest.mark.parametrize(
    ("sys", "mysql", "note", "version"),
    [
        (101119, 101119, "", "10.11"),
        (110809, 110809, "", "11.8"),
        (110809, 101119, "", "11.8"),
        (None, 101119, "", "10.11"),
        (None, 101119, "11.8.9-MariaDB", "11.8"),
        (120301, 110809, "11.8.9-MariaDB", "12.3"),
        (None, None, "", None),
    ],
)
def test_the_tables_say_which_server_they_are_of(
    tmp_path: Path, sys: int | None, mysql: int | None, note: str, version: str | None
) -> None:
    assert data_version.of_data(data(tmp_path, sys, mysql, note)) == version


def test_a_view_that_says_nothing_is_no_sign(tmp_path: Path) -> None:
    (tmp_path / "sys").mkdir()
    (tmp_path / "sys" / "version.frm").write_bytes(b"\xfe\x01\x00mariadb-version=1\n")
    assert data_version.of_data(tmp_path) is None


@pytest.mark.parametrize(
    ("found", "own", "allowed", "said"),
    [
        (None, "11.8", "", ""),
        ("11.8", "11.8", "", ""),
        ("10.11", "11.8", "11.8", ""),
        ("10.11", "", "", ""),
        ("10.11", "11.8", "", "set galera.upgradeTo: '11.8'"),
        ("10.11", "12.3", "11.8", "set galera.upgradeTo: '12.3'"),
        ("11.8", "10.11", "", "which cannot read it"),
        ("11.8", "10.11", "10.11", "which cannot read it"),
    ],
)
def test_data_goes_one_way_and_only_by_a_persons_word(
    found: str | None, own: str, allowed: str, said: str
) -> None:
    why = data_version.refusal(found, own, allowed)
    assert (said in why) if said else (why == "")


@pytest.fixture
def old(settings: Settings) -> Settings:
    """Of a node of 11.8 with data of 10.11."""
    data(settings.data_dir, 101119, 101119)
    return replace(settings, version="11.8")


def made(modules: Any, settings: Settings) -> Any:
    return modules.supervisor.Node(settings, AWAY, Names(look=lambda _: []), NO_BALANCER)


@pytest.mark.parametrize("allowed", ["", "11.8"])
def test_a_node_refuses_data_of_another_version_so_that_the_engine_sees_it(
    modules: Any,
    old: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    allowed: str,
) -> None:
    monkeypatch.setattr(modules.supervisor, "REFUSED", 0.01)
    node = made(modules, replace(old, upgrade_to=allowed))
    begun: list[int] = []

    def run() -> None:
        begun.append(1)
        node.watch.failures = 99  # ends the loop

    monkeypatch.setattr(node.attempt, "run", run)
    assert node.run() == 1
    refuses = "refusing to start: the data is of MariaDB 10.11" in capsys.readouterr().err
    assert (refuses, len(begun)) == (not allowed, 1 if allowed else 0)


@pytest.mark.parametrize(
    ("script", "well", "said"),
    [
        ("printf 'mariadb-version=110809\\n' > {data}/sys/version.frm", True, "are those of MariaDB 11.8"),
        ("echo no room; exit 3", False, "mariadb-upgrade ended with 3: no room"),
        ("echo fine", False, "mariadb-upgrade ended with 0: fine"),
    ],
)
def test_system_tables_are_brought_up_to_date_before_the_node_serves(
    modules: Any,
    old: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: str,
    well: bool,
    said: str,
) -> None:
    program = tmp_path / "upgrade"
    program.write_text(f"#!/bin/sh\n{script.format(data=old.data_dir)}\n")
    program.chmod(0o755)
    old.run_dir.mkdir()
    node = made(modules, old)
    monkeypatch.setattr(data_version, "UPGRADE", str(program))
    shown: list[str] = []
    monkeypatch.setattr(
        node.parts.membership, "look", lambda presence, _details: shown.append(presence.state)
    )
    presence = node.parts.observer.presence("synced", "u", 7)
    assert node.watch._up_to_date(presence, Local(Kind.DATA, "u", 7)) is well
    assert said in capsys.readouterr().err
    assert set(shown) <= {"starting"}
    if well:
        # Nothing is left to do: the program is not called again.
        program.unlink()
        assert node.watch._up_to_date(presence, Local(Kind.DATA, "u", 7))
