"""`galera.dataPath` in the program: which hosts get it, what waits for it, what is refused, what goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.host_scripts.taken_down import CLEAR
from tests.unit import program
from tests.unit.program import Recorded, run

pytestmark = pytest.mark.unit

HOSTS = ("galera-1", "galera-2", "galera-3")
PATH = {"galera": {"dataPath": "/srv/mariadb"}}
DOWN = {**PATH, "deployUpTo": "hosts", "takeDown": ["swarm", "data"]}
STEPS = tuple(f"{host}-data-path-mounted" for host in HOSTS)


@pytest.fixture(scope="module")
def dev(home: Path) -> Recorded:
    """The smallest stack."""
    return run()


@pytest.fixture(scope="module")
def moved(home: Path) -> Recorded:
    """The same with a path, and a worker, which has none."""
    return run({**PATH, "servers": {"workers": 1}})


@pytest.fixture
def clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts say that nothing is left to do."""
    for host in HOSTS:
        for step in ("looked", f"{host}-left", f"{host}-volumes"):
            monkeypatch.setitem(program.OTHERWISE, f"taken-down-{step}", {"stdout": CLEAR})


def text(made: Recorded, name: str) -> str:
    return str(made.resources[name].inputs["stdin"])


def test_every_manager_has_the_path_and_no_worker(moved: Recorded) -> None:
    assert sorted(name for name in moved.resources if name.endswith("-data-path-mounted")) == list(STEPS)
    for host, step in zip(HOSTS, STEPS, strict=True):
        for fact in (f"hostname={host}", "path=/srv/mariadb", "volume=galera-data", "subvolume=galera-data"):
            assert f"\n{fact}\n" in text(moved, step)
        assert "create() {" in text(moved, step)
        assert "delete" not in moved.resources[step].inputs


def test_nothing_of_a_stack_differs_but_what_waits_for_the_path(dev: Recorded, home: Path) -> None:
    made = run(PATH)
    assert set(made.resources) - set(dev.resources) == {*STEPS, *(f"{host}-data-path" for host in HOSTS)}
    for name in dev.resources:
        assert made.resources[name].inputs == dev.resources[name].inputs, name
    galera = {**dev.outputs["galera"], "dataPath": "/srv/mariadb"}
    assert made.outputs == {**dev.outputs, "galera": galera}
    assert "dataPath" not in dev.outputs["galera"]


def test_the_path_comes_after_disk_and_engine_and_before_any_container_with_the_volume(
    moved: Recorded,
) -> None:
    for host, step in zip(HOSTS, STEPS, strict=True):
        assert f"{host}-engine-configured" in moved.depends_on[step]
        # The label brings the tasks of a service that is there already; a host that was reloaded is back once
        # its database is.
        for waits in (f"swarm-{host}-node", f"{host}-engine-current"):
            assert step in moved.depends_on[waits]
    assert not [each for each in moved.depends_on["galera-4-engine-current"] if each in STEPS]
    assert {f"{host}-engine-current" for host in HOSTS} <= moved.depends_on["galera-service"]


def test_a_host_that_is_another_or_was_reloaded_is_given_the_path_again(moved: Recorded) -> None:
    """Its key is pinned in the connection; Pulumi runs a command again whose connection is another."""
    for host, step in zip(HOSTS, STEPS, strict=True):
        disk = f"{host}-disk-prepared"
        assert moved.resources[step].inputs["connection"] == moved.resources[disk].inputs["connection"]
        assert "hostKey" in moved.resources[step].inputs["connection"]


@pytest.mark.parametrize(
    ("former", "wanted", "said", "remedy"),
    [
        ({}, "/srv/mariadb", "/srv/mariadb, and it was not set when", "leave it out again"),
        (PATH, None, "left out, and it was /srv/mariadb when", "set it back to /srv/mariadb"),
        (PATH, "/srv/db", "/srv/db, and it was /srv/mariadb when", "set it back to /srv/mariadb"),
    ],
)
def test_the_path_of_a_cluster_that_has_formed_is_not_changed(
    home: Path, clear: None, former: dict[str, Any], wanted: str | None, said: str, remedy: str
) -> None:
    new = {} if wanted is None else {"galera": {"dataPath": wanted}}
    formed = run(former).outputs
    down = run({**former, "deployUpTo": "hosts", "takeDown": ["swarm", "data"]}, former=formed).outputs
    for outputs, more in ((formed, {}), (down, {}), (down, {"deployUpTo": "hosts"})):
        with pytest.raises(pulumi.RunError) as refused:
            run({**new, **more}, former=outputs)
        words = str(refused.value)
        assert f"swarm-galera:galera.dataPath: {said}" in words
        assert f"Remedy: {remedy}. To have them elsewhere: make a dump" in words


def test_before_a_cluster_has_formed_the_path_may_be_corrected(home: Path) -> None:
    assert run(PATH, former={}).outputs["galera"]["dataPath"] == "/srv/mariadb"


def test_below_the_data_the_path_is_remembered_and_touched_by_no_step(home: Path, clear: None) -> None:
    full = run(PATH)
    down = run(DOWN, former=full.outputs)
    assert not set(STEPS) & set(down.resources)
    assert down.outputs["keptData"]["dataPath"] == "/srv/mariadb"
    assert "btrfs subvolume delete" not in "".join(text(down, f"taken-down-{host}-left") for host in HOSTS)
    back = run(PATH, former=down.outputs)
    assert back.outputs == full.outputs
    assert {name: made.inputs for name, made in back.resources.items()} == {
        name: made.inputs for name, made in full.resources.items()
    }


def test_data_that_is_not_kept_goes_with_subvolume_mount_and_line(dev: Recorded, clear: None) -> None:
    made = run({**DOWN, "keepData": False}, former=run(PATH).outputs)
    plain = run({"deployUpTo": "hosts", "takeDown": ["swarm", "data"], "keepData": False}, former=dev.outputs)
    for host in HOSTS:
        step = f"taken-down-{host}-volumes"
        with_path, without = text(made, step), text(plain, step)
        assert "\npath=/srv/mariadb\n" in with_path
        assert with_path.index("docker volume rm") < with_path.index("btrfs subvolume delete")
        assert "subvolume" not in without
    assert made.outputs["keptData"] is None
    # And then it may be another one.
    assert run({"galera": {"dataPath": "/srv/db"}}, former=made.outputs).outputs["galera"]["dataPath"]
