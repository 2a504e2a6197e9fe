"""Which manager a connection goes to: the rule as a table, and the whole way with real `ssh` processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from components import manager_choice
from components.host_scripts.shell import sudo_unless_root
from components.manager_choice import (
    GIVEN_UP,
    LEADS,
    LOCKED,
    MANAGES,
    NO_ENGINE,
    NO_MANAGER,
    OUTSIDE,
    PATIENCE,
    SILENT,
    UNLOCKED,
    Manager,
    NobodyAnswers,
    choose,
    rank,
)
from components.ssh_files import SshManager, interpreter, write_ssh_files
from tests.support.ssh_server import SshServer
from tests.unit.fake_host import FakeHost

pytestmark = pytest.mark.unit

NAMES = ("galera-1", "galera-2", "galera-3")


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("leads\n", LEADS),
        ("active true\n", MANAGES),
        ("active false\n", NO_MANAGER),
        ("pending false\n", NO_MANAGER),
        ("error false\n", NO_MANAGER),
        ("locked false\n", LOCKED),
        ("inactive false\n", OUTSIDE),
        ("", NO_ENGINE),
        ("bash: docker: command not found\n", NO_ENGINE),
    ],
)
def test_what_a_host_is_follows_from_its_engines_words(said: str, found: int) -> None:
    assert rank(said) == found


@pytest.mark.parametrize(
    ("service", "socket", "said"),
    [(3, 0, ""), (0, 0, "leads\n"), (3, 3, "leads\n"), (127, 127, "leads\n")],
)
def test_an_engine_that_somebody_has_stopped_is_not_started_by_the_question(
    tmp_path: Path, service: int, socket: int, said: str
) -> None:
    """By its socket, systemd starts it for whoever asks. Without systemd (127) there is none."""
    host = FakeHost(tmp_path / "host")
    host.program("systemctl", f"case $* in *docker.service) exit {service} ;; *) exit {socket} ;; esac")
    host.program("docker")
    ran = host.run(manager_choice.PROBE)
    assert ran.out == said
    assert bool(ran.called("docker")) is bool(said)


class Time:
    """A clock that only pauses turn."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def chosen(*ranks: int, last: str = "", clock: Time | None = None) -> tuple[str, float, list[str], list[str]]:
    """Who is chosen of hosts that stay as they are, after how long, who was asked first, what was said."""
    known, clock = dict(zip(NAMES, ranks, strict=False)), clock or Time()
    asked: list[str] = []
    said: list[str] = []

    def ask(names: Iterable[str], _limit: float) -> Mapping[str, int]:
        asked.extend(names := list(names))
        return {name: known[name] for name in names}

    managers = [Manager(name, "192.0.2.1") for name in known]
    name = choose(managers, last, ask, said.append, clock, clock.pause)
    return name, clock.now, asked[: len(known)], said


@pytest.mark.parametrize(
    ("ranks", "last", "name"),
    [
        ((LEADS, LEADS, LEADS), "", "galera-1"),
        # The first one is down, or was replaced and is in no swarm yet.
        ((SILENT, LEADS, LEADS), "", "galera-2"),
        ((OUTSIDE, LEADS, LEADS), "", "galera-2"),
        ((NO_ENGINE, NO_MANAGER, LEADS), "", "galera-3"),
        # Whoever was chosen before is asked before.
        ((LEADS, LEADS, LEADS), "galera-3", "galera-3"),
        ((LEADS, LEADS, SILENT), "galera-3", "galera-1"),
        # Its engine has restarted, and the swarm has autolock.
        ((LOCKED, LEADS, LOCKED), "galera-1", "galera-2"),
        # No swarm yet, while the others' engines are being installed.
        ((OUTSIDE, NO_ENGINE, OUTSIDE), "", "galera-1"),
        ((OUTSIDE, OUTSIDE, OUTSIDE), "galera-2", "galera-1"),
    ],
)
def test_a_manager_that_leads_is_taken_at_once_and_one_without_a_swarm_where_there_is_none(
    ranks: tuple[int, ...], last: str, name: str
) -> None:
    assert chosen(*ranks, last=last)[:2] == (name, 0.0)


def test_while_the_last_one_leads_nobody_else_is_disturbed() -> None:
    assert chosen(LEADS, LEADS, LEADS, last="galera-2")[2] == ["galera-2"]
    assert chosen(LEADS, LEADS, LEADS)[2] == ["galera-1"]


