"""Waiting for a service: what counts, what is shown, and why it gives up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from components import galera
from components.host_scripts import convergence
from tests.unit.fake_host import FakeHost

pytestmark = pytest.mark.unit

DOCKER = r"""
turn() { n=$(( $(cat "$host/$1.turn" 2>/dev/null || echo 0) + 1 )); echo $n >"$host/$1.turn"; }
show() {
  turn "$1"
  [[ -e $host/$1.1 ]] || { echo 'none|'; return; }
  while [[ ! -e $host/$1.$n ]]; do n=$((n - 1)); done
  cat "$host/$1.$n"
}
case "$1 $2" in
  "service ps") show tasks ;;
  "service logs") cat "$host/log.1" 2>/dev/null || echo "a-task@galera-2 | [ERROR] the log's last line" ;;
  "service ls") echo an-id ;;
  "service inspect")
    if [[ $* == *PublishMode* ]]; then show services; exit; fi
    if [[ $* == *UpdateStatus* ]]; then show update; else echo "net0=10.0.0.5/24 net1=10.20.0.2/24 "; fi ;;
  "network inspect") echo net1 ;;
  "ps -q") echo container1 ;;
  "exec -u") show status ;;
esac
"""


def tasks(*states: str) -> str:
    """Lines of `docker service ps`: one task on each node."""
    return "".join(f"t{n}{state[:3]}|galera-{n}|Running|{state}|\n" for n, state in enumerate(states, 1))


def host_with(folder: Path, **files: list[str]) -> FakeHost:
    host = FakeHost(folder)
    host.program("docker", DOCKER)
    host.program("sleep")
    for name, turns in files.items():
        for number, text in enumerate(turns, 1):
            host.file(f"{name}.{number}", text if text.endswith("\n") else f"{text}\n")
    return host


UP = "Running 3 seconds ago"


def test_the_wait_ends_when_every_node_runs_and_tells_the_virtual_ip_of_the_right_network(
    tmp_path: Path,
) -> None:
    host = host_with(
        tmp_path / "host", tasks=[tasks(UP, "Preparing 1s ago"), tasks(UP, UP), tasks(UP, UP, UP)]
    )
    ran = host.run(convergence.service_running("etcd", 3, "galera"))
    assert ran.code == 0, ran.err
    assert ran.out == "10.20.0.2\n"
    assert "etcd: 1 of 3 running (galera-1 Running, galera-2 Preparing)" in ran.err
    assert "etcd: 2 of 3 running" in ran.err
    assert len([call for call in ran.called("docker") if "UpdateStatus" in call]) == 1  # there was none


def test_a_service_without_a_virtual_ip_is_waited_for_and_nothing_is_printed(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", tasks=[tasks(UP), tasks(UP, UP)])
    ran = host.run(convergence.service_running("consul", 2, None))
    assert (ran.code, ran.out) == (0, "")
    assert "consul: 2 of 2 running" in ran.err
    assert not [call for call in ran.called("docker") if "VirtualIPs" in call]


def test_a_task_that_starts_or_waits_for_its_health_check_does_not_count(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP, "Starting 1 second ago"), tasks(UP, UP, UP)])
    assert host.run(convergence.service_running("etcd", 3, "galera")).code == 0
    assert (host.folder / "tasks.turn").read_text().strip() == "2"


def test_a_task_that_is_told_to_stop_does_not_count(tmp_path: Path) -> None:
    old = f"old|galera-3|Shutdown|{UP}|\n"
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP) + old, tasks(UP, UP, UP)])
    assert host.run(convergence.service_running("etcd", 3, "galera")).code == 0
    assert (host.folder / "tasks.turn").read_text().strip() == "2"


def failed(*errors: str, node: int = 2, what: str = "Failed") -> str:
    """Lines of tasks that failed on one node, with their errors."""
    return "".join(
        f"f{node}{number}|galera-{node}|Shutdown|{what} {number} seconds ago|{error}\n"
        for number, error in enumerate(errors, 1)
    )


def test_a_node_that_fails_again_and_again_ends_the_wait_with_its_log(tmp_path: Path) -> None:
    many = failed(*["task: non-zero exit (1)"] * convergence.GIVE_UP_AFTER_FAILURES)
    ran = host_with(tmp_path / "host", tasks=[tasks(UP), tasks(UP) + many]).run(
        convergence.service_running("etcd", 3, "galera")
    )
    assert ran.code == 1
    assert "etcd on galera-2: Failed: task: non-zero exit (1)" in ran.err
    assert "the log's last line" in ran.err
    assert "etcd failed 6 times on galera-2. Remedy: " in ran.err
    assert ran.out == ""


def test_a_failure_that_heals_is_told_and_waited_out(tmp_path: Path) -> None:
    once = failed("No such image", node=3, what="Rejected")
    host = host_with(tmp_path / "host", tasks=[tasks(UP), tasks(UP, UP) + once, tasks(UP, UP, UP) + once])
    ran = host.run(convergence.service_running("etcd", 3, "galera"))
    assert ran.code == 0, ran.err
    assert ran.err.count("etcd on galera-3: Rejected: No such image") == 1


def test_failures_of_before_do_not_count(tmp_path: Path) -> None:
    old = failed(*["No such image"] * convergence.GIVE_UP_AFTER_FAILURES)
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP) + old, tasks(UP, UP, UP) + old])
    assert host.run(convergence.service_running("etcd", 3, "galera")).code == 0


SQL = "the initial SQL fails, and no client was served: 01.sql: ERROR 1146 at line 1: no such table"


def test_a_line_after_which_there_is_no_hope_ends_the_wait_for_a_new_service_with_it(tmp_path: Path) -> None:
    log = "started\n" + f"{SQL}\n" + "a line\n" * 10_000
    host = host_with(tmp_path / "host", tasks=[tasks("Starting 1 second ago")], log=[log])
    ran = host.run(convergence.service_running("galera", 3, "galera", hopeless="the initial SQL fails,"))
    assert ran.code == 1
    assert f"error: {SQL}. Remedy: " in ran.err
    [call] = [call for call in ran.called("docker") if "--since" in call]
    assert int(call.split("--since ")[1].split()[0]) > 1_700_000_000


def test_the_same_line_of_a_task_that_is_about_to_be_replaced_is_waited_out(tmp_path: Path) -> None:
    turns = {"tasks": [tasks("Starting 1 second ago"), ALL], "update": [UPDATING, DONE], "log": [SQL]}
    host = host_with(tmp_path / "host", **turns)
    ran = host.run(convergence.service_running("galera", 3, "galera", hopeless="the initial SQL fails,"))
    assert ran.code == 0, ran.err


def test_the_node_says_what_the_wait_looks_for() -> None:
    node = Path(__file__).parents[4] / "images/galera/galera_node/formation.py"
    assert f'INITIAL_SQL_FAILED = "{galera.INITIAL_SQL_FAILED}"\n' in node.read_text()


TAKEN = [
    '"driver failed programming external connectivity: Error starting userland proxy: '
    'listen tcp4 0.0.0.0:2380: bind: address already in use"',
    '"driver failed programming external connectivity: '
    'Bind for 0.0.0.0:2380 failed: port is already allocated"',
]


@pytest.mark.parametrize("error", TAKEN)
def test_a_port_that_another_program_has_ends_the_wait_early(tmp_path: Path, error: str) -> None:
    turns = [tasks(UP), tasks(UP) + failed(error), tasks(UP) + failed(error, error)]
    ran = host_with(tmp_path / "host", tasks=turns).run(convergence.service_running("etcd", 3, "galera"))
    assert ran.code == 1
    assert "Port 2380 of galera-2, which etcd needs, is taken by another program." in ran.err
    assert "Remedy: see on galera-2 who has it: ss -lntup 'sport = :2380'" in ran.err


def test_a_port_that_a_predecessor_was_about_to_give_up_is_no_reason_to(tmp_path: Path) -> None:
    turns = [tasks(UP), tasks(UP) + failed(TAKEN[0]), tasks(UP, UP, UP) + failed(TAKEN[0])]
    ran = host_with(tmp_path / "host", tasks=turns).run(convergence.service_running("etcd", 3, "galera"))
    assert ran.code == 0, ran.err


HELD = '"no suitable node (host-mode port already in use on 1 node)"'
WAITS = f"p3|galera-3|Running|Pending 1 second ago|{HELD}\n"
TIME_FLIES = "sleep() { SECONDS=$((SECONDS + 30)); }\n"


def wait_for_ports(ports: Sequence[int]) -> str:
    return TIME_FLIES + convergence.service_running("haproxy", 3, "galera", ports=ports)


def test_a_port_that_another_service_of_the_swarm_has_ends_the_wait_early_and_says_which(
    tmp_path: Path,
) -> None:
    others = ["haproxy 6446\nweb 80\ndb-old 6446\nother 16446"]
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP) + WAITS], services=others)
    ran = host.run(wait_for_ports([6446, 6447]))
    assert ran.code == 1
    assert (
        "A port of galera-3 that haproxy needs is held by another service of the swarm (6446 by db-old). "
        "Remedy: give haproxy another port in the settings" in ran.err
    )
    assert len([call for call in ran.called("docker") if "{{.ID}}|" in call]) == 3  # after a minute


def test_a_port_that_a_predecessor_holds_until_it_has_stopped_is_waited_for(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP) + WAITS] * 2 + [tasks(UP, UP, UP)])
    assert host.run(wait_for_ports([6446])).code == 0


def test_who_pends_for_another_reason_is_waited_for(tmp_path: Path) -> None:
    waits = WAITS.replace("host-mode port already in use", "insufficient resources")
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP) + waits] * 9 + [tasks(UP, UP, UP)])
    ran = host.run(wait_for_ports([6446]))
    assert ran.code == 0
    assert "galera-3 Pending" in ran.err  # told as before


def test_where_no_ports_are_looked_for_the_text_is_without_them() -> None:
    text = convergence.service_running("etcd", 3, "galera")
    assert "port_held" not in text
    assert "@" not in text.replace("$@", "").replace("[@]", "")
    assert 'failed $most times on $node." ;;\n      *)' in text


ALL = tasks(UP, UP, UP)
UPDATING, DONE = "updating|update in progress", "completed|update completed"
PAUSED = "paused|update paused due to failure or early termination of task f21"


def test_old_tasks_that_still_run_are_not_taken_for_the_update_of_a_service(tmp_path: Path) -> None:
    updates = ["begun|", UPDATING, UPDATING, DONE]
    turns = [ALL, ALL, tasks(UP, UP, "Starting 1 second ago"), ALL]
    host = host_with(tmp_path / "host", update=updates, tasks=turns)
    ran = host.run(convergence.service_running("galera", 3, "galera"))
    assert ran.code == 0, ran.err
    assert ran.out == "10.20.0.2\n"
    assert (host.folder / "update.turn").read_text().strip() == "4"
    assert "galera: 2 of 3 running, update in progress" in ran.err


def test_an_update_that_ends_with_a_node_missing_is_waited_for(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", update=[DONE], tasks=[tasks(UP, UP), ALL])
    assert host.run(convergence.service_running("galera", 3, "galera")).code == 0
    assert (host.folder / "tasks.turn").read_text().strip() == "2"


def test_a_change_that_replaces_no_task_is_not_waited_for(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", update=["begun|"], tasks=[ALL])
    time_flies = "sleep() { SECONDS=$((SECONDS + $1)); }\n"
    assert host.run(time_flies + convergence.service_running("galera", 3, "galera")).code == 0
    assert int((host.folder / "update.turn").read_text()) > 1  # but it was given its time to begin


def test_an_update_that_pauses_ends_the_wait_with_the_failing_tasks_words(tmp_path: Path) -> None:
    broken = tasks(UP, UP, "Starting 1 second ago") + failed("no such option: --x", node=3)
    ran = host_with(tmp_path / "host", update=[UPDATING, PAUSED], tasks=[ALL, broken]).run(
        convergence.service_running("galera", 3, "galera")
    )
    assert ran.code == 1
    assert ran.out == ""
    assert "galera on galera-3: Failed: no such option: --x" in ran.err
    assert "The update of galera has stopped at its first failure: update paused due to" in ran.err
    assert "Remedy: correct the cause" in ran.err


def test_a_pause_of_before_fails_no_later_update(tmp_path: Path) -> None:
    """The engine clears it with every change, so the first look already sees another state."""
    host = host_with(tmp_path / "host", update=["begun|", UPDATING, DONE], tasks=[ALL])
    assert host.run(convergence.service_running("galera", 3, "galera")).code == 0


def test_an_update_that_was_paused_before_goes_on_once_all_nodes_run_and_not_earlier(tmp_path: Path) -> None:
    updates = [PAUSED, PAUSED, "begun|", UPDATING, DONE]
    host = host_with(tmp_path / "host", update=updates, tasks=[tasks(UP, UP), ALL])
    ran = host.run(convergence.service_running("galera", 3, "galera"))
    assert ran.code == 0, ran.err
    calls = [call for call in ran.called("docker") if not call.startswith("docker service inspect")]
    assert calls.index("docker service update --detach galera") == 2  # after the second look at the tasks
    assert len([call for call in calls if "service update" in call]) == 1


def test_an_update_that_pauses_again_is_given_up(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", update=[PAUSED, "begun|", UPDATING, PAUSED], tasks=[ALL])
    ran = host.run(convergence.service_running("galera", 3, "galera"))
    assert ran.code == 1
    assert "has stopped at its first failure" in ran.err


def test_a_service_that_was_rolled_back_is_not_what_was_asked_for(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", update=["rollback_completed|rollback completed"], tasks=[ALL])
    ran = host.run(convergence.service_running("galera", 3, "galera"))
    assert ran.code == 1
    assert "galera was rolled back" in ran.err
    assert "pulumi refresh" in ran.err


def test_a_cluster_that_does_not_move_any_more_is_given_up(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP, "Starting 9 minutes ago")])
    ran = host.run(convergence.service_running("etcd", 3, "galera", minutes=0))
    assert ran.code == 1
    assert "etcd runs on 2 of 3 nodes and nothing moves any more" in ran.err


def status(size: int, primary: str = "Primary", state: str = "Synced") -> str:
    return (
        f"wsrep_cluster_size\t{size}\nwsrep_cluster_status\t{primary}\nwsrep_local_state_comment\t{state}\n"
    )


@pytest.mark.parametrize(
    "before",
    [
        status(2),
        status(3, "non-Primary", "Initialized"),
        status(3, state="Donor/Desynced"),
        "ERROR 2002: no server\n",
    ],
)
def test_running_tasks_are_no_cluster_until_all_are_in_one_primary_component(
    tmp_path: Path, before: str
) -> None:
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP, UP)], status=[before, status(3)])
    text = convergence.service_running("galera", 3, "galera") + "\n" + convergence.galera_formed("galera", 3)
    ran = host.run(text)
    assert ran.code == 0, ran.err
    assert ran.out == "10.20.0.2\n"
    assert (host.folder / "status.turn").read_text().strip() == "2"


@pytest.mark.parametrize(("arbitrator", "size"), [(False, 3), (True, 3), (True, 4)])
def test_a_node_that_makes_a_backup_is_not_waited_for_and_a_donor_is(
    tmp_path: Path, arbitrator: bool, size: int
) -> None:
    """A backup of a large database takes hours, for which an `up` would not come to its end."""
    donor = f"{status(size, state='Donor/Desynced')}wsrep_desync\tOFF\n"
    backup = donor.replace("OFF", "ON")
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP, UP)], status=[donor, backup, status(size)])
    text = convergence.service_running("galera", 3, "galera")
    ran = host.run(f"{text}\n{convergence.galera_formed('galera', 3, arbitrator=arbitrator, backup=True)}")
    assert ran.code == 0, ran.err
    assert (host.folder / "status.turn").read_text().strip() == "2"


def test_the_wait_of_a_stack_without_backups_is_what_it_was() -> None:
    text = convergence.galera_formed("galera", 3)
    assert "desync" not in text
    assert '[[ $seen != "$size nodes, Primary, Synced" ]] || break' in text
    more = convergence.galera_formed("galera", 3, arbitrator=True)
    assert '"$size nodes, Primary, Synced" && $seen != "$more nodes, Primary, Synced" ]] || break' in more


def test_nodes_that_never_become_one_cluster_are_given_up_with_what_was_seen(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP, UP)], status=[status(1)])
    text = convergence.service_running("galera", 3, "galera") + "\n"
    ran = host.run(text + convergence.galera_formed("galera", 3, minutes=0))
    assert ran.code == 1
    assert "this node sees 1 nodes, Primary, Synced, not 3 nodes" in ran.err
