"""Operations on a stack: what is checked before, what is cleared away, how an interruption passes on.

Pulumi is played by a script here; tests/lab uses the real one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import typer

from components import manager_choice
from components.softlayer.errors import SoftLayerFailed
from components.ssh_files import SshManager, ssh_folder, write_ssh_files
from operations import cli, passphrase, pulumi_cli, session, stack
from operations.account import strays
from operations.around_run import former_images, left_out, leftovers, swarm_leftovers
from operations.errors import OperationsError
from operations.outputs import Outputs
from operations.stack_settings import StackSettings

# Made by Pulumi 3.245.0 with the lab's passphrase.
SALT = "v1:n4FbuZqRRTU=:v1:A5h/y8YZQal/knVc:DV9OYkH4l0drM5kHPZBi7LtCXDvbHw=="
PASSPHRASE = "swarm-galera-lab"
URN = "urn:pulumi:dev::swarm-galera::pulumi-python:dynamic/softlayer:VirtualGuest::galera-1"


# -- the passphrase


def test_the_labs_stack_is_committed_with_a_check_that_the_labs_passphrase_fits() -> None:
    settings = (pulumi_cli.CHECKOUT / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    assert f"\nencryptionsalt: {SALT}\n" in settings
    assert passphrase.fits(PASSPHRASE, SALT)


def test_another_passphrase_does_not_fit() -> None:
    assert not passphrase.fits("swarm-galera-lap", SALT)


@pytest.mark.parametrize("salt", ["", "v1:AAAA", "v2:n4FbuZqRRTU=:v1:A5h/:DV9O", "v1:?:v1:A5h/:DV9O"])
def test_a_damaged_check_is_explained(salt: str) -> None:
    with pytest.raises(OperationsError, match="restore the line"):
        passphrase.fits(PASSPHRASE, salt)


def test_a_passphrase_is_read_from_the_file_that_pulumi_would_read(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("word\n", encoding="utf-8")
    assert passphrase.given({passphrase.FILE_VARIABLE: str(file)}) == "word"
    assert passphrase.given({passphrase.FILE_VARIABLE: str(file), passphrase.VARIABLE: ""}) == ""
    assert passphrase.given({}) is None
    with pytest.raises(OperationsError, match="cannot be read"):
        passphrase.given({passphrase.FILE_VARIABLE: str(tmp_path / "none")})


# -- locks


@pytest.mark.parametrize(
    ("backend", "folder"),
    [
        ("file:///srv/state", "/srv/state/.pulumi/locks/organization/swarm-galera/dev"),
        (
            "file:///srv/my%20state?no_tmp_dir=true",
            "/srv/my state/.pulumi/locks/organization/swarm-galera/dev",
        ),
        ("s3://bucket", None),
        ("", None),
    ],
)
def test_only_a_file_backend_has_locks_that_can_be_judged(backend: str, folder: str | None) -> None:
    found = leftovers.lock_folder(backend, "swarm-galera", "dev")
    assert found == (None if folder is None else Path(folder))


def lock(folder: Path, pid: int, host: str = "", since: float | None = None) -> Path:
    when = datetime.fromtimestamp(time.time() if since is None else since, UTC)
    path = folder / "0-1-2.json"
    path.write_text(
        json.dumps(
            {
                "pid": pid,
                "username": "root",
                "hostname": host or socket.gethostname(),
                "timestamp": when.strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z",
            }
        ),
        encoding="utf-8",
    )
    path.with_name(path.name + ".attrs").write_text("{}", encoding="utf-8")
    return path


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_the_lock_of_a_dead_process_is_removed_and_said(
    tmp_path: Path, dead: int, capsys: pytest.CaptureFixture[str]
) -> None:
    lock(tmp_path, dead)
    leftovers.clear_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert f"process {dead}" in capsys.readouterr().err


def test_a_lock_cut_off_while_it_was_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"pid":', encoding="utf-8")
    leftovers.clear_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_live_process_is_never_removed(tmp_path: Path) -> None:
    path = lock(tmp_path, os.getpid())
    with pytest.raises(OperationsError, match=f"kill -INT {os.getpid()}"):
        leftovers.clear_locks(tmp_path)
    assert path.exists()


def test_a_later_process_with_the_number_of_a_dead_one_does_not_count(tmp_path: Path) -> None:
    lock(tmp_path, os.getpid(), since=time.time() - 365 * 86400)
    leftovers.clear_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_another_machine_is_never_removed(tmp_path: Path, dead: int) -> None:
    path = lock(tmp_path, dead, host="elsewhere")
    with pytest.raises(OperationsError, match=r"root@elsewhere.*pulumi cancel"):
        leftovers.clear_locks(tmp_path)
    assert path.exists()


# -- processes that outlived their run


def start(code: str, mark: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}; print(flush=True); import time; time.sleep(60)"],
        env={**os.environ, leftovers.MARK: mark},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_left_overs_of_the_stack_are_ended_and_no_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(leftovers, "GRACE", 0.5)
    mark, other = f"t{os.getpid()}", f"u{os.getpid()}"
    stubborn = start("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", mark)
    stranger = start("pass", other)
    try:
        leftovers.end_marked(mark)
        assert stubborn.wait() == -signal.SIGKILL
        assert stranger.poll() is None
        assert capsys.readouterr().err == "Ending 1 processes that a killed run left behind.\n"
    finally:
        for process in (stubborn, stranger):
            process.kill()
            process.communicate()


def test_the_run_itself_is_not_among_its_leftovers(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import os; from operations.around_run import leftovers\n"
        "assert leftovers.marked(os.environ[leftovers.MARK]) == [], 'ends itself'"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=pulumi_cli.CHECKOUT,
        env={**os.environ, leftovers.MARK: f"v{os.getpid()}"},
        check=True,
    )


def test_each_stack_of_each_backend_has_its_own_mark() -> None:
    marks = {
        leftovers.mark(backend, "p", name)
        for backend in ("file:///a", "file:///b")
        for name in ("dev", "test")
    }
    assert len(marks) == 4


# -- pending operations


def test_pending_operations_are_taken_out_of_a_state_and_named() -> None:
    resources = [{"urn": URN}]
    pending = [{"type": "creating", "resource": {"urn": URN}}]
    exported = {"version": 3, "deployment": {"resources": resources, "pending_operations": pending}}
    clean, words = leftovers.without_pending(exported)
    assert clean == {"version": 3, "deployment": {"resources": resources}}
    assert words == ["creating galera-1"]


# -- a run

FAKE_PULUMI = """#!/bin/sh
echo "$@" >> calls
case "$1 $2" in
"stack export")
    [ -e unreachable ] && { echo "error: unable to open bucket" >&2; exit 1; }
    [ -e state.json ] || { echo "error: no stack named 'dev' found" >&2; exit 6; }
    cat state.json ;;
