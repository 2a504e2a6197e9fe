"""Operations on a stack below its data layer: what they look at, what they refuse, what `up` does."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from components.layers import AWAY, LOOK_AGAIN
from operations import balance, outputs, stack, verify
from operations.around_run import care, left_out, swarm_leftovers
from operations.around_run.care import Seen
from operations.checks import layer as layer_checks
from operations.checks.check import Check
from operations.errors import OperationsError
from operations.facts import cluster as cluster_facts
from operations.facts.cluster import HostFacts
from operations.outage import last_one
from operations.outputs import Outputs
from operations.remote_hosts import Answer
from operations.session import StackSession
from operations.verify import Report
from tests.unit.operations.test_stack import OUTPUTS, calls, project
from tests.unit.operations.test_verify import NAMES, VALUES, facts

pytestmark = pytest.mark.unit

__all__ = ["project"]  # a fixture

KEPT = {"clusterName": "galera", "members": list(NAMES[:3]), "volumes": ["etcd-data", "galera-data"]}
ABOVE = {
    "hosts": ("network", "discovery", "galera", "passwords"),
    "swarm": ("discovery", "galera", "passwords"),
}


def values(layer: str, left: str = "", kept: dict[str, Any] | None = KEPT) -> dict[str, Any]:
    """Outputs of a stack at that layer."""
    there = {key: value for key, value in VALUES.items() if key not in ABOVE[layer]}
    down = {"done": not left, "left": left, "round": 1}
    return {**there, "layer": layer, "takenDown": down, "keptData": kept}


def at(layer: str, **more: Any) -> Outputs:
    return outputs.parse("dev", values(layer, **more))


def seen(layer: str, volumes: frozenset[str] = frozenset(KEPT["volumes"])) -> dict[str, HostFacts]:
    """Hosts that are as they should be."""
    return {
        name: replace(
            told,
            swarm="active" if layer == "swarm" else "inactive",
            managers=told.managers if layer == "swarm" else (),
            images={},
            ipsec_peers=frozenset(),
            galera={},
            node_status={},
            etcd_healthy=False,
            volumes=volumes if name != "galera-4" else frozenset(),
        )
        for name, told in facts().items()
    }


def checked(
    monkeypatch: pytest.MonkeyPatch, found: Outputs, told: dict[str, HostFacts]
) -> tuple[list[Check], list[str]]:
    """What `verify` finds, and what it asks of the first manager."""
    asked: list[str] = []

    class Hosts:
        reachable = list(NAMES)

        async def run_all(self, texts: dict[str, str], *_: Any) -> dict[str, Answer]:
            asked.append(texts["galera-1"])
            return {name: Answer(name) for name in texts}

    @contextlib.asynccontextmanager
    async def connected(_: Outputs) -> AsyncIterator[Hosts]:
        yield Hosts()

    report = Report()
    with monkeypatch.context() as patch:
        patch.setattr(verify, "connected", connected)
        patch.setattr(cluster_facts, "parse", lambda name, error: told[name])
        asyncio.run(verify._verify(found, report))
    return report.checks, asked


def failed(checks: list[Check]) -> list[tuple[str, str, str]]:
    return [(check.where, check.what, check.found) for check in checks if not check.ok]


def test_outputs_of_each_layer_are_read_with_what_is_there() -> None:
    hosts, swarm, data = at("hosts"), at("swarm"), outputs.parse("dev", VALUES)
    assert [each.layer for each in (hosts, swarm, data)] == ["hosts", "swarm", "data"]
    assert (hosts.network, swarm.network, data.network) == ("", "galera", "galera")
    assert hosts.members == swarm.members == ()
    assert hosts.volumes == ("etcd-data", "galera-data")
    assert hosts.kept_on == NAMES[:3]
    assert data.volumes == data.kept_on == ()
    assert at("hosts", kept=None).volumes == ()
    assert [host.name for host in hosts.managers] == list(NAMES[:3])


@pytest.mark.parametrize(("layer", "lost"), [("hosts", "ssh"), ("swarm", "network")])
def test_an_output_that_its_layer_should_have_is_missed(layer: str, lost: str) -> None:
    told = values(layer)
    del told[lost]
    with pytest.raises(OperationsError, match=f"no output {lost}: "):
        outputs.parse("dev", told)


@pytest.mark.parametrize("layer", ["hosts", "swarm"])
def test_a_stack_that_is_as_its_layer_should_be_passes_every_check(
    layer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks, asked = checked(monkeypatch, at(layer), seen(layer))
    assert failed(checks) == []
    assert not any(check.warns for check in checks)
    what = {check.what for check in checks}
    assert f"nothing is left above the layer {layer}" in what
    assert "the data is kept in its volumes" in what
    assert ("engine on btrfs, in no swarm" in what) == (layer == "hosts")
    assert ("3 managers reachable, one of them leads" in what) == (layer == "swarm")
    assert ("overlay network galera is encrypted" in what) == (layer == "swarm")
    assert not [each for each in what if "etcd" in each or "Galera" in each or "row" in each]
    (text,) = asked
    assert "docker volume ls" in text
    assert ("docker node ls" in text) == (layer == "swarm")
    assert "etcdctl" not in text
    assert "mariadb" not in text


AMISS = [
    ("a host in a swarm", {"swarm": "active"}, ("engine on btrfs, in no swarm", "btrfs, active")),
    ("a host in error", {"swarm": "error"}, ("engine on btrfs, in no swarm", "btrfs, error")),
    ("a service", {"images": {"galera": "sha256:9a1e"}}, ("no service runs", "galera")),
    (
        "lost data",
        {"volumes": frozenset({"etcd-data"})},
        ("the data is kept in its volumes", "missing: galera-data"),
    ),
]


@pytest.mark.parametrize(("_name", "changed", "told"), AMISS)
def test_what_should_not_be_there_or_is_gone_is_seen(
    _name: str, changed: dict[str, Any], told: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = seen("hosts")
    now["galera-2"] = replace(now["galera-2"], **changed)
    checks, _ = checked(monkeypatch, at("hosts"), now)
    assert failed(checks) == [("galera-2", *told)]


def test_a_host_that_is_still_in_a_swarm_is_no_reason_to_restart_its_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = seen("hosts")
    now["galera-2"] = replace(now["galera-2"], swarm="error")
    checks, _ = checked(monkeypatch, at("hosts"), now)
    (check,) = [check for check in checks if not check.ok]
    assert "`up` once more: hosts leave the swarm" in check.remedy
    assert "restarts the engine" not in check.remedy


def test_what_is_not_taken_down_yet_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    checks, _ = checked(monkeypatch, at("hosts", left="etcd 3 nodes"), seen("hosts"))
    assert failed(checks) == [("cluster", "nothing is left above the layer hosts", "etcd 3 nodes")]


def test_a_host_that_does_not_answer_is_not_taken_for_one_without_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = {**seen("hosts"), "galera-2": HostFacts(error="no answer within 120 s")}
    checks, _ = checked(monkeypatch, at("hosts"), now)
    assert ("galera-2", "the data is kept in its volumes", "not asked") in failed(checks)
    assert ("galera-2", "no service runs", "no answer within 120 s") in failed(checks)


def test_data_that_nobody_keeps_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    found = at("swarm", kept=None)
    checks, _ = checked(monkeypatch, found, seen("swarm", volumes=frozenset()))
    assert not [check for check in checks if check.warns or not check.ok]
    checks, _ = checked(monkeypatch, found, seen("swarm", volumes=frozenset({"galera-data", "mine"})))
    warned = [check for check in checks if check.warns]
    assert [check.where for check in warned] == list(NAMES[:3])
    assert {check.found for check in warned} == {"galera-data"}
    assert "takes them over" in warned[0].remedy


def test_rows_that_a_worker_bears_are_looked_for_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {**KEPT, "members": list(NAMES)}
    found, now = at("hosts", kept=kept), seen("hosts")
    checks, _ = checked(monkeypatch, found, now)
    assert failed(checks) == [("galera-4", "the data is kept in its volumes", "missing: galera-data")]
    # The store's records are on managers only; Consul has a member on every host.
    there = replace(now["galera-4"], volumes=frozenset({"galera-data", "consul-data"}))
    checks, _ = checked(monkeypatch, found, {**now, "galera-4": there})
    assert not [check for check in checks if check.warns or not check.ok]
    # Nobody counts on them any more, and a database that comes up would.
    checks, _ = checked(monkeypatch, at("hosts"), {**now, "galera-4": there})
    assert [(check.where, check.found) for check in checks if check.warns] == [("galera-4", "galera-data")]


def test_uploads_that_nobody_keeps_are_warned_of_on_any_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of kept ones nobody knows where they should be: containers move."""
    now = seen("swarm", volumes=frozenset(KEPT["volumes"]))
    now["galera-4"] = replace(now["galera-4"], volumes=frozenset({"application-uploads"}))
    checks, _ = checked(monkeypatch, at("swarm"), now)
    assert not [check for check in checks if check.warns or not check.ok]
    now = {
        **seen("swarm", volumes=frozenset()),
        "galera-4": now["galera-4"],
    }
    checks, _ = checked(monkeypatch, at("swarm", kept=None), now)
    (warned,) = [check for check in checks if check.warns]
    assert (warned.where, warned.found, warned.ok) == ("galera-4", "application-uploads", True)
    assert "takes these uploads over" in warned.remedy


