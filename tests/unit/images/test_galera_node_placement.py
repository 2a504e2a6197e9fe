"""Where a full copy's files go when the server keeps some of them beside the data."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from images.galera.galera_node import joiner, local_state, placement
from images.galera.galera_node.framing import TransferError
from images.galera.galera_node.local_state import Kind
from images.galera.galera_node.placement import Placement
from images.galera.galera_node.sst_options import Options, parse
from tests.unit.images.test_galera_node_transfer import GTID, Site, site

pytestmark = pytest.mark.unit

__all__ = ["site"]


def options(data: Path, *, binlog: str = "", index: str = "") -> Options:
    return Options("joiner", "10.0.0.1:4444", data, data / "my.cnf", GTID, False, 1, binlog, index)


@pytest.mark.parametrize(
    ("given", "server", "expected"),
    [
        pytest.param(("", ""), {}, ("", None, None), id="all in the data directory"),
        pytest.param(("", ""), {"innodb_undo_directory": "./"}, ("", None, None), id="undo: the same"),
        pytest.param(("", ""), {"innodb_undo_directory": "undo"}, ("undo", None, None), id="undo: below"),
        pytest.param(("", ""), {"innodb_undo_directory": '"/u"'}, ("/u", None, None), id="undo: elsewhere"),
        pytest.param(("b", ""), {}, ("", "b", "b.index"), id="binary logs among the data"),
        pytest.param(("/logs/b", ""), {}, ("", "/logs/b", "/logs/b.index"), id="binary logs elsewhere"),
        pytest.param(("b", "/i/list"), {}, ("", "b", "/i/list.index"), id="an index without its ending"),
        pytest.param(("b", "list.txt"), {}, ("", "b", "list.txt"), id="an index with another ending"),
    ],
)
def test_places_are_where_the_server_looks_for_them(
    given: tuple[str, str], server: dict[str, str], expected: tuple[str, str | None, str | None]
) -> None:
    data = Path("/var/lib/mysql")
    found = placement.placement(options(data, binlog=given[0], index=given[1]), server)
    undo, *logs = expected
    assert found == Placement(data, data / undo, *(None if log is None else data / log for log in logs))


def test_the_server_s_words_on_binary_logs_are_understood() -> None:
    words = ["--role", "joiner", "--address", "10.0.0.1:4444", "--datadir", "/data", "--defaults-file", "/my"]
    assert (parse(words).binlog, parse(words).binlog_index) == ("", "")
    logs = ["--binlog", "/logs/b", "--binlog-index", "/logs/list.index"]
    found = parse([*words, *logs, "--mysqld-args", "--binlog=other"])
    assert (found.binlog, found.binlog_index) == ("/logs/b", "/logs/list.index")
    assert parse([*words, "--gtid-domain-id", "7"]).domain == "7"


def beside(site: Site, root: Path) -> None:
    """The joiner's server has its undo tablespaces and its binary logs out of the data directory."""
    for folder in ("undo", "logs"):
        (root / folder).mkdir()
    for name in (
        "undo/undo001",
        "undo/undo007",
        "undo/notes",
        "logs/b.000001",
        "logs/b.000001.idx",
        "logs/b.state",
    ):
        (root / name).write_text("before")
    for name in ("logs/b.index", "logs/b.000001.kept", "logs/bb.000001", "logs/other.000001"):
        (root / name).write_text("before")
    site.options["joiner"] = replace(site.options["joiner"], binlog=str(root / "logs/b"))
    sends = site.options["donor"].data_dir
    for name in ("undo001", "undo002", "donors-log.000004"):
        (sends / name).write_text("donor")
    (sends / "mariadb_backup_binlog_info").write_text("donors-log.000004\t330\t0-1-7\n")


def content(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def test_undo_tablespaces_go_to_their_folder_and_binary_logs_begin_anew(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside(site, tmp_path)
    monkeypatch.setattr(joiner, "server_options", lambda: {"innodb_undo_directory": str(tmp_path / "undo")})
    thread, address = site.joining()
    site.donates(address)
    thread.join(30)
    assert (site.ended, site.said.get_nowait()) == (None, GTID)
    # Nothing of before is left that the server would take for its own, and nothing else is touched.
    assert content(tmp_path / "undo") == {"undo001": "donor", "undo002": "donor", "notes": "before"}
    others = {"b.000001.kept": "before", "bb.000001": "before", "other.000001": "before"}
    assert content(tmp_path / "logs") == others
    # The donor's binary log is not the joiner's: it would be ahead of the rows.
    assert {"new.ibd", "ibdata1"} <= set(content(site.data))
    assert not {"undo001", "donors-log.000004", "mariadb_backup_binlog_info"} & set(content(site.data))
    assert local_state.read(site.data).kind is Kind.DATA


def test_folders_among_the_data_are_there_again_after_a_copy(site: Site, tmp_path: Path) -> None:
    beside(site, tmp_path)
    site.options["joiner"] = replace(site.options["joiner"], binlog="logs/b", binlog_index="lists/all")
    thread, address = site.joining()
    site.donates(address)
    thread.join(30)
    assert site.ended is None
    assert [(site.data / name).is_dir() for name in ("logs", "lists")] == [True, True]
    assert content(site.data)["undo002"] == "donor"


@pytest.mark.parametrize("broken", ["a file is in its place", "nobody may write to it"])
def test_a_folder_that_can_not_be_used_is_said_before_anything_is_touched(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    folder = tmp_path / "broken"
    if broken == "nobody may write to it":
        folder.mkdir()
        monkeypatch.setattr(os, "access", lambda path, _mode: path != folder)
        said = "can't be written to"
    else:
        folder.write_text("no folder")
        said = "can't be made"
    monkeypatch.setattr(joiner, "server_options", lambda: {"innodb_undo_directory": str(folder)})
    thread, address = site.joining()
    with pytest.raises((TransferError, OSError)):
        site.donates(address)
    thread.join(30)
    with pytest.raises(TransferError, match=f"{folder}, which the server's options name, {said}"):
        raise site.ended or AssertionError
    assert set(content(site.data)) == {"ibdata1", "old.ibd", local_state.COPIES}
    assert local_state.read(site.data).kind is Kind.DATA