"stack init") echo '{"version": 3}' > state.json ;;
"stack import") cat > state.json ;;
"stack output") cat outputs.json ;;
*)
    trap 'echo interrupted >> calls; exit 1' INT
    echo "updating" ; touch running
    while [ -e slow ]; do sleep 0.1; done
    [ ! -e broken ] ;;
esac
"""


OUTPUTS = {
    "hosts": [{"name": "galera-1", "role": "manager", "privateIp": "10.144.12.10"}],
    "network": {"name": "galera", "encrypted": True},
    "discovery": {"kind": "etcd"},
    "galera": {
        "service": "galera",
        "vip": "10.20.0.2",
        "port": 3306,
        "size": 1,
        "members": [],
        "database": "app",
    },
    "ssh": {
        "user": "root",
        "privateKey": "KEY",
        "addresses": {"galera-1": "192.0.2.1"},
        "hostKeys": {"galera-1": "K"},
    },
    "passwords": {"app": "secret"},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a stack's settings, a file backend and a pulumi of the test's own."""
    folder = tmp_path / "project"
    program = tmp_path / "bin" / "pulumi"
    (tmp_path / "backend").mkdir()
    folder.mkdir()
    program.parent.mkdir()
    program.write_text(FAKE_PULUMI, encoding="utf-8")
    program.chmod(0o755)
    (folder / "Pulumi.yaml").write_text("name: swarm-galera\n", encoding="utf-8")
    (folder / "Pulumi.dev.yaml").write_text(f"encryptionsalt: {SALT}\n", encoding="utf-8")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path / 'backend'}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("SWARM_GALERA_SSH", raising=False)
    (folder / "outputs.json").write_text(json.dumps(OUTPUTS), encoding="utf-8")
    monkeypatch.setattr(pulumi_cli, "CHECKOUT", folder)
    return folder