def test_a_stack_with_an_application_is_at_the_layer_of_that_name() -> None:
    told = {"service": "application", "vip": "10.20.0.9", "port": 80, "targetPort": 8080, "replicas": 2}
    found = outputs.parse("dev", {**VALUES, "application": told})
    assert (found.layer, found.has("data"), found.has("application")) == ("application", True, True)
    assert layer_checks.of_layer(found, facts()) == []


def test_a_stack_with_its_data_has_no_check_of_layers() -> None:
    assert layer_checks.of_layer(outputs.parse("dev", VALUES), facts()) == []


def test_the_report_says_the_layer(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report([Check("cluster", "what", True, "found")], layer="hosts")
    assert report.as_json("dev")["layer"] == "hosts"
    verify.show(report, "dev")
    assert "Stack dev, up to the layer hosts" in " ".join(capsys.readouterr().out.split())


def test_what_needs_the_database_is_refused_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "of_stack", lambda stack: at("swarm"))
    commands: dict[str, Callable[[], None]] = {
        "balance": lambda: balance.balance("dev"),
        "survive": lambda: last_one.survive("galera-1", "dev", yes=True),
        "verify --deep": lambda: verify.verify("dev", deep=True),
    }
    for what, called in commands.items():
        with pytest.raises(
            OperationsError, match=rf"layer swarm, and {what} needs its database. Set deployUpTo"
        ):
            called()


