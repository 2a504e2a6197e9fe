"""The node that takes the writes is changed last: who is held back, and when it is let go."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from components import writer_last as hooks
from components.host_scripts import convergence, writer_last
from tests.unit.components.host_scripts.test_convergence import UP, tasks
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

DOCKER = r"""
cd "$host"
turn() { n=$(( $(cat "$1.turn" 2>/dev/null || echo 0) + 1 )); echo $n >"$1.turn"; }
show() { turn "$1"; while [[ ! -e $1.$n && $n -gt 1 ]]; do n=$((n - 1)); done; cat "$1.$n" 2>/dev/null || :; }
case "$1 $2" in
  "node ls") if [[ $3 == --filter ]]; then cat held 2>/dev/null || :; else cat nodes; fi ;;
  "node update") [[ $* != *"--availability active"* ]] || rm -f held ;;
  "ps -q") cat container 2>/dev/null || : ;;
  "exec c1") cat status 2>/dev/null || exit 1 ;;
  "service inspect") if [[ $* == *UpdateStatus* ]]; then show update; else echo "net1=10.20.0.2/24 "; fi ;;
  "service ps") if [[ $* == *node=* ]]; then show last; else show tasks; fi ;;
  "service logs") echo "a-task | the log" ;;
  "network inspect") echo net1 ;;
esac
"""
NODES = "n1|galera-1|Ready|Active\nn2|galera-2|Ready|Active\nn3|galera-3|Ready|Active\n"


def host(folder: Path, writer: str | None = "galera-2", nodes: str = NODES) -> FakeHost:
    made = FakeHost(folder)
    made.program("docker", DOCKER)
    made.program("sleep")
    made.file("nodes", nodes)
    made.file("container", "c1\n")
    made.file("status", json.dumps({"cluster": {"uuid": "u"}, "members": {}, "writer": writer}))
    return made


def updates(ran: Ran) -> list[str]:
    return [call for call in ran.called("docker") if call.startswith("docker node update")]


def test_the_host_of_the_node_that_takes_the_writes_is_held_back(tmp_path: Path) -> None:
    ran = host(tmp_path / "host").run(writer_last.hold("galera"))
    assert (ran.code, ran.out) == (0, "")
    assert updates(ran) == ["docker node update --availability pause --label-add swarm-galera.last=galera n2"]


@pytest.mark.parametrize(
    ("writer", "nodes", "told"),
    [
        (None, NODES, "nobody takes the writes"),
        ("galera-9", NODES, "galera-9 takes the writes, and is not held back"),
        ("galera-2", NODES.replace("galera-2|Ready", "galera-2|Down"), "is not held back"),
        ("galera-2", NODES.replace("galera-2|Ready|Active", "galera-2|Ready|Drain"), "is not held back"),
        ("galera-1", "n1|galera-1|Ready|Active\n", "is not held back"),
    ],
)
def test_nobody_is_held_back_where_that_would_help_nobody(
    tmp_path: Path, writer: str | None, nodes: str, told: str
) -> None:
    ran = host(tmp_path / "host", writer, nodes).run(writer_last.hold("galera"))
    assert ran.code == 0, ran.err
    assert told in ran.err
    assert updates(ran) == []


def test_without_a_container_here_or_an_answer_of_it_the_change_goes_on(tmp_path: Path) -> None:
    for file in ("container", "status"):
        made = host(tmp_path / file)
        (made.folder / file).unlink()
        ran = made.run(writer_last.hold("galera"))
        assert (ran.code, updates(ran)) == (0, []), ran.err


def test_only_one_is_held_back_at_a_time(tmp_path: Path) -> None:
    made = host(tmp_path / "host")
    made.file("held", "n3|galera-3|Pause\n")
    ran = made.run(writer_last.hold("galera"))
    assert (ran.code, updates(ran)) == (0, [])
    assert "galera-3 is the last to be changed" in ran.err


def test_a_label_that_a_person_has_left_on_a_host_that_was_let_go_holds_nobody_back(tmp_path: Path) -> None:
    """`verify` names the command that lets it go: it says nothing of the label."""
    made = host(tmp_path / "host")
    made.file("held", "n3|galera-3|Active\n")
    ran = made.run(writer_last.hold("galera"))
    assert ran.code == 0, ran.err
    assert updates(ran) == [
        "docker node update --label-rm swarm-galera.last n3",
        "docker node update --availability pause --label-add swarm-galera.last=galera n2",
    ]


def waited(made: FakeHost) -> Ran:
    return made.run(f"{convergence.service_running('galera', 3, 'galera')}\n{writer_last.release()}")


RELEASED = "docker node update --availability active --label-rm swarm-galera.last n2"


def test_it_is_let_go_once_the_others_are_changed_and_waited_for_until_its_new_task_runs(
    tmp_path: Path,
) -> None:
    made = host(tmp_path / "host")
    made.file("held", "n2|galera-2\n")
    made.file("tasks.1", tasks(UP, UP, UP))
    made.file("update.1", "updating|\n")
    made.file("update.2", "completed|\n")
    for number, line in enumerate(("old|Running 1 hour ago|", "", "new|Preparing|", f"new|{UP}|"), 1):
        made.file(f"last.{number}", f"{line}\n")
    ran = waited(made)
    assert ran.code == 0, ran.err
    assert ran.out == "10.20.0.2\n", "its standard output is the virtual IP, and nothing else"
    assert updates(ran) == [RELEASED]
    assert "the others are changed; now galera-2" in ran.err
    calls = ran.called("docker")
    assert calls.index(RELEASED) > max(n for n, call in enumerate(calls) if "UpdateStatus" in call)
    assert (made.folder / "last.turn").read_text().strip() == "4"


def test_one_that_is_as_the_service_says_already_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change was taken back: the last update has ended, and the node held back had no part in it."""
    monkeypatch.setattr(convergence, "BEGINS_WITHIN", 0)
    made = host(tmp_path / "host")
    made.file("held", "n2|galera-2\n")
    made.file("tasks.1", tasks(UP, UP, UP))
    made.file("update.1", "completed|\n")
    made.file("last.1", f"old|{UP}|\n")
    made.program(
        "sleep", 'cd "$host"; n=$(( $(cat naps 2>/dev/null || echo 0) + 1 )); echo $n >naps; (( n < 9 ))'
    )
    ran = waited(made)
    assert (ran.code, ran.out, updates(ran)) == (0, "10.20.0.2\n", [RELEASED]), ran.err


