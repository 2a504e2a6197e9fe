"""From etcd to Consul and back: refused under a database that runs, and never onto records of before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.host_scripts.taken_down import CLEAR
from components.store_change import after as without_records
from components.store_change import datacenter_of, store_of, volumes_of
from settings import parse
from tests.unit import program
from tests.unit.program import Recorded, run
from tests.unit.settings.test_settings import config

pytestmark = pytest.mark.unit

CONSUL: dict[str, Any] = {
    "discovery": {"kind": "consul", "image": "registry.lab:5000/consul:1.16-1", "recursors": ["10.0.80.11"]}
}
ETCD: dict[str, Any] = {}
WORKER = {"servers": {"workers": 1}}
SWARM = {"deployUpTo": "swarm"}
DOWN = {**SWARM, "takeDown": ["data"]}
MANAGERS = [f"taken-down-galera-{number}-volumes" for number in (1, 2, 3)]
ALL = [*MANAGERS, "taken-down-galera-4-volumes"]


@pytest.fixture(scope="module")
def etcd(home: Path) -> Recorded:
    return run(WORKER)


@pytest.fixture(scope="module")
def consul(home: Path) -> Recorded:
    return run({**CONSUL, **WORKER})


@pytest.fixture(autouse=True)
def clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts say that nothing is left to do."""
    for step in ("taken-down-looked", *ALL):
        monkeypatch.setitem(program.OTHERWISE, step, {"stdout": CLEAR})


def after(former: Recorded, *settings: dict[str, Any]) -> Recorded:
    merged: dict[str, Any] = {**WORKER}
    for each in settings:
        merged |= each
    return run(merged, former=former.outputs)


def removed(made: Recorded) -> dict[str, str]:
    """The line that says which volumes go, by step."""
    return {
        name: next(line for line in args.inputs["stdin"].splitlines() if line.startswith("volumes="))
        for name, args in made.resources.items()
        if name.endswith("-volumes")
    }


@pytest.mark.parametrize(
    ("former", "wanted", "words"), [("etcd", CONSUL, "consul"), ("consul", ETCD, "etcd")]
)
def test_a_database_that_runs_keeps_its_store(
    request: pytest.FixtureRequest, former: str, wanted: dict[str, Any], words: str
) -> None:
    before = request.getfixturevalue(former)
    with pytest.raises(pulumi.RunError) as refused:
        after(before, wanted)
    said = str(refused.value)
    assert f"swarm-galera:discovery.kind: {words}, and the database runs with {former}" in said
    assert "takeDown: [application, data]" in said
    assert "nothing was ordered or changed" in said


ELSEWHERE: dict[str, Any] = {"servers": {"workers": 1, "datacenter": "dal10"}}


def test_consul_keeps_the_name_of_its_datacenter_while_its_records_count(
    consul: Recorded, etcd: Recorded
) -> None:
    assert consul.outputs["discovery"]["datacenter"] == "tor01"
    down = after(consul, CONSUL, DOWN)
    assert down.outputs["keptData"]["datacenter"] == "tor01"
    for before in (consul, down):
        with pytest.raises(pulumi.RunError) as refused:
            after(before, CONSUL, ELSEWHERE)
        said = str(refused.value)
        assert "swarm-galera:servers.datacenter: Consul's datacenter would be dal10" in said
        assert "Remedy: say servers.datacenter: tor01" in said
    # The records are gone.
    removed = after(down, CONSUL, {**DOWN, "keepData": False})
    assert after(removed, CONSUL, ELSEWHERE).outputs["discovery"]["datacenter"] == "dal10"
    # Of etcd, and of a Consul that an older version of the program has made, it is not known.
    without = without_records(down.outputs["keptData"], parse(config()))
    assert (without["store"], "datacenter" in without) == ("etcd", False)
    assert "datacenter" not in etcd.outputs["discovery"]
    for discovery in ({"kind": "consul"}, {"kind": "etcd", "vip": "10.20.0.2"}, {}):
        assert datacenter_of({"galera": {"size": 3}, "discovery": discovery}) == ""
    assert datacenter_of({}) == datacenter_of({"keptData": None}) == ""


def test_it_changes_while_the_data_is_down_and_the_former_records_go(etcd: Recorded) -> None:
    down = after(etcd, DOWN, CONSUL)
    # On managers: a worker never had any.
    assert removed(down) == dict.fromkeys(MANAGERS, "volumes=(etcd-data)")
    assert down.outputs["keptData"]["store"] == "consul"
    assert down.outputs["keptData"]["volumes"] == ["galera-data"]
    up = after(down, CONSUL)
    assert up.outputs["discovery"]["kind"] == "consul"
    assert up.outputs["galera"] == etcd.outputs["galera"]