@pytest.mark.parametrize("layer", ["hosts", "swarm"])
def test_hosts_below_the_data_are_well_without_it(layer: str) -> None:
    well = Seen(at(layer), seen(layer), {})
    assert (well.unwell, well.ill) == ({}, [])
    assert care.environment(well) == {}


def test_the_program_is_told_of_hosts_that_are_in_a_swarm_where_there_is_to_be_none() -> None:
    now = seen("hosts")
    now["galera-2"] = replace(now["galera-2"], swarm="active")
    assert care.environment(Seen(at("hosts"), now, {})) == {LOOK_AGAIN: "1"}
    assert care.environment(Seen(at("swarm"), seen("swarm"), {})) == {}
    assert (
        care.environment(Seen(at("hosts"), {"galera-2": HostFacts(error="no SSH")}, {})).get(LOOK_AGAIN)
        is None
    )


def without(name: str) -> Outputs:
    """The hosts of a stack that went down while one of them did not answer."""
    told = values("hosts")
    return outputs.parse("dev", {**told, "takenDown": {**told["takenDown"], "missed": [name]}})


def test_a_host_that_comes_back_with_the_former_swarm_has_nobody_else_looked_at() -> None:
    """It has a step of its own; any manager would be asked in vain."""
    now = seen("hosts")
    now["galera-2"] = replace(now["galera-2"], swarm="active")
    assert care.environment(Seen(without("galera-2"), now, {})) == {}
    now["galera-3"] = replace(now["galera-3"], swarm="active")
    assert care.environment(Seen(without("galera-2"), now, {})) == {LOOK_AGAIN: "1"}


def test_a_host_that_has_yet_to_do_its_part_is_named_with_what_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks, _ = checked(monkeypatch, without("galera-2"), seen("hosts"))
    (check,) = [each for each in checks if not each.ok]
    assert (check.where, check.found) == ("galera-2", "it did not answer when the others did theirs")
    assert "`up` ends there what is left" in check.remedy


