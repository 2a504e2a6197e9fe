"""A stack's SSH files: private from their first moment, the same when nothing changed."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from components.ssh_files import SshManager, ssh_folder, write_ssh_files

pytestmark = pytest.mark.unit

ONE = SshManager("galera-1", "203.0.113.10", "ssh-ed25519 AAAA")
TWO = SshManager("galera-2", "203.0.113.11", "ssh-ed25519 BBBB", user="admin", port=2222)


def files(folder: Path) -> dict[str, tuple[int, str, int]]:
    """Mode, text and inode by name."""
    return {
        path.name: (path.stat().st_mode & 0o777, path.read_text(), path.stat().st_ino)
        for path in folder.iterdir()
    }


def resolved(folder: Path, host: str) -> dict[str, str]:
    """What `ssh` itself makes of the configuration, by option."""
    words = ["ssh", "-G", "-F", str(folder / "config"), host]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return dict(line.partition(" ")[::2] for line in said.splitlines())


def test_all_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "ssh" / "p-dev"
    write_ssh_files(folder, [ONE, TWO], "KEY\n")
    assert folder.stat().st_mode & 0o777 == 0o700
    found = files(folder)
    assert set(found) == {"choice.py", "config", "id", "known_hosts", "managers.json"}
    assert {mode for mode, _, _ in found.values()} == {0o600}
    assert found["id"][1] == "KEY\n"
    assert found["known_hosts"][1] == (
        "any-manager,galera-1,203.0.113.10 ssh-ed25519 AAAA\n"
        "any-manager,galera-2,[203.0.113.11]:2222 ssh-ed25519 BBBB\n"
    )


def test_a_second_run_leaves_the_files_alone_and_gives_the_same_options(tmp_path: Path) -> None:
    first = write_ssh_files(tmp_path, [ONE, TWO], "KEY\n")
    before = files(tmp_path)
    assert write_ssh_files(tmp_path, [ONE, TWO], "KEY\n") == first == ["-F", str(tmp_path / "config")]
    assert files(tmp_path) == before


def test_a_file_that_others_could_read_is_made_private_again(tmp_path: Path) -> None:
    write_ssh_files(tmp_path, [ONE], "KEY\n")
    (tmp_path / "id").chmod(0o644)
    write_ssh_files(tmp_path, [ONE], "KEY\n")
    assert files(tmp_path)["id"][0] == 0o600


def test_a_new_manager_replaces_the_pinned_key_and_changes_no_option(tmp_path: Path) -> None:
    before = write_ssh_files(tmp_path, [ONE, TWO], "KEY\n")
    new = SshManager("galera-1", "203.0.113.12", "ssh-ed25519 CCCC")
    assert write_ssh_files(tmp_path, [new, TWO], "KEY\n") == before
    assert "AAAA" not in files(tmp_path)["known_hosts"][1]
    assert resolved(tmp_path, "galera-1")["hostname"] == "203.0.113.12"


def test_a_swarm_with_autolock_is_noted_until_it_has_none(tmp_path: Path) -> None:
    write_ssh_files(tmp_path, [ONE], "KEY\n", locks=True)
    assert files(tmp_path)["locks"][0] == 0o600
    write_ssh_files(tmp_path, [ONE], "KEY\n")
    assert "locks" not in files(tmp_path)


def test_without_a_key_the_agent_is_asked_and_hosts_are_still_pinned(tmp_path: Path) -> None:
    write_ssh_files(tmp_path, [ONE], "KEY\n")
    write_ssh_files(tmp_path, [ONE], None)
    assert "id" not in files(tmp_path)
    found = resolved(tmp_path, "any-manager")
    assert found["identitiesonly"] == "no"
    assert found["stricthostkeychecking"] == "true"


def test_ssh_reads_nothing_but_these_files(tmp_path: Path) -> None:
    folder = tmp_path / "50% of it" / "p-dev"
    write_ssh_files(folder, [ONE, TWO], "KEY\n")
    # Whom the alias leads to is fresh: `ssh -G`, too, asks that for the user.
    (folder / "chosen").write_text("galera-2")
    (folder / "reached").touch()
    for host, user in (("any-manager", "admin"), ("galera-1", "root"), ("galera-2", "admin")):
        found = resolved(folder, host)
        assert found["userknownhostsfile"] == str(folder / "known_hosts")
        assert found["globalknownhostsfile"] == "/dev/null"
        assert found["stricthostkeychecking"] == "true"
        assert found["batchmode"] == "yes"
        assert found["user"] == user
    assert resolved(folder, "any-manager")["proxyusefdpass"] == "yes"
    assert resolved(folder, "galera-2")["port"] == "2222"
    assert resolved(folder, "galera-2")["hostkeyalias"] == "galera-2"


def test_only_where_users_differ_is_the_user_asked_for(tmp_path: Path) -> None:
    """Stacks whose hosts are all reached as root have the files that they had."""

    def lines(*users: str) -> list[str]:
        managers = [replace(ONE, name=f"db{number}", user=user) for number, user in enumerate(users)]
        write_ssh_files(tmp_path, managers, None)
        (tmp_path / "chosen").write_text("db0")
        (tmp_path / "reached").touch()
        text = (tmp_path / "config").read_text()
        return [line for line in text.partition("Host db0")[0].splitlines() if "exec" in line or "%r" in line]

    assert lines("root", "root") == lines("deploy", "deploy") == []
    assert resolved(tmp_path, "any-manager")["user"] == "deploy"
    found = lines("root", "deploy", "admin", "deploy")
    assert len(found) == 3
    assert found[0].startswith("Match originalhost any-manager exec ")
    assert resolved(tmp_path, "any-manager")["user"] == "root"
    assert resolved(tmp_path, "any-manager")["proxycommand"].endswith(" as %r")


def test_hosts_are_asked_for_the_kind_of_key_that_was_pinned_in_the_order_of_the_first_contact(
    tmp_path: Path,
) -> None:
    keys = ("ssh-ed25519 AAAA", "ecdsa-sha2-nistp256 BBBB", "ssh-rsa CCCC")
    managers = [SshManager(f"galera-{n}", f"203.0.113.{n}", key) for n, key in enumerate(keys, 1)]
    write_ssh_files(tmp_path, managers, "KEY\n")
    asked = [
        resolved(tmp_path, host)["hostkeyalgorithms"] for host in ("any-manager", "galera-1", "galera-3")
    ]
    rsa = "rsa-sha2-256,rsa-sha2-512"
    assert asked == [f"ecdsa-sha2-nistp256,{rsa},ssh-ed25519", "ssh-ed25519", rsa]


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
