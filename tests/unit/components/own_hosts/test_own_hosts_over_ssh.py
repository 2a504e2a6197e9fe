"""Hosts of one's own over real SSH: the first contact, pinned keys, sudo, taking in and letting go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from components.host_scripts import own
from components.own_hosts import fit, look, way
from components.own_hosts.facts import Facts
from components.own_hosts.taken_in import TakenInProvider
from components.own_hosts.way import Refused, Unreachable, Way
from settings.errors import UserError
from settings.own_hosts import OwnHost
from tests.support.ssh_server import SshServer

pytestmark = pytest.mark.unit

SUDO = """#!/bin/bash
[[ ! -e {folder}/no-sudo ]] || {{ echo "sudo: a password is required" >&2; exit 1; }}
echo "$*" >>{folder}/sudo
while [[ $1 == -* ]]; do shift; done
exec "$@"
"""
CAT = """#!/bin/bash
case "$*" in */ssh_host_*) exec /bin/cat {folder}/keys ;; *) exec /bin/cat "$@" ;; esac
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    """A host whose `sudo` is there, and whose `cat` knows the server's own keys."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("sudo", SUDO), ("cat", CAT)):
        (programs / name).write_text(text.format(folder=tmp_path))
        (programs / name).chmod(0o755)
    made = SshServer("/bin/bash", {"PATH": f"{programs}:/usr/bin:/bin"})
    (tmp_path / "keys").write_text("".join(f"{line(key)} root@db1\n" for key in made.host_keys))
    yield made
    made.stop()


def line(key: Any) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


def to(server: SshServer, user: str = "root", believed: str | None = None, key: str | None = None) -> Way:
    return Way("127.0.0.1", server.port, user, key or server.private_key, believed)


def asked(there: Way, text: str = "echo hello") -> tuple[str, str]:
    """What a script prints, and the host key that is to be pinned."""

    async def ask() -> tuple[str, str]:
        async with way.session(there) as session:
            return str((await session.run(text)).stdout), session.host_key

    return asyncio.run(ask())


def test_at_the_first_contact_the_key_that_go_would_be_shown_is_pinned(server: SshServer) -> None:
    said, pinned = asked(to(server))
    assert said == "hello\n"
    assert pinned == line(server.host_keys[0])
    assert pinned.startswith("ecdsa")
    assert asked(to(server, believed=pinned)) == (said, pinned)


def test_a_given_key_of_another_kind_vouches_for_the_one_that_is_pinned(
    server: SshServer, tmp_path: Path
) -> None:
    given = line(server.host_keys[1])
    assert asked(to(server, believed=given))[1] == line(server.host_keys[0])
    (tmp_path / "keys").write_text(f"{given} root@db1\n")
    with pytest.raises(Refused, match="is none of its own in /etc/ssh"):
        asked(to(server, believed=given))


def test_another_host_key_than_the_known_one_is_refused_before_anything_is_sent(server: SshServer) -> None:
    other = SshServer()
    try:
        with pytest.raises(Refused, match="shows another SSH host key") as caught:
            asked(to(server, believed=line(other.host_keys[0])))
    finally:
        other.stop()
    assert not isinstance(caught.value, Unreachable)
    assert "set hostKey in servers.hosts" in str(caught.value)
    assert server.logins == 0


def test_a_key_that_the_host_does_not_know_and_a_host_that_is_off_are_told_apart(server: SshServer) -> None:
    other = SshServer()
    with pytest.raises(Refused, match="does not let this stack's key in") as caught:
        asked(to(server, key=other.private_key))
    assert not isinstance(caught.value, Unreachable)
    there = to(other)
    other.stop()
    with pytest.raises(Unreachable, match=f"no SSH at 127.0.0.1 port {there.port}"):
        asked(there)


def test_a_user_who_is_not_root_gets_there_by_sudo_and_root_does_not(
    server: SshServer, tmp_path: Path
) -> None:
    assert asked(to(server), "echo $((6 * 7))")[0] == "42\n"
    assert not (tmp_path / "sudo").exists()
    assert asked(to(server, "deploy"), "echo $((6 * 7))")[0] == "42\n"
    assert (tmp_path / "sudo").read_text().startswith("-n -H bash -c ")


def seen_of(server: SshServer, **given: Any) -> Facts:
    host = OwnHost.model_validate(
        {"name": "db1", "address": "10.0.0.1", "sshHost": "127.0.0.1", "port": server.port, **given}
    )
    return asyncio.run(look.seen_of(host, Way.to(host, server.private_key, None), "10.20.0.0/24"))


def test_a_look_finds_what_the_host_is_and_a_user_without_sudo_is_a_problem(
    server: SshServer, tmp_path: Path
) -> None:
    seen = seen_of(server, user="deploy")
    assert not seen.refused
    assert seen.hostname == Path("/proc/sys/kernel/hostname").read_text().strip()
    assert seen.host_key == line(server.host_keys[0])
    (tmp_path / "no-sudo").touch()
    refused = seen_of(server, user="deploy")
    assert (
        "deploy may not use sudo without a password there (sudo: a password is required)" in refused.refused
    )
    assert "Remedy: " in refused.refused
    assert not refused.unreachable
    server.stop()
    assert seen_of(server).unreachable


def test_a_host_that_lets_us_in_and_hangs_is_one_that_does_not_answer(
    server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine or a disk that hangs. A cluster with such a host goes on, and so does `up`."""
    monkeypatch.setattr(own, "look", lambda *_: "sleep 30")
    monkeypatch.setattr(way.Session.run, "__defaults__", (0.5,))
    seen = seen_of(server)
    assert seen.unreachable
    assert "did not answer within" in seen.refused
    host = OwnHost.model_validate({"name": "db1", "address": "10.0.0.1"})
    assert fit.problems([fit.Wanted(host, seen, member=True, ours=False)]) == []
    assert len(fit.problems([fit.Wanted(host, seen, member=False, ours=False)])) == 1