def test_an_engine_is_mended_at_every_layer_but_not_for_a_swarm_that_it_is_to_leave() -> None:
    def with_host(layer: str, **changed: Any) -> Seen:
        now = seen(layer)
        now["galera-2"] = replace(now["galera-2"], **changed)
        return Seen(at(layer), now, {})

    assert with_host("hosts", swarm="error").ill == []
    assert with_host("hosts", swarm="error").unwell == {}
    assert with_host("swarm", swarm="error").ill == ["galera-2"]
    assert with_host("hosts", engine="failed").ill == ["galera-2"]
    assert "galera-2" in with_host("hosts", engine="failed").unwell


# -- the second run


@pytest.fixture
def cleared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """At which layer the swarm was cleared of what no state knows."""
    layers: list[str] = []

    def clear(found: Outputs, *_: Any) -> bool:
        layers.append(found.layer)
        return True

    monkeypatch.setattr(swarm_leftovers, "clear", clear)
    monkeypatch.setattr(StackSession, "looked", lambda self: None)
    return layers


def told(project: Path, *left: str) -> None:
    """The outputs at the layer hosts, each of these after one more `up`."""
    for number, each in enumerate(left, 1):
        now = {**OUTPUTS, "layer": "hosts", "takenDown": {"done": not each, "left": each, "round": number}}
        for key in ABOVE["hosts"]:
            now.pop(key, None)
        (project / f"outputs-{number}.json").write_text(json.dumps(now))
    # After each `up`, the next ones; the last ones stay.
    program = project.parent / "bin" / "pulumi"
    text = program.read_text().replace(
        'echo "updating"',
        'n=$(grep -c "^up " calls); [ ! -e outputs-$n.json ] || cp outputs-$n.json outputs.json\n'
        '    echo "updating"',
    )
    program.write_text(text)


UP = "up --yes --skip-preview --parallel 64"


def test_the_second_run_knows_who_does_not_answer(
    project: Path, cleared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told(project, "etcd galera 3 nodes", "")
    silent = Seen(at("hosts"), seen("hosts"), {"galera-2": "no SSH"})
    given: list[dict[str, str]] = []
    monkeypatch.setattr(StackSession, "looked", lambda self: silent)
    monkeypatch.setattr(left_out, "of_up", lambda *_: [])
    monkeypatch.setattr(left_out, "cancelled", lambda *_: {})
    monkeypatch.setattr(care, "heal", lambda now, *_: now)
    informed = StackSession.informed

    def noted(self: StackSession, now: Seen | None) -> StackSession:
        given.append(care.environment(now))
        return informed(self, now)

    monkeypatch.setattr(StackSession, "informed", noted)
    stack.up("dev", yes=True)
    assert json.loads(given[-1][AWAY]) == ["galera-2"]
    assert len(given) == 3  # before the first run's preview, for it, and for the second one


def test_up_that_takes_a_layer_down_goes_on_until_all_is_down(
    project: Path, cleared: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told(project, "etcd galera 3 nodes", "")
    stack.up("dev", yes=True)
    assert calls(project).count(UP) == 2
    assert cleared == ["hosts"]
    assert "One more run has the hosts do the rest: etcd galera 3 nodes." in capsys.readouterr().err
    # The next one finds all done.
    stack.up("dev", yes=True)
    assert calls(project).count(UP) == 3
    assert cleared == ["hosts"]


def test_up_that_cannot_take_all_down_says_what_is_left(project: Path, cleared: list[str]) -> None:
    told(project, "etcd", "etcd")
    with pytest.raises(OperationsError, match=r"not wholly taken down: etcd\. Run `up` again"):
        stack.up("dev", yes=True)
    assert calls(project).count(UP) == 2


def test_a_run_that_was_broken_off_leaves_nothing_on_a_swarm_that_is_gone(
    project: Path, cleared: list[str]
) -> None:
    told(project, "", "")
    (project / "broken").touch()
    with pytest.raises(typer.Exit):
        stack.up("dev", yes=True)
    (project / "broken").unlink()
    stack.up("dev", yes=True)
    assert cleared == []