def calls(project: Path) -> list[str]:
    path = project / "calls"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line.replace(" --stack dev --non-interactive", "") for line in lines]


def test_up_makes_the_stack_once_and_then_only_updates_it(project: Path) -> None:
    stack.up("dev", yes=True)
    stack.up("dev", yes=True)
    # Before each run the state is asked for what an earlier one left and for steps of an older version
    # (components/moved_steps.py), and the outputs for the hosts, to look at them; after it the state for what
    # was ordered (tests/provider/test_destroy.py) and for services that have another image now, and the
    # outputs. Each is asked for once between two changes, in any order: they are asked for side by side.
    asked = ["stack export", "stack output --json --show-secrets"]
    init, run = "stack init --secrets-provider passphrase", "up --yes --skip-preview --parallel 64"
    in_order = [
        line
        for changes, lines in groupby(calls(project), lambda line: line in (init, run))
        for line in (lines if changes else sorted(lines))
    ]
    assert in_order == [*asked, init, *asked, run, *sorted(asked * 2), run, *asked]


MEET = """
meet() {
    touch "$1"
    n=0; while [ ! -e "$2" ] && [ $n -lt 100 ]; do sleep 0.05; n=$((n + 1)); done
    [ -e "$2" ] || exit 1
}
case "$1 $2" in
"stack export") meet state outputs ;;
"stack output") meet outputs state ;;
esac
"""
"""State and outputs are told once both are asked for."""


def test_the_state_and_the_outputs_are_asked_for_side_by_side(project: Path) -> None:
    stack.up("dev", yes=True)
    before = len(calls(project))
    program = project.parent / "bin" / "pulumi"
    text = FAKE_PULUMI.replace("calls\n", f"calls\n{MEET}", 1)
    program.write_text(text.replace('echo "updating"', 'rm -f state outputs; echo "updating"'))
    stack.up("dev", yes=True)
    assert len(calls(project)) == before + 5


def test_what_was_read_ahead_is_not_asked_for_again_until_something_changes(project: Path) -> None:
    (project / "state.json").write_text('{"version": 3}', encoding="utf-8")
    program = project.parent / "bin" / "pulumi"
    settings = '"config --json") echo "{}" ;;\n"stack init")'
    program.write_text(FAKE_PULUMI.replace('"stack init")', settings, 1))
    pulumi = pulumi_cli.Pulumi("dev", {})
    pulumi.read_ahead(settings=True)
    asked = ["config --json", "stack export", "stack output --json --show-secrets"]
    assert sorted(calls(project)) == asked
    for _ in range(2):
        assert (pulumi.export(), pulumi.outputs(), pulumi.config()) == ({"version": 3}, OUTPUTS, {})
    assert sorted(calls(project)) == asked
    pulumi.remove_setting("key")
    pulumi.config()
    pulumi.write_setting("key", "x")
    pulumi.config()
    assert calls(project).count("config --json") == 3


def test_what_could_not_be_read_ahead_is_told_to_whoever_reads_it(project: Path) -> None:
    (project / "unreachable").touch()
    pulumi = pulumi_cli.Pulumi("dev", {})
    pulumi.read_ahead()
    with pytest.raises(OperationsError, match="unable to open bucket"):
        pulumi.export()
    (project / "unreachable").unlink()
    assert pulumi.export() is None
    pulumi.init()
    assert pulumi.export() == {"version": 3}


