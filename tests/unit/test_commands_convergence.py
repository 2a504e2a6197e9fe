"""Waiting for a service: what counts, what is shown, and why it gives up."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.commands import convergence, images
from tests.unit.fake_host import FakeHost

pytestmark = pytest.mark.unit

DOCKER = r"""
turn() { n=$(( $(cat "$host/$1.turn" 2>/dev/null || echo 0) + 1 )); echo $n >"$host/$1.turn"; }
show() { turn "$1"; while [[ ! -e $host/$1.$n ]]; do n=$((n - 1)); done; cat "$host/$1.$n"; }
case "$1 $2" in
  "service ps") show tasks ;;
  "service logs") echo "a-task@galera-2 | [ERROR] the log's last line" ;;
  "service inspect") echo "net0=10.0.0.5/24 net1=10.20.0.2/24 " ;;
  "network inspect") echo net1 ;;
  "ps -q") echo container1 ;;
  "exec -u") show status ;;
  "pull -q")
    turn pull
    (( n > $(cat "$host/failures" 2>/dev/null || echo 0) )) || { echo "no such host" >&2; exit 1; } ;;
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
            host.file(f"{name}.{number}", text)
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


def test_a_task_that_starts_or_waits_for_its_health_check_does_not_count(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP, "Starting 1 second ago"), tasks(UP, UP, UP)])
    assert host.run(convergence.service_running("etcd", 3, "galera")).code == 0
    assert (host.folder / "tasks.turn").read_text().strip() == "2"


def test_a_task_that_is_told_to_stop_does_not_count(tmp_path: Path) -> None:
    old = f"old|galera-3|Shutdown|{UP}|\n"
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP) + old, tasks(UP, UP, UP)])
    assert host.run(convergence.service_running("etcd", 3, "galera")).code == 0
    assert (host.folder / "tasks.turn").read_text().strip() == "2"


def test_a_node_that_fails_again_and_again_ends_the_wait_with_its_log(tmp_path: Path) -> None:
    failed = "".join(
        f"f{n}|galera-2|Shutdown|Failed {n} seconds ago|task: non-zero exit (1)\n"
        for n in range(convergence.GIVE_UP_AFTER_FAILURES)
    )
    ran = host_with(tmp_path / "host", tasks=[tasks(UP) + failed]).run(
        convergence.service_running("etcd", 3, "galera")
    )
    assert ran.code == 1
    assert "etcd on galera-2: Failed: task: non-zero exit (1)" in ran.err
    assert "the log's last line" in ran.err
    assert "etcd failed 6 times on galera-2. Remedy: " in ran.err
    assert ran.out == ""


def test_a_failure_that_heals_is_told_and_waited_out(tmp_path: Path) -> None:
    failed = "f1|galera-3|Shutdown|Rejected 2 seconds ago|No such image\n"
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP) + failed, tasks(UP, UP, UP) + failed])
    ran = host.run(convergence.service_running("etcd", 3, "galera"))
    assert ran.code == 0, ran.err
    assert ran.err.count("etcd on galera-3: Rejected: No such image") == 1


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


def test_nodes_that_never_become_one_cluster_are_given_up_with_what_was_seen(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host", tasks=[tasks(UP, UP, UP)], status=[status(1)])
    text = convergence.service_running("galera", 3, "galera") + "\n"
    ran = host.run(text + convergence.galera_formed("galera", 3, minutes=0))
    assert ran.code == 1
    assert "this node sees 1 nodes, Primary, Synced, not 3 nodes" in ran.err


def test_an_image_that_can_be_had_at_the_second_try_is_fetched(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host")
    host.file("failures", "1")
    ran = host.run(images.pull("galera-1", ["registry/a:1", "registry/b:2"]))
    assert ran.code == 0, ran.err
    assert [call.split()[-1] for call in ran.called("docker")] == [
        "registry/a:1",
        "registry/a:1",
        "registry/b:2",
    ]


def test_an_image_that_can_not_be_had_is_an_error_with_the_engines_words(tmp_path: Path) -> None:
    host = host_with(tmp_path / "host")
    host.file("failures", "9")
    ran = host.run(images.pull("galera-1", ["registry/a:1"]))
    assert ran.code == 1
    assert "no such host" in ran.err
    assert "galera-1 could not fetch registry/a:1" in ran.err