@pytest.mark.parametrize(
    ("ranks", "name", "after"),
    [
        # A leader may be being elected; a new host must not be taken while others may be in a swarm.
        ((OUTSIDE, MANAGES, MANAGES), "galera-2", PATIENCE),
        ((OUTSIDE, NO_MANAGER, SILENT), "galera-1", PATIENCE),
        ((OUTSIDE, SILENT, SILENT), "galera-1", GIVEN_UP),
        # On the first one a swarm would begin, and its engine may only be slow.
        ((NO_ENGINE, OUTSIDE, OUTSIDE), "galera-2", GIVEN_UP),
        ((NO_ENGINE, NO_ENGINE, NO_ENGINE), "galera-1", PATIENCE),
    ],
)
def test_a_doubtful_one_is_taken_only_after_a_while_which_is_said(
    ranks: tuple[int, ...], name: str, after: float
) -> None:
    found, waited, _, said = chosen(*ranks)
    assert found == name
    assert waited == pytest.approx(after, abs=2)
    assert said[0].startswith("waiting for a manager: galera-1 ")


def test_when_nobody_answers_that_is_the_error() -> None:
    with pytest.raises(
        NobodyAnswers, match=r"no manager of the swarm answers \(galera-1, galera-2, galera-3\)"
    ):
        chosen(SILENT, SILENT, SILENT)


@pytest.mark.parametrize(
    ("ranks", "locked", "after"),
    [
        # A power cut of all hosts.
        ((LOCKED, LOCKED, LOCKED), "galera-1, galera-2, galera-3 are", UNLOCKED),
        ((SILENT, LOCKED, LOCKED), "galera-2, galera-3 are", UNLOCKED),
        # Whoever is unlocked first has no leader yet.
        ((MANAGES, LOCKED, LOCKED), "galera-2, galera-3 are", PATIENCE),
        # A new host would begin a second swarm, for locked managers do not listen on the swarm's port.
        ((OUTSIDE, LOCKED, SILENT), "galera-2 is", PATIENCE),
        ((OUTSIDE, NO_ENGINE, LOCKED), "galera-3 is", PATIENCE),
    ],
)
def test_a_locked_manager_is_never_taken_nor_a_host_outside_beside_it_and_the_error_names_the_remedy(
    ranks: tuple[int, ...], locked: str, after: float
) -> None:
    clock = Time()
    with pytest.raises(NobodyAnswers) as caught:
        chosen(*ranks, clock=clock)
    assert clock.now == pytest.approx(after, abs=2)
    assert f"the swarm can't be asked: {locked} locked" in str(caught.value)
    assert "Remedy: `python -m operations unlock`" in str(caught.value)


# -- with `ssh`


@dataclass
class Hosts:
    """Managers on loopback: a server each, an engine that says what its file has, the stack's SSH files."""

    base: Path
    servers: dict[str, SshServer]

    @property
    def folder(self) -> Path:
        return self.base / "ssh" / "p-dev"

    def say(self, name: str, words: str) -> None:
        (self.base / name / "state").write_text(words)

    def write(self, *, locks: bool = False, **pinned: str) -> list[str]:
        """The files; `pinned` are host keys other than the servers' own (`galera_2=…`)."""
        managers = [
            SshManager(
                name,
                "127.0.0.1",
                pinned.get(name.replace("-", "_"), host_key(server)),
                server.user or "root",
                server.port,
            )
            for name, server in self.servers.items()
        ]
        return write_ssh_files(self.folder, managers, self.servers["galera-1"].private_key, locks=locks)

    def ssh(self, command: str, target: str = "any-manager") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ssh", "-F", str(self.folder / "config"), target, command],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=90,
        )

    def where(self) -> str:
        """The host that a connection to any manager reaches."""
        done = self.ssh("echo $NAME")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def forget(self, age: float = 120) -> None:
        """The choice is so old, in seconds, that it is not taken unasked."""
        note = self.folder / "chosen"
        if note.exists():
            os.utime(note, (time.time() - age,) * 2)


def host_key(server: SshServer) -> str:
    """The one that is pinned at first contact."""
    return server.host_keys[0].export_public_key().decode().strip()


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    servers = {}
    for name in NAMES:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "docker").write_text(
            f"#!/bin/sh\nsaid=$(cat {folder}/state)\n"
            '[ "$1" = info ] && echo "$said" && exit\n[ "$1 $2 $said" = "node ls leads" ]\n'
        )
        (folder / "docker").chmod(0o755)
        (folder / "state").write_text("leads")
        servers[name] = SshServer(environment={"PATH": f"{folder}:/usr/bin:/bin", "NAME": name})
    for server in servers.values():
        server.key = servers["galera-1"].key
        server.private_key = servers["galera-1"].private_key
    made = Hosts(tmp_path, servers)
    monkeypatch.setenv("SWARM_GALERA_SSH", str(tmp_path / "ssh"))
    made.write()
    yield made
    for server in servers.values():
        server.stop()


