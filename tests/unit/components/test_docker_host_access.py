"""The SSH files of the Docker provider: private from their first moment, the same when nothing changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.ssh_files import SshManager, ssh_folder, write_ssh_files

pytestmark = pytest.mark.unit


def files(folder: Path) -> dict[str, tuple[int, str, int]]:
    """Mode, text and inode by name."""
    return {
        path.name: (path.stat().st_mode & 0o777, path.read_text(), path.stat().st_ino)
        for path in folder.iterdir()
    }


def test_key_and_known_hosts_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "ssh" / "p-dev"
    write_ssh_files(folder, "203.0.113.10", "ssh-ed25519 AAAA", "KEY\n")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {name: found[:2] for name, found in files(folder).items()} == {
        "id": (0o600, "KEY\n"),
        "known_hosts": (0o600, "203.0.113.10 ssh-ed25519 AAAA\n"),
    }


def test_a_second_run_leaves_the_files_alone_and_gives_the_same_options(tmp_path: Path) -> None:
    first = write_ssh_files(tmp_path, "203.0.113.10", "ssh-ed25519 AAAA", "KEY\n")
    before = files(tmp_path)
    assert write_ssh_files(tmp_path, "203.0.113.10", "ssh-ed25519 AAAA", "KEY\n") == first
    assert files(tmp_path) == before


def test_a_file_that_others_could_read_is_made_private_again(tmp_path: Path) -> None:
    write_ssh_files(tmp_path, "203.0.113.10", "ssh-ed25519 AAAA", "KEY\n")
    (tmp_path / "id").chmod(0o644)
    write_ssh_files(tmp_path, "203.0.113.10", "ssh-ed25519 AAAA", "KEY\n")
    assert files(tmp_path)["id"][0] == 0o600


def test_a_new_manager_replaces_the_pinned_key(tmp_path: Path) -> None:
    write_ssh_files(tmp_path, "203.0.113.10", "ssh-ed25519 AAAA", "KEY\n")
    write_ssh_files(tmp_path, "203.0.113.11", "ssh-ed25519 BBBB", "KEY\n")
    assert files(tmp_path)["known_hosts"][1] == "203.0.113.11 ssh-ed25519 BBBB\n"


def test_without_a_key_the_agent_is_asked_and_the_host_is_still_pinned(tmp_path: Path) -> None:
    options = write_ssh_files(tmp_path, "203.0.113.10", "ssh-ed25519 AAAA", None)
    assert "-i" not in options
    assert "StrictHostKeyChecking=yes" in options
    assert set(files(tmp_path)) == {"known_hosts"}


def test_stacks_do_not_share_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("SWARM_GALERA_SSH", raising=False)
    assert ssh_folder("p", "dev") != ssh_folder("p", "tor01")
    assert ssh_folder("p", "dev").is_relative_to(tmp_path)


def test_back_ends_with_stacks_of_the_same_name_may_keep_them_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SWARM_GALERA_SSH", str(tmp_path / "one"))
    assert ssh_folder("p", "dev") == tmp_path / "one" / "p-dev"
