"""The wait for a service against a real Docker engine: what it makes of an update's own status."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from components.host_scripts import convergence
from components.host_scripts.shell import script
from components.service_spec import UpdatePolicy
from tests.support.docker_engine import IMAGE, TestEngine

pytestmark = pytest.mark.plugins

SLEEP = "exec /bin/sleep 1000"
HEALTHY = ("--health-cmd", "true", "--health-interval", "1s")
PAUSING = ("--update-delay", "1s", "--update-monitor", "3s", "--update-failure-action", "pause")


@pytest.fixture(scope="module")
def swarm(swarm: TestEngine) -> TestEngine:
    docker(swarm, "network", "create", "--driver", "overlay", "--subnet", "10.20.0.0/24", "galera")
    return swarm


@pytest.fixture
def app(swarm: TestEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestEngine]:
    """A global service that runs, on an engine with nothing else."""
    monkeypatch.setattr(convergence, "BEGINS_WITHIN", 3)
    mount = "type=volume,source=app,target=/data"
    words = ("--mode", "global", "--name", "app", "--network", "galera", "--mount", mount)
    end = ("--stop-signal", "KILL", IMAGE, "/bin/sh", "-c", SLEEP)
    docker(swarm, "service", "create", "--detach", *words, *HEALTHY, *PAUSING, *end)
    try:
        assert well(swarm)
        yield swarm
    finally:
        docker(swarm, "service", "rm", "app")


def docker(swarm: TestEngine, *words: str) -> str:
    """What the engine's own command line prints."""
    done = subprocess.run(
        ["docker", *words], env=swarm.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def change(swarm: TestEngine, *words: str) -> None:
    """What Pulumi does with a changed service: it does not wait."""
    docker(swarm, "service", "update", "--detach", *words, "app")


def wait(swarm: TestEngine) -> tuple[int, str]:
    """The exit code of the wait, and what it printed: the virtual IP, or its words."""
    done = subprocess.run(
        ["bash", "-c", script(convergence.service_running("app", 1, "galera", minutes=2))],
        env=swarm.environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done.returncode, done.stdout.strip() or done.stderr


def well(swarm: TestEngine) -> bool:
    """Whether the wait ends well, with a virtual IP."""
    code, said = wait(swarm)
    assert code == 0, said
    return said.startswith("10.20.0.")


def state(swarm: TestEngine) -> str:
    return str(swarm.client.inspect_service("app").get("UpdateStatus", {}).get("State"))


def test_a_rolling_update_is_waited_for_to_its_end(app: TestEngine) -> None:
    change(app, "--env-add", "SIZE=5")
    assert well(app)
    assert state(app) == "completed"
    (task,) = app.client.tasks(filters={"service": "app", "desired-state": "running"})
    assert task["Status"]["State"] == "running"
    assert "SIZE=5" in task["Spec"]["ContainerSpec"]["Env"]


def test_a_change_that_replaces_no_task_keeps_nobody_waiting(app: TestEngine) -> None:
    change(app, "--label-add", "a=b")
    assert well(app)
    assert state(app) == "None"


def test_an_update_that_fails_is_given_up_and_its_correction_is_not(app: TestEngine) -> None:
    change(app, "--args", "/bin/nothing")
    code, said = wait(app)
    assert (code, state(app)) == (1, "paused")
    assert "The update of app has stopped at its first failure: update paused due to" in said
    assert '"/bin/nothing": stat /bin/nothing: no such file' in said
    change(app, "--args", f"/bin/sh -c '{SLEEP}'")
    assert well(app)
    assert state(app) == "completed"


def test_an_update_whose_cause_of_failure_is_gone_goes_on_when_the_wait_is_repeated(app: TestEngine) -> None:
    change(app, "--args", f"/bin/sh -c 'test -e /data/there || exit 1; {SLEEP}'")
    assert wait(app)[0] == 1
    mend = ("--mount", "type=volume,source=app,target=/data", "--restart-condition", "none")
    docker(
        app, "service", "create", "--detach", "--name", "mend", *mend, IMAGE, "/bin/sh", "-c", ">/data/there"
    )
    try:
        assert well(app)
        assert state(app) != "paused"
    finally:
        docker(app, "service", "rm", "mend")


def test_a_task_that_fails_soon_after_its_start_keeps_the_next_one_from_being_stopped(
    swarm: TestEngine,
) -> None:
    policy = UpdatePolicy(proven=5).options()
    words = [
        word for key, value in policy.items() for word in (f"--update-{key.replace('_', '-')}", str(value))
    ]
    end = ("--stop-signal", "KILL", IMAGE, "/bin/sh", "-c", SLEEP)
    docker(swarm, "service", "create", "--detach", "--name", "pair", "--replicas", "2", *words, *end)
    try:
        until(lambda: running(swarm) == [1, 2], "both tasks")
        docker(swarm, "service", "update", "--detach", "--args", "/bin/sh -c 'sleep 2; exit 1'", "pair")
        until(
            lambda: swarm.client.inspect_service("pair").get("UpdateStatus", {}).get("State") == "paused",
            "it",
        )
        new = [t for t in swarm.client.tasks(filters={"service": "pair"}) if SLEEP not in str(t["Spec"])]
        assert len({task["Slot"] for task in new}) == 1
    finally:
        docker(swarm, "service", "rm", "pair")


def running(swarm: TestEngine) -> list[int]:
    tasks = swarm.client.tasks(filters={"service": "pair", "desired-state": "running"})
    return sorted(task["Slot"] for task in tasks if task["Status"]["State"] == "running")


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.2)