def test_a_connection_reaches_the_first_manager_and_with_that_one_dead_the_next(hosts: Hosts) -> None:
    assert hosts.where() == "galera-1"
    hosts.servers["galera-1"].stop()
    # Also at once, while the choice is still fresh: to whoever of the others answers first.
    other = hosts.where()
    assert other in ("galera-2", "galera-3")
    assert (hosts.folder / "chosen").read_text() == other
    # It stays there for a while when the first one is back, and then returns.
    hosts.servers["galera-1"].start()
    hosts.forget(120)
    assert hosts.where() == other
    hosts.forget(3600)
    assert hosts.where() == "galera-1"


def test_a_host_that_answers_and_is_in_no_swarm_is_passed_over(hosts: Hosts) -> None:
    hosts.say("galera-1", "inactive false")
    hosts.say("galera-2", "error false")
    assert hosts.where() == "galera-3"


def test_with_autolock_a_manager_that_was_chosen_just_now_is_asked_all_the_same(hosts: Hosts) -> None:
    hosts.write(locks=True)
    assert hosts.where() == "galera-1"
    hosts.say("galera-1", "locked false")
    assert hosts.where() in ("galera-2", "galera-3")


def test_a_host_with_another_key_than_the_pinned_one_is_never_connected_to(hosts: Hosts) -> None:
    foreign = host_key(SshServer())
    hosts.write(galera_1=foreign)
    assert hosts.where() in ("galera-2", "galera-3")
    # Also not where it is the last choice, and reachable.
    (hosts.folder / "chosen").write_text("galera-1")
    done = hosts.ssh("echo $NAME")
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr
    hosts.forget()
    assert hosts.where() in ("galera-2", "galera-3")


def test_without_anybody_the_reason_and_the_remedy_are_said(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for server in hosts.servers.values():
        server.stop()
    # The copy that `ssh` runs is a file of its own.
    text = (hosts.folder / "choice.py").read_text()
    assert "GIVEN_UP = 90.0" in text
    (hosts.folder / "choice.py").write_text(text.replace("GIVEN_UP = 90.0", "GIVEN_UP = 0.0"))
    done = hosts.ssh("echo $NAME")
    assert done.returncode == 255
    assert "error: no manager of the swarm answers (galera-1, galera-2, galera-3). Remedy:" in done.stderr


def test_many_connections_at_a_time_ask_once(hosts: Hosts) -> None:
    command = ["ssh", "-F", str(hosts.folder / "config"), "any-manager", "echo $NAME"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) for _ in range(6)]
    assert [each.communicate(timeout=90)[0] for each in running] == [b"galera-1\n"] * 6
    # Six, and one question.
    assert hosts.servers["galera-1"].logins == 7
    assert hosts.servers["galera-2"].logins == 0


def test_a_step_finds_the_files_by_itself_and_gets_its_standard_input(hosts: Hosts, tmp_path: Path) -> None:
    line = "step=x; read -r said; echo \"$NAME $said '$step'\"; exit 7"
    for environment in (
        {"SWARM_GALERA_SSH": str(tmp_path / "ssh"), "HOME": "/nonexistent"},
        {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": "/nonexistent"},
        {"XDG_STATE_HOME": "relative", "HOME": str(tmp_path / "home")},
    ):
        for link in (tmp_path / "state/swarm-galera", tmp_path / "home/.local/state/swarm-galera"):
            link.mkdir(parents=True, exist_ok=True)
            if not (link / "ssh").exists():
                (link / "ssh").symlink_to(tmp_path / "ssh")
        done = subprocess.run(
            [*interpreter("p", "dev"), line],
            input="hello\n",
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], **environment},
            timeout=90,
        )
        assert (done.returncode, done.stdout) == (7, "galera-1 hello 'x'\n"), done.stderr


def test_each_manager_is_reached_by_its_name_too(hosts: Hosts) -> None:
    assert hosts.ssh("echo $NAME", "galera-3").stdout == "galera-3\n"


# -- where not all are reached as the same user


def as_users(hosts: Hosts, *users: str) -> None:
    for server, user in zip(hosts.servers.values(), users, strict=True):
        server.user = user
    hosts.write()