def test_a_change_that_replaces_no_task_only_lets_it_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convergence, "BEGINS_WITHIN", 0)
    made = host(tmp_path / "host")
    made.file("held", "n2|galera-2\n")
    made.file("tasks.1", tasks(UP, UP, UP))
    made.file("update.1", "begun|\n")
    ran = waited(made)
    assert ran.code == 0, ran.err
    assert updates(ran) == [RELEASED]
    assert "the others are changed" not in ran.err


def test_it_stays_held_back_while_the_change_of_the_others_fails(tmp_path: Path) -> None:
    """Let go it would be changed at once, to what has just failed elsewhere."""
    made = host(tmp_path / "host")
    made.file("held", "n2|galera-2\n")
    made.file("tasks.1", tasks(UP, "Failed 1s ago", UP))
    made.file("update.1", "updating|\n")
    made.file("update.2", "paused|update paused due to failure\n")
    ran = waited(made)
    assert ran.code == 1
    assert updates(ran) == []


def test_one_that_has_died_meanwhile_is_let_go_before_it_is_waited_for(tmp_path: Path) -> None:
    """The engine starts nothing on a paused node."""
    for number, (state, calls) in enumerate([("", [RELEASED]), ("Failed 1s ago", [RELEASED]), (UP, [])]):
        made = host(tmp_path / str(number))
        made.file("held", "n2|galera-2\n")
        made.file("last.1", f"{state}\n")
        ran = made.run(writer_last.free("galera"))
        assert (ran.code, ran.out, updates(ran)) == (0, "", calls), ran.err


def test_where_nobody_is_held_back_nothing_is_done(tmp_path: Path) -> None:
    made = host(tmp_path / "host")
    made.file("tasks.1", tasks(UP, UP, UP))
    made.file("update.1", "completed|\n")
    ran = waited(made)
    assert (ran.code, ran.out, updates(ran)) == (0, "10.20.0.2\n", [])


def test_the_step_of_a_stack_that_exists_runs_once_more_and_changes_nothing(tmp_path: Path) -> None:
    """docs/adr/0030: why its text is another one where there is a load balancer, and what that costs."""
    made = host(tmp_path / "host")
    made.file("tasks.1", tasks(UP, UP, UP))
    made.file("update.1", "none|\n")
    text = [
        writer_last.free("galera"),
        convergence.service_running("galera", 3, "galera"),
        writer_last.release(),
    ]
    ran = made.run("\n".join(text))
    assert (ran.code, ran.out) == (0, "10.20.0.2\n"), ran.err
    changing = ("update", "create", "rm", "scale", "exec")
    assert not [call for call in ran.called("docker") if set(call.split()) & set(changing)]


def test_a_manager_that_cannot_be_asked_holds_no_change_up() -> None:
    run = asyncio.run
    assert run(hooks.held(["/bin/sh", "-c", "cat >/dev/null"], "x")) == ""
    assert (
        run(hooks.held(["/bin/sh", "-c", "echo first >&2; echo 'no route' >&2; exit 255"], "")) == "no route"
    )
    assert "no answer within 0 s" in run(hooks.held(["/bin/sh", "-c", "exec sleep 20"], "", 0.2))
    assert "No such file" in run(hooks.held(["/nowhere/ssh"], ""))