def test_a_login_with_another_shell_is_told_and_not_taken_for_a_host_without_anything(
    server: SshServer, tmp_path: Path
) -> None:
    (tmp_path / "fish").write_text("#!/bin/sh\necho 'fish: Unsupported use of =' >&2\nexit 127\n")
    (tmp_path / "fish").chmod(0o755)
    server.shell = str(tmp_path / "fish")
    refused = seen_of(server)
    assert "could not be looked at (fish: Unsupported use of =)" in refused.refused
    assert "must be bash" in refused.refused
    assert not refused.unreachable


def props(server: SshServer, **changes: Any) -> dict[str, Any]:
    return {
        "owner": "swarm-galera/prod/0123456789ab",
        "hostname": "db1",
        "address": "10.0.0.1",
        "ssh_host": "127.0.0.1",
        # As Pulumi hands whole numbers over.
        "port": float(server.port),
        "user": "deploy",
        "private_key": server.private_key,
        "given": None,
        "seen": line(server.host_keys[0]),
        "gone": "echo gone >>$HOME_OF_TEST/done; say 'it is gone'",
        **changes,
    }


def created(provider: TakenInProvider, server: SshServer) -> tuple[str, dict[str, Any]]:
    result = provider.create(props(server))
    return str(result.id), result.outs or {}