@pytest.mark.parametrize("first", ["root", "deploy"])
def test_each_manager_is_reached_as_its_own_user_also_when_the_first_one_is_down(
    hosts: Hosts, first: str
) -> None:
    others = ("deploy", "admin") if first == "root" else ("root", "root")
    as_users(hosts, first, *others)
    assert hosts.where() == "galera-1"
    hosts.servers["galera-1"].stop()
    # Also at once: the choice is still fresh, and was reached a moment ago, but no longer than `SEEN` ago.
    reached = hosts.folder / "reached"
    os.utime(reached, (time.time() - manager_choice.SEEN - 1,) * 2)
    assert hosts.where() in ("galera-2", "galera-3")
    hosts.servers["galera-1"].start()
    hosts.forget(3600)
    assert hosts.where() == "galera-1"


def test_a_connection_goes_to_nobody_whose_user_is_another_one(hosts: Hosts) -> None:
    as_users(hosts, "root", "deploy", "deploy")
    assert hosts.where() == "galera-1"
    # It goes down between the question for the user and the connection.
    hosts.servers["galera-1"].stop()
    (hosts.folder / "reached").touch()
    done = hosts.ssh("echo $NAME")
    assert done.returncode == 255
    assert "root does not log in to the next one, galera-" in done.stderr
    assert "Remedy: repeat" in done.stderr
    assert hosts.where() in ("galera-2", "galera-3")


def test_without_anybody_the_wait_is_not_repeated_for_each_user(hosts: Hosts) -> None:
    as_users(hosts, "root", "deploy", "admin")
    for server in hosts.servers.values():
        server.stop()
    choice = hosts.folder / "choice.py"
    choice.write_text(re.sub(r"^GIVEN_UP = .*", "GIVEN_UP = 0.0", choice.read_text(), flags=re.MULTILINE))
    done = hosts.ssh("echo $NAME")
    assert done.returncode == 255
    assert done.stderr.count("error: no manager of the swarm answers (galera-1, galera-2, galera-3)") == 1
    assert done.stderr.count("no manager of the swarm answered a moment ago") == 2
    for server in hosts.servers.values():
        server.start()
    os.utime(hosts.folder / "nobody", (time.time() - manager_choice.SEEN - 1,) * 2)
    assert hosts.where() == "galera-1"


def test_a_choice_that_is_fresh_is_not_looked_at_by_a_connection_of_its_own_each_time(hosts: Hosts) -> None:
    """Servers hold connections without a login against whoever makes them (PerSourcePenalties)."""
    as_users(hosts, "root", "deploy", "deploy")
    assert hosts.where() == "galera-1"
    hosts.servers["galera-1"].stop()
    (hosts.folder / "reached").touch()
    assert manager_choice.user_of(hosts.folder, print) == "root"


def test_many_connections_at_a_time_ask_once_for_the_user_too(hosts: Hosts) -> None:
    as_users(hosts, "root", "deploy", "admin")
    command = ["ssh", "-F", str(hosts.folder / "config"), "any-manager", "echo $NAME"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) for _ in range(4)]
    assert [each.communicate(timeout=90)[0] for each in running] == [b"galera-1\n"] * 4
    assert hosts.servers["galera-1"].logins == 5
    assert hosts.servers["galera-2"].logins == 0


SUDO = '#!/bin/sh\nshift 2\nexport SUDO=sudo\nexec "$@"\n'


@pytest.mark.parametrize(("number", "said"), [(0, "galera-1 hello it's"), (1000, "galera-1 hello it's sudo")])
def test_a_step_runs_as_root_whoever_logs_in(hosts: Hosts, number: int, said: str) -> None:
    for name, text in (("id", f"#!/bin/sh\necho {number}\n"), ("sudo", SUDO)):
        program = hosts.base / "galera-1" / name
        program.write_text(text)
        program.chmod(0o755)
    line = 'read -r said; echo $NAME $said "it\'s" $SUDO; exit 7'
    done = subprocess.run(
        [*interpreter("p", "dev"), sudo_unless_root(line)],
        input="hello\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert (done.returncode, done.stdout) == (7, f"{said}\n"), done.stderr


def test_the_managers_are_listed_where_the_choice_reads_them(hosts: Hosts) -> None:
    listed = json.loads((hosts.folder / "managers.json").read_text())
    assert [Manager(**each).name for each in listed] == list(NAMES)
    assert (hosts.folder / "choice.py").read_text() == Path(manager_choice.__file__).read_text()