def test_the_run_that_removes_records_says_so(etcd: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    after(etcd, DOWN, CONSUL)
    assert "The records of etcd are removed (discovery.kind: consul)" in warned[0]
    warned.clear()
    after(etcd, DOWN)
    assert "records" not in warned[0]


def test_records_that_are_kept_are_not_gone_past(etcd: Recorded) -> None:
    down = after(etcd, DOWN)
    assert removed(down) == {}
    with pytest.raises(pulumi.RunError) as refused:
        after(down, CONSUL)
    assert "discovery.kind: consul, and the records of the kept data are in etcd" in str(refused.value)
    between = after(down, SWARM, CONSUL)
    assert removed(between) == dict.fromkeys(MANAGERS, "volumes=(etcd-data)")
    # And then it is done: nothing more is removed, and the outputs stay.
    again = after(between, SWARM, CONSUL)
    assert removed(again) == {}
    assert again.outputs["keptData"] == between.outputs["keptData"]
    assert after(again, CONSUL).outputs["discovery"]["kind"] == "consul"


def test_records_count_until_every_host_has_removed_them(
    etcd: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(program.OTHERWISE, MANAGERS[1], {"stdout": "pending etcd galera"})
    down = after(etcd, DOWN, CONSUL)
    assert down.outputs["keptData"]["store"] == "etcd"
    assert down.outputs["keptData"]["volumes"] == ["etcd-data", "galera-data"]
    with pytest.raises(pulumi.RunError, match="the records of the kept data are in etcd"):
        after(down, CONSUL)


def test_the_way_back_removes_consuls_from_every_host(consul: Recorded) -> None:
    down = after(consul, DOWN)
    assert removed(down) == dict.fromkeys(ALL, "volumes=(consul-data)")
    assert down.outputs["keptData"]["volumes"] == ["galera-data"]
    assert after(down).outputs["discovery"]["kind"] == "etcd"


def test_a_change_of_mind_before_going_up_is_none(etcd: Recorded) -> None:
    down = after(etcd, DOWN, CONSUL)
    back = after(down, SWARM)
    assert removed(back) == dict.fromkeys(ALL, "volumes=(consul-data)")
    assert back.outputs["keptData"]["volumes"] == ["galera-data"]
    assert after(back).outputs["discovery"]["kind"] == "etcd"


def test_with_the_data_both_stores_go(etcd: Recorded, consul: Recorded) -> None:
    gone = {**DOWN, "keepData": False}
    assert removed(after(etcd, gone)) == dict.fromkeys(MANAGERS, "volumes=(etcd-data galera-data)")
    for former, settings in ((consul, CONSUL), (consul, ETCD), (etcd, CONSUL)):
        found = removed(after(former, gone, settings))
        assert found == {
            **dict.fromkeys(MANAGERS, "volumes=(etcd-data galera-data consul-data)"),
            ALL[-1]: "volumes=(consul-data)",
        }


def test_hosts_ask_consul_no_more_once_it_is_taken_down(consul: Recorded) -> None:
    """Their step is no longer declared, so Pulumi takes it back: before the service that it depends on."""
    asked = {f"consul-asked-galera-{number}" for number in (1, 2, 3, 4)}
    assert asked <= set(consul.resources)
    assert not asked & set(after(consul, DOWN, CONSUL).resources)
    assert "consul-running" in consul.depends_on["consul-asked-galera-1"]
    assert "consul-service" in consul.depends_on["consul-running"]


def test_what_consul_cannot_be_used_without_stays_in_the_state(consul: Recorded) -> None:
    down = after(consul, DOWN, CONSUL)
    kept = {name for name in down.resources if name.startswith("consul")}
    drawn = {f"consul-{whose}-token" for whose in ("gossip", "management", "agent", "galera", "consumer")}
    assert kept == {"consul", "consul-authority", *drawn}
    for name in kept:
        assert (down.parents[name], down.resources[name].typ) == (
            consul.parents[name],
            consul.resources[name].typ,
        )


def test_what_was_kept_before_there_was_a_choice_is_etcds() -> None:
    kept = {"clusterName": "galera", "members": ["galera-1"], "volumes": ["etcd-data", "galera-data"]}
    assert store_of({"keptData": kept}) == "etcd"
    assert volumes_of({"keptData": kept}) == ["etcd-data", "galera-data"]
    assert store_of({}) is None
    assert volumes_of({"keptData": None}) == []
    # After a run that failed on its way down, what ran before counts.
    assert store_of({"galera": {"size": 3}, "discovery": {"kind": "consul"}, "keptData": kept}) == "consul"