def test_after_a_run_the_settings_are_read_ahead_where_the_account_is_asked(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = {"urn": "u", "type": "pulumi-python:dynamic/softlayer:StackIdentity"}
    read: list[bool] = []
    monkeypatch.setattr(strays, "after_run", lambda _: [])
    monkeypatch.setattr(pulumi_cli.Pulumi, "read_ahead", lambda _, settings=False: read.append(settings))
    for outputs in ({"owner": "swarm-galera/dev/1"}, {"owner": "x", "no_account": True}, {}):
        state = {"deployment": {"resources": [{**identity, "outputs": outputs}]}}
        (project / "state.json").write_text(json.dumps(state), encoding="utf-8")
        stack.up("dev", yes=True)
    assert read == [False, True, False, False, False, False]


def test_the_state_is_asked_for_anew_after_each_change(project: Path) -> None:
    pulumi = pulumi_cli.Pulumi("dev", {})
    pulumi.init()
    assert pulumi.export() == pulumi.with_environment({"A": "b"}).export()
    pulumi.export(show_secrets=True)
    pulumi.run("refresh")
    (pulumi.export() or {}).clear()  # what one has taken out of it is there for the next
    assert pulumi.export()
    pulumi.import_state({})
    pulumi.export()
    exported = "stack export"
    assert calls(project)[1:] == [
        *[exported, f"{exported} --show-secrets", "refresh"],
        *[exported, "stack import", exported],
    ]


def state_with(image: str) -> str:
    """A state with one service, as JSON."""
    service = {
        "urn": "urn:pulumi:dev::swarm-galera::docker:index/service:Service::galera",
        "type": "docker:index/service:Service",
        "inputs": {"taskSpec": {"containerSpec": {"image": image}}},
    }
    stack_itself = {
        "urn": "urn:pulumi:dev::swarm-galera::pulumi:pulumi:Stack::s",
        "type": "pulumi:pulumi:Stack",
    }
    return json.dumps({"version": 3, "deployment": {"resources": [stack_itself, service]}})


def test_hosts_are_asked_for_former_images_only_after_a_run_that_was_broken_off_or_changed_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []
    none_left = True

    def remove(found: Outputs) -> bool:
        removed.append(found.service)
        return none_left

    monkeypatch.setattr(former_images, "remove", remove)
    program = project.parent / "bin" / "pulumi"
    text = program.read_text().replace('echo "updating"', 'cp next.json state.json; echo "updating"')
    program.write_text(text)
    for image, expected in (("galera:1", 1), ("galera:1", 1), ("galera:2", 2), ("galera:2", 2)):
        (project / "next.json").write_text(state_with(image))
        if image == "galera:1" and not (project / "state.json").exists():
            (project / "state.json").write_text(state_with("galera:0"))
        stack.up("dev", yes=True)
        assert len(removed) == expected
    (project / "next.json").write_text(state_with("galera:3"))
    # Ended containers have one, or a host is away.
    for none_left, expected in ((False, 3), (True, 4), (True, 4)):  # noqa: B007 - `remove` says it
        stack.up("dev", yes=True)
        assert len(removed) == expected
    (project / "broken").touch()
    with pytest.raises(typer.Exit):
        stack.up("dev", yes=True)
    assert len(removed) == 4
    (project / "broken").unlink()
    stack.up("dev", yes=True)
    assert len(removed) == 5


def test_a_passphrase_that_does_not_fit_is_refused_before_pulumi_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    with pytest.raises(
        OperationsError, match=r"does not fit stack dev \(checked against Pulumi\.dev\.yaml\)"
    ):
        stack.up("dev", yes=True)
    assert calls(project) == []


def test_a_passphrase_that_does_not_fit_the_state_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = {"type": "passphrase", "state": {"salt": SALT}}
    (project / "state.json").write_text(json.dumps({"deployment": {"secrets_providers": provider}}))
    (project / "Pulumi.dev.yaml").write_text("config: {}\n", encoding="utf-8")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    with pytest.raises(OperationsError, match="checked against its state"):
        stack.up("dev", yes=True)


def test_no_passphrase_at_all_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    with pytest.raises(OperationsError, match="no passphrase for stack dev: set PULUMI_CONFIG_PASSPHRASE"):
        stack.up("dev", yes=True)


def test_a_key_service_needs_no_passphrase(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    (project / "Pulumi.dev.yaml").write_text("secretsprovider: awskms://alias/x\n", encoding="utf-8")
    (project / "state.json").write_text('{"version": 3}', encoding="utf-8")
    stack.up("dev", yes=True)
    assert "up --yes --skip-preview --parallel 64" in calls(project)


def test_a_backend_that_cannot_be_reached_is_named(project: Path) -> None:
    (project / "unreachable").touch()
    with pytest.raises(OperationsError, match=r"cannot be read from file://.*unable to open bucket\. Check"):
        stack.up("dev", yes=True)


def test_without_a_terminal_nothing_is_done_unasked(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, encoding="utf-8") as no_terminal:
        monkeypatch.setattr(sys, "stdin", no_terminal)
        for command in (stack.up, stack.refresh, stack.destroy):
            with pytest.raises(OperationsError, match="add --yes"):
                command("dev", yes=False)
    assert calls(project) == []


def test_destroying_a_stack_that_is_not_there_is_done(project: Path) -> None:
    with pytest.raises(typer.Exit) as ended:
        stack.destroy("dev", yes=True)
    assert ended.value.exit_code == 0
    assert calls(project) == ["stack export"]


class Swarm:
    """In place of the swarm: what was to be removed, and whether it can be asked."""

    def __init__(self) -> None:
        self.answers = True
        self.asked: list[tuple[str, list[str]]] = []

    def clear(self, found: Outputs, exported: dict[str, Any], project: str, name: str) -> bool:
        self.asked.append(
            (f"{project}/{name} on {found.managers[0].address}", swarm_leftovers.known(exported))
        )
        return self.answers


@pytest.fixture
def swarm(monkeypatch: pytest.MonkeyPatch) -> Swarm:
    made = Swarm()
    monkeypatch.setattr(swarm_leftovers, "clear", made.clear)
    return made


SECRET = {"urn": "u", "type": "docker:index/secret:Secret", "id": "s1"}


def test_after_a_run_that_was_broken_off_the_next_one_looks_for_what_it_left_on_the_swarm(
    project: Path, swarm: Swarm
) -> None:
    (project / "broken").touch()
    with pytest.raises(typer.Exit):
        stack.up("dev", yes=True)
    (project / "broken").unlink()
    (project / "state.json").write_text(json.dumps({"deployment": {"resources": [SECRET]}}))
    stack.preview("dev")
    assert swarm.asked == []
    stack.up("dev", yes=True)
    stack.up("dev", yes=True)
    assert swarm.asked == [("swarm-galera/dev on 192.0.2.1", ["s1"])]


def look(monkeypatch: pytest.MonkeyPatch, without: list[str], gone: dict[str, str]) -> None:
    """A host does not answer: Pulumi's options because of it, and URNs of servers that are cancelled."""
    monkeypatch.setattr(left_out, "cancelled", lambda *_: gone)
    monkeypatch.setattr(left_out, "of_up", lambda *_: without)


def test_a_server_that_was_cancelled_is_taken_out_of_the_state_and_made_by_the_same_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(monkeypatch, [], {"galera-1": URN})
    stack.up("dev", yes=True)
    made = [line for line in calls(project) if line.split()[0] in ("up", "refresh", "preview")]
    assert made == [
        f"refresh --yes --skip-preview --target {URN}",
        "up --yes --skip-preview --parallel 64",
    ]
    # A preview changes no state, so it looks for itself.
    stack.preview("dev")
    assert calls(project)[-1] == "preview --refresh"


def test_the_state_of_an_older_version_is_moved_before_the_run_and_once(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    urn = "urn:pulumi:dev::swarm-galera::swarm-galera:swarm:Swarm$command:remote:Command::swarm-started"
    old = {"urn": urn, "type": "command:remote:Command", "inputs": {"connection": "x"}, "outputs": {}}
    (project / "state.json").write_text(json.dumps({"deployment": {"resources": [old]}}))
    stack.preview("dev")
    stack.up("dev", yes=True)
    made = [line.split()[0:2] for line in calls(project)]
    assert made.index(["stack", "import"]) < made.index(["up", "--yes"])
    (new,) = json.loads((project / "state.json").read_text())["deployment"]["resources"]
    assert new["type"] == "command:local:Command"
    assert new["inputs"]["interpreter"][-1].endswith('/swarm-galera-dev/config any-manager "$0"')
    assert "any manager may do what the first one did: swarm-started" in capsys.readouterr().err
    stack.up("dev", yes=True)
    assert [line.split()[0:2] for line in calls(project)].count(["stack", "import"]) == 1


def test_a_run_that_left_something_out_does_the_rest_and_says_so_by_its_exit_code(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without = ["--exclude", "urn", "--exclude-dependents"]
    look(monkeypatch, without, {})
    with pytest.raises(typer.Exit) as ended:
        stack.up("dev", yes=True)
    assert ended.value.exit_code == 1
    assert f"up --yes --skip-preview --parallel 64 {' '.join(without)}" in calls(project)
    assert "something was left out" in capsys.readouterr().err
    # And one in which nothing had to be done on the dead host has done all.
    look(monkeypatch, [], {})
    stack.up("dev", yes=True)


def test_a_swarm_that_could_not_be_asked_is_asked_by_the_next_run(project: Path, swarm: Swarm) -> None:
    pending = [{"type": "creating", "resource": {"urn": URN}}]
    (project / "state.json").write_text(json.dumps({"deployment": {"pending_operations": pending}}))
    swarm.answers = False
    stack.up("dev", yes=True)
    stack.up("dev", yes=True)
    assert len(swarm.asked) == 2


def test_after_a_run_that_ended_well_no_swarm_is_asked(project: Path, swarm: Swarm) -> None:
    stack.up("dev", yes=True)
    stack.up("dev", yes=True)
    stack.destroy("dev", yes=True)
    assert swarm.asked == []


def test_the_private_key_goes_with_the_hosts_and_no_earlier(project: Path) -> None:
    (project / "state.json").write_text('{"version": 3}', encoding="utf-8")
    folder = ssh_folder("swarm-galera", "dev")
    write_ssh_files(folder, [SshManager("galera-1", "192.0.2.1", "ssh-ed25519 AAAA")], "KEY")
    (project / "broken").touch()
    with pytest.raises(typer.Exit):
        stack.destroy("dev", yes=True)
    assert (folder / "id").exists()
    (project / "broken").unlink()
    stack.up("dev", yes=True)
    assert (folder / "id").exists()
    stack.destroy("dev", yes=True)
    assert not folder.exists()


def test_pending_operations_are_cleared_before_the_run(
    project: Path, swarm: Swarm, capsys: pytest.CaptureFixture[str]
) -> None:
    pending = [{"type": "creating", "resource": {"urn": URN}}]
    (project / "state.json").write_text(json.dumps({"deployment": {"pending_operations": pending}}))
    stack.up("dev", yes=True)
    assert "stack import" in calls(project)
    assert json.loads((project / "state.json").read_text(encoding="utf-8")) == {"deployment": {}}
    assert "creating galera-1" in capsys.readouterr().err


def test_a_second_run_of_a_stack_is_refused_while_one_runs(project: Path) -> None:
    with session.opened("dev", create=True), pytest.raises(OperationsError, match=f"process {os.getpid()}"):
        stack.up("dev", yes=True)


def test_a_run_begins_with_the_first_manager_and_not_with_who_was_chosen_last(project: Path) -> None:
    """Who was asked last may be one that this run takes out of the swarm."""
    folder = ssh_folder("swarm-galera", "dev")
    write_ssh_files(folder, [SshManager("galera-1", "192.0.2.1", "ssh-ed25519 AAAA")], None)
    (folder / manager_choice.CHOSEN).write_text("galera-2")
    with session.opened("dev", create=True):
        assert manager_choice.noted(folder)[0] == ""


def test_an_interruption_reaches_pulumi_once_and_ends_the_run_with_130(project: Path, swarm: Swarm) -> None:
    (project / "slow").touch()
    code = (
        "from pathlib import Path; from operations import pulumi_cli, cli\n"
        f"pulumi_cli.CHECKOUT = Path({str(project)!r})\n"
        "cli.main()"
    )
    root = Path(pulumi_cli.__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", code, "up", "--yes"],
        cwd=root,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what it runs in the background without ears for Ctrl-C, and pulumi here is a shell.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - takes no lock
    )
    while not (project / "running").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == pulumi_cli.INTERRUPTED
    assert calls(project).count("interrupted") == 1
    assert "goes on from here" in said
    (note,) = (project.parent / "xdg" / "swarm-galera" / "runs").glob("*.interruption")
    (project / "slow").unlink()
    stack.up("dev", yes=True)
    assert not note.exists()


def test_an_interruption_while_pulumi_is_being_started_reaches_it_as_well(
    project: Path, swarm: Swarm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start = subprocess.Popen

    def slow_start(argv: list[str], **options: Any) -> subprocess.Popen[bytes]:
        process = start(argv, **options)
        if "up" in argv:
            while not (project / "running").exists():
                time.sleep(0.02)
            signal.raise_signal(signal.SIGINT)
        return process

    (project / "slow").touch()
    monkeypatch.setattr(subprocess, "Popen", slow_start)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(typer.Exit) as ended:
            stack.up("dev", yes=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.exit_code == pulumi_cli.INTERRUPTED
    assert calls(project).count("interrupted") == 1
    assert "goes on from here" in capsys.readouterr().err


def test_an_error_is_one_message_and_no_traceback(project: Path) -> None:
    root = Path(stack.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "operations", "up", "--yes", "--stack", "none"],
        cwd=root,
        env={**os.environ, "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: There is no `pulumi` on PATH")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "last"),
    [
        (OperationsError("no disk"), 1, "Error: no disk"),
        (SoftLayerFailed("no network"), 1, "Error: no network"),
        (ValueError("a bug"), None, ""),
    ],
)
def test_what_a_user_can_put_right_is_one_message_and_a_bug_is_not(
    error: Exception,
    code: int | None,
    last: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = typer.Typer()

    @app.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "build", lambda: app)
    monkeypatch.setattr(sys, "argv", ["operations"])
    with pytest.raises(SystemExit if code else ValueError) as raised:
        cli.main()
    assert getattr(raised.value, "code", None) == code
    assert capsys.readouterr().err.strip() == last


def test_a_setting_that_is_no_json_is_named() -> None:
    broken = StackSettings({"swarm-galera:servers": {"value": "{"}})
    with pytest.raises(OperationsError, match="swarm-galera:servers is not valid JSON"):
        broken.section("swarm-galera:servers")


def test_a_half_written_file_of_attributes_does_not_cost_the_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / ".pulumi" / "stacks" / "demo"
    folder.mkdir(parents=True)
    for name, text in (
        ("dev.json", "{}"),
        ("dev.json.attrs", ""),
        ("dev.json.bak.attrs", '{"md5":"x"}'),
        ("dev2.json.attrs", ""),
    ):
        (folder / name).write_text(text)
    leftovers.mend_state(f"file://{tmp_path}", "demo", "dev")
    assert sorted(file.name for file in folder.iterdir()) == [
        "dev.json",
        "dev.json.bak.attrs",
        "dev2.json.attrs",
    ]
    assert capsys.readouterr().err.count("\n") == 1
    leftovers.mend_state("s3://elsewhere", "demo", "dev")
    assert capsys.readouterr().err == ""