@pytest.fixture
def scripts(server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is done on a host when it is taken in, as a line in a file."""
    server.environment["HOME_OF_TEST"] = str(tmp_path)
    monkeypatch.setattr(own, "taken_in", lambda owner, user: f'echo "{owner} {user}" >>$HOME_OF_TEST/done')
    return tmp_path / "done"


def test_a_host_is_taken_in_with_its_key_pinned_and_let_go_as_it_was(
    server: SshServer, scripts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = TakenInProvider()
    made, outs = created(provider, server)
    assert outs["host_key"] == line(server.host_keys[0])
    assert outs["private_ip"] == "10.0.0.1"
    assert scripts.read_text() == "swarm-galera/prod/0123456789ab deploy\n"
    assert not provider.diff(made, outs, props(server, seen="")).changes
    provider.delete(made, outs)
    assert scripts.read_text().splitlines()[1:] == ["gone"]
    assert "it is gone" in capsys.readouterr().out


def test_another_user_is_noted_on_the_host_and_another_end_only_in_the_state(
    server: SshServer, scripts: Path
) -> None:
    provider = TakenInProvider()
    made, outs = created(provider, server)
    later = props(server, gone="echo another")
    assert provider.diff(made, outs, later).changes
    kept = provider.update(made, outs, later).outs or {}
    assert (kept["gone"], kept["host_key"]) == ("echo another", outs["host_key"])
    assert len(scripts.read_text().splitlines()) == 1
    provider.update(made, outs, props(server, user="ops", seen=""))
    assert scripts.read_text().splitlines()[1:] == ["swarm-galera/prod/0123456789ab ops"]


def test_a_host_that_was_installed_anew_is_pinned_anew_only_where_the_settings_give_its_key(
    server: SshServer, scripts: Path
) -> None:
    provider = TakenInProvider()
    old = {**props(server), "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOLD", "private_ip": "10.0.0.1"}
    given = props(server, given=line(server.host_keys[1]))
    outs = provider.update("own-db1", old, given).outs or {}
    assert outs["host_key"] == line(server.host_keys[0])


def test_a_host_that_is_another_stack_s_by_now_is_let_go_without_a_touch(
    server: SshServer, scripts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody has removed the mark by hand, and has it in another stack: what runs there is that one's."""
    notes = own.Places(notes=str(scripts.parent / "notes"))
    still_ours = own.still_ours
    monkeypatch.setattr(own, "still_ours", lambda name, owner: still_ours(name, owner, notes))
    provider = TakenInProvider()
    made, outs = created(provider, server)
    (scripts.parent / "notes").mkdir()
    mark = scripts.parent / "notes/stack"
    mark.write_text("swarm-galera/other/ba9876543210\n")
    provider.delete(made, outs)
    assert "gone" not in scripts.read_text()
    told = capsys.readouterr().out
    assert "db1 belongs to another stack by now (swarm-galera/other/ba9876543210)" in told
    mark.write_text("swarm-galera/prod/0123456789ab\n")
    provider.delete(made, outs)
    assert scripts.read_text().endswith("gone\n")


def test_a_script_that_fails_and_a_host_that_was_not_seen_are_errors_with_its_name(
    server: SshServer, scripts: Path
) -> None:
    provider = TakenInProvider()
    with pytest.raises(UserError, match="db1 did not answer when it was looked at"):
        provider.create(props(server, seen=""))
    made, outs = created(provider, server)
    with pytest.raises(UserError, match=r"^db1: it holds on\. If that can't be, .*pulumi state delete"):
        provider.delete(made, {**outs, "gone": "fail 'it holds on'"})


def test_a_host_that_lets_the_key_in_no_more_can_be_had_back_or_given_up(
    server: SshServer, scripts: Path
) -> None:
    """It is in no setting any more, so the error alone can say how the stack goes on."""
    provider = TakenInProvider()
    made, outs = created(provider, server)
    other = SshServer()
    other.stop()
    public = asyncssh.import_private_key(other.private_key).export_public_key().decode().strip()
    with pytest.raises(UserError) as caught:
        provider.delete(made, {**outs, "private_key": other.private_key})
    said = str(caught.value)
    assert said.startswith(
        f"db1: deploy@127.0.0.1 port {server.port} does not let this stack's key in any more"
    )
    assert f"Remedy: add `{public}` to ~deploy/.ssh/authorized_keys there, then repeat" in said
    assert "`pulumi state delete 'URN'` gives it up, what is there stays, and later runs go on" in said
    assert "ends in ::db1-ready" in said
    assert "PRIVATE" not in said
    with pytest.raises(UserError) as caught:
        provider.delete(made, {**outs, "private_key": None})
    assert "see that the SSH agent here has the key" in str(caught.value)
    assert len(scripts.read_text().splitlines()) == 1
    with pytest.raises(UserError, match=r"db1: ops@.* does not let this stack's key in\. Remedy: add"):
        provider.update(made, outs, props(server, user="ops", private_key=other.private_key))


def test_a_host_in_whose_place_another_one_answers_is_given_up_and_that_one_left_alone(
    server: SshServer, scripts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Installed anew, and taken out of the settings: nobody could set its new hostKey there."""
    provider = TakenInProvider()
    made, outs = created(provider, server)
    known = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0Nx0mJ5n6kXw6m0oW3GkqYvG1Q8Vb5cK2hYwq3aZbC"
    provider.delete(made, {**outs, "host_key": known})
    assert len(scripts.read_text().splitlines()) == 1
    told = capsys.readouterr().out
    assert "db1 is not what answers at 127.0.0.1 (another SSH host key; that one is left alone)" in told
    assert "stays there" in told
    with pytest.raises(UserError, match="shows another SSH host key"):
        provider.update(made, {**outs, "host_key": known}, props(server, user="ops"))


def test_a_host_that_does_not_answer_any_more_is_given_up_with_a_word(
    server: SshServer, scripts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = TakenInProvider()
    made, outs = created(provider, server)
    server.stop()
    provider.delete(made, outs)
    told = capsys.readouterr().out
    assert "db1 does not answer (3 of 3)" in told
    assert "docker swarm leave --force" in told
    with pytest.raises(UserError, match="db1: no SSH at"):
        provider.create(props(server))
