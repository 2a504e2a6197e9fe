"""Where a run leaves what the next one needs, and who may have it."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from components.softlayer import journal
from components.softlayer.errors import WaitedTooLong
from components.ssh_files import ssh_folder
from components.state_folder import state_folder

pytestmark = pytest.mark.unit

HOLDER = """
import sys, time
from components.softlayer import journal
with journal.held("key", "order") as note:
    note.write({"marker": "m"})
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("given", [None, "", "relative/state", "~/state"])
def test_the_state_is_in_the_home_folder_unless_an_absolute_path_is_given(
    given: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SWARM_GALERA_SSH", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    if given is not None:
        monkeypatch.setenv("XDG_STATE_HOME", given)
    assert state_folder() == tmp_path / ".local" / "state" / "swarm-galera"
    assert journal.folder() == state_folder() / "orders"
    assert ssh_folder("p", "dev") == state_folder() / "ssh" / "p-dev"


def test_the_state_is_where_xdg_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder() == tmp_path / "swarm-galera"
    assert not state_folder().exists()


def test_a_note_is_held_by_one_process_and_free_once_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(journal, "LOCK_LIMIT", 0.1)
    root = Path(__file__).parents[3]
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], cwd=root, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refused = pytest.raises(WaitedTooLong, match=r"waiting to order: .*another process is at it")
        with refused, journal.held("key", "order"):
            pass
        assert journal.entries() == [{"marker": "m"}]
    finally:
        holder.kill()
        holder.communicate()
    with journal.held("key", "order") as note:
        assert note.read() == {"marker": "m"}
        note.write({})
    assert journal.entries() == [{}]


def test_a_note_that_an_older_version_of_the_program_holds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It locks the note itself with flock."""
    monkeypatch.setattr(journal, "LOCK_LIMIT", 0.1)
    with journal.held("key", "order", tmp_path) as note:
        note.write({"marker": "m"})
    (file,) = tmp_path.iterdir()
    with file.open("a+") as old:
        fcntl.flock(old, fcntl.LOCK_EX)
        with pytest.raises(WaitedTooLong), journal.held("key", "order", tmp_path):
            pass
    with journal.held("key", "order", tmp_path), file.open("a+") as old, pytest.raises(BlockingIOError):
        fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert [each.name for each in tmp_path.iterdir()] == [file.name]
