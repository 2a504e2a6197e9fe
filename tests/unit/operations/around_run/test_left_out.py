"""What a run leaves out because a host does not answer, and what it finds gone from the account."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from components import etcd, galera
from components.service_spec import ON_DATA_NODES, ON_MANAGERS
from components.softlayer import guests
from operations.account.audit import Account
from operations.around_run import left_out
from settings import parse
from settings.errors import UserError
from tests.unit.operations.around_run.test_care import seen
from tests.unit.operations.test_verify import NAMES
from tests.unit.settings.test_settings import config

pytestmark = pytest.mark.unit

URN = "urn:pulumi:dev::swarm-galera::"


def resource(name: str, kind: str = "command:remote:Command", **behind: list[str]) -> dict[str, Any]:
    return {
        "urn": f"{URN}{kind}::{name}",
        "type": kind,
        "propertyDependencies": {
            key: [f"{URN}x:GuestReady::{each}" for each in on] for key, on in behind.items()
        },
    }


def guest(name: str, token: str = "", id: str = "1") -> dict[str, Any]:
    kind = "pulumi-python:dynamic/softlayer:VirtualGuest"
    return {
        **resource(f"{name}-guest", kind),
        "id": id,
        "inputs": {"hostname": name, "reload_token": token},
    }


RESOURCES = [
    guest("galera-1", id="11"),
    guest("galera-2", "old", id="12"),
    guest("galera-3", id="13"),
    resource("galera-1-engine-configured", connection=["galera-1-ready", "ssh-pair"]),
    resource("galera-3-engine-configured", connection=["galera-3-ready", "ssh-pair"]),
    resource("swarm-galera-3-joined", connection=["ssh-pair", "galera-3-ready"], stdin=["galera-1-ready"]),
    resource("swarm-started", "command:local:Command", stdin=["galera-3-ready"]),
    resource("docker-provider", "pulumi:providers:docker", sshOpts=["galera-1-ready", "galera-3-ready"]),
]
EXPORTED = {"deployment": {"resources": RESOURCES}}


def step(op: str, name: str, host: str) -> dict[str, Any]:
    """One of a preview."""
    state = resource(name, connection=[f"{host}-ready"])
    return {"op": op, "urn": state["urn"], "oldState" if op == "delete" else "newState": state}


def options(
    away: tuple[str, ...], steps: Sequence[dict[str, Any]] | None, coming: Collection[str] = ()
) -> list[str]:
    now = seen(away=away)
    return left_out.options(now, EXPORTED, left_out.lost(now, coming), lambda: steps)


def excluded(options: list[str]) -> list[str]:
    assert options[-1:] == ["--exclude-dependents"]
    assert set(options[:-1:2]) == {"--exclude"}
    return [urn.rpartition("::")[2] for urn in options[1:-1:2]]


@pytest.mark.parametrize("dead", ["galera-1", "galera-3"])
def test_a_dead_host_on_which_nothing_is_to_be_done_keeps_nobody_from_anything(
    dead: str, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [
        step("same", f"{dead}-engine-configured", dead),
        step("update", "galera-2-engine-images", "galera-2"),
        {"op": "update", "urn": RESOURCES[6]["urn"], "newState": RESOURCES[6]},
        {"op": "update", "urn": RESOURCES[7]["urn"], "newState": RESOURCES[7]},
    ]
    assert options((dead,), steps) == []
    assert f"Nothing has to be done on {dead}" in capsys.readouterr().err


def test_what_would_have_to_be_done_on_a_dead_host_is_left_out_and_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = [
        step("update", "galera-3-engine-images", "galera-3"),
        step("create", "galera-3-system-motd", "galera-3"),
        step("replace", "galera-3-engine-current", "galera-3"),
        step("create-replacement", "galera-3-engine-current", "galera-3"),
        step("delete", "galera-3-system-resolver", "galera-3"),
        step("same", "galera-3-engine-configured", "galera-3"),
        step("update", "galera-2-engine-images", "galera-2"),
    ]
    assert excluded(options(("galera-3",), steps)) == [
        "galera-3-engine-images",
        "galera-3-system-motd",
        "galera-3-engine-current",
        "galera-3-system-resolver",
    ]
    said = capsys.readouterr().err
    assert "Left out: what would have to be done on galera-3 (galera-3-engine-images, galera-3-" in said
    assert "Remedy: bring it back" in said


def test_a_dead_node_that_would_only_be_told_of_a_managers_new_address_keeps_nobody_from_anything(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Else the store's service, the database's, all that comes after the nodes, would be left out with it."""
    steps = [
        step("update", "swarm-galera-3-joined", "galera-3"),
        step("update", "swarm-galera-2-joined", "galera-2"),
    ]
    urn = steps[0]["urn"]
    assert options(("galera-3",), steps) == ["--exclude", urn]
    said = capsys.readouterr().err
    assert "Left out, and nothing else: that galera-3 be asked" in said
    assert "run `up` again" in said


def test_what_is_only_forgotten_of_a_dead_host_needs_nobody() -> None:
    """Else a swarm that goes would stay, with its services, because a step on a dead host goes with it."""
    gone = step("delete", "swarm-galera-3-joined", "galera-3")
    gone["oldState"]["inputs"] = {"stdin": "…", "delete": None}
    assert options(("galera-3",), [gone]) == []
    gone["oldState"]["inputs"]["delete"] = "step=…"
    assert excluded(options(("galera-3",), [gone])) == ["swarm-galera-3-joined"]


@pytest.mark.parametrize(
    "more",
    [
        # It is in no swarm yet, or will be another node; or there is more to do on it.
        step("create", "swarm-galera-3-joined", "galera-3"),
        step("replace", "swarm-galera-3-joined", "galera-3"),
        step("update", "galera-3-engine-configured", "galera-3"),
    ],
    ids=lambda each: f"{each['op']} {each['urn'].rpartition('::')[2]}",
)
def test_what_follows_waits_where_a_dead_host_is_no_node_or_has_more_to_do(more: dict[str, Any]) -> None:
    steps = [step("update", "swarm-galera-1-joined", "galera-1"), more]
    found = excluded(options(("galera-1", "galera-3"), steps))
    assert set(found) == {each["urn"].rpartition("::")[2] for each in steps}


# -- services


def service(name: str, *constraints: str, replicas: int | None = None, op: str = "update") -> dict[str, Any]:
    """A step that changes one."""
    made = resource(f"{name}-service", "docker:index/service:Service")
    mode = {"global": True} if replicas is None else {"replicated": {"replicas": replicas}}
    placement = {"placement": {"constraints": list(constraints)}} if constraints else {}
    made["inputs"] = {"mode": mode, "taskSpec": {"containerSpec": {}, **placement}}
    return {"op": op, "urn": made["urn"], "oldState" if op == "delete" else "newState": made}


def wait(name: str, behind: dict[str, Any], op: str = "update") -> dict[str, Any]:
    """A step that waits for one on a manager."""
    made = {**resource(name, "command:local:Command"), "dependencies": [behind["urn"]]}
    return {"op": op, "urn": made["urn"], "oldState" if op == "delete" else "newState": made}


ETCD = service("etcd", ON_MANAGERS)
GALERA = service("galera", ON_DATA_NODES)
CONSUL = service("consul")


@pytest.mark.parametrize(
    ("dead", "change"), [("galera-4", CONSUL), ("galera-3", CONSUL), ("galera-3", ETCD), ("galera-1", GALERA)]
)
def test_a_service_is_not_changed_while_a_host_that_has_its_container_does_not_answer(
    dead: str, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The wait would end in an error after a quarter of an hour, with the other members changed."""
    name = change["urn"].rpartition("::")[2]
    assert excluded(options((dead,), [change, wait("it-running", change)])) == [name, "it-running"]
    said = capsys.readouterr().err
    assert f"Services with a container on {dead} are changed on all their hosts or on none" in said
    assert f"Left out: what would have to be done on {dead} ({name}" in said
    assert "Remedy: bring it back" in said


@pytest.mark.parametrize(
    "change",
    [
        ETCD,  # the worker has none
        GALERA,
        service("application", replicas=2),  # it runs elsewhere
        service("consul", op="delete"),
        wait("etcd-running", ETCD),
    ],
    ids=lambda each: f"{each['op']} {each['urn'].rpartition('::')[2]}",
)
def test_a_service_that_needs_no_container_on_a_dead_host_is_changed(change: dict[str, Any]) -> None:
    assert options(("galera-4",), [change]) == []


def test_nobody_waits_for_a_dead_host_either_where_a_service_was_changed_before() -> None:
    """As after a run in the middle of which the host died."""
    there = {"deployment": {"resources": [*RESOURCES, ETCD["newState"]]}}
    now = seen(away=("galera-3",))
    waits = [wait("etcd-running", ETCD), wait("etcd-users", wait("etcd-running", ETCD))]
    assert excluded(left_out.options(now, there, ["galera-3"], lambda: waits)) == ["etcd-running"]
    gone = [service("etcd", op="delete"), wait("etcd-running", ETCD, "delete")]
    assert left_out.options(now, there, ["galera-3"], lambda: gone) == []


def test_a_network_is_not_replaced_under_services_that_stay() -> None:
    """Pulumi would take it away first, whatever is left out of what is on it."""
    network = resource("network-network", "docker:index/network:Network")
    steps = [
        {"op": "replace", "urn": network["urn"], "newState": network},
        service("galera", ON_DATA_NODES, op="replace"),
    ]
    assert excluded(options(("galera-2",), steps)) == ["network-network", "galera-service"]
    assert options(("galera-4",), steps) == []
    steps[0]["op"] = "create"
    assert excluded(options(("galera-2",), steps)) == ["galera-service"]


def test_a_manager_s_new_address_reaches_no_service_that_a_dead_host_has() -> None:
    """What is only told to nodes is left out alone; what members are started with is not."""
    joined = step("update", "swarm-galera-3-joined", "galera-3")
    assert excluded(options(("galera-3",), [joined, ETCD])) == ["swarm-galera-3-joined", "etcd-service"]
    elsewhere = step("update", "swarm-galera-4-joined", "galera-4")
    assert options(("galera-4",), [elsewhere, ETCD]) == ["--exclude", elsewhere["urn"]]


def test_the_constraints_by_which_hosts_are_told_are_those_of_the_services() -> None:
    found = parse(config())
    assert etcd.spec(found).constraints == [ON_MANAGERS]
    assert galera.spec(found).constraints == [ON_DATA_NODES]


def test_without_a_preview_all_that_a_dead_host_has_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert excluded(options(("galera-3",), None)) == ["galera-3-engine-configured", "swarm-galera-3-joined"]
    assert "Left out" in capsys.readouterr().err


def test_without_any_manager_all_that_is_reached_through_one_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    away = ("galera-1", "galera-2", "galera-3")
    found = excluded(options(away, [{"op": "boom"}]))
    assert set(found) == {each["urn"].rpartition("::")[2] for each in RESOURCES[3:]}
    pulumi = cast(Any, SimpleNamespace(export=lambda: EXPORTED))
    through = excluded(left_out.of_refresh(seen(away=away), pulumi))
    assert set(through) == {"swarm-started", "docker-provider"}
    # With any of them, a refresh can ask all that it needs.
    assert left_out.of_refresh(seen(away=away[:2]), pulumi) == []
    assert left_out.of_refresh(None, pulumi) == []


def test_nothing_is_left_out_while_all_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert options((), None) == []
    assert capsys.readouterr().err == ""


def test_a_dead_host_that_is_replaced_gets_all_its_steps() -> None:
    assert options(("galera-3",), None, {"galera-3"}) == []


@pytest.mark.parametrize(
    ("servers", "names"),
    [
        ({}, set()),
        ({"replace": ["galera-3"]}, {"galera-3"}),
        ({"reloadToken": {"galera-2": "new"}}, {"galera-2"}),
        ({"reloadToken": {"galera-2": "old"}}, set()),
        ({"prefix": "db"}, {*NAMES[:3], "db-1", "db-2", "db-3"}),
        ({"managers": 1}, {"galera-2", "galera-3"}),
        ({"managers": 1, "workers": 1}, {"galera-3"}),
    ],
)
def test_a_host_that_this_run_replaces_reloads_or_takes_away_is_not_waited_for(
    servers: dict[str, Any], names: set[str]
) -> None:
    assert left_out.coming(servers, EXPORTED) == names


@pytest.mark.parametrize(
    "servers",
    [
        {"kind": "existing", "hosts": ["db1"]},
        {"hosts": 1, "pools": ["apps", {"name": "p", "hosts": 2}]},
        {"reloadToken": ["galera-1"], "replace": [{"galera-1": None}]},
        {"managers": "three"},
    ],
)
def test_settings_that_can_not_be_read_are_left_to_the_program_to_refuse(servers: dict[str, Any]) -> None:
    assert left_out.coming(servers, EXPORTED) <= {*NAMES}
    assert left_out.met_anew(servers, EXPORTED) == set()


def test_a_host_whose_server_the_state_has_lost_is_made_anew_and_not_waited_for() -> None:
    """As after a cancellation by hand and a refresh: the outputs still name the former server."""
    refreshed = {"deployment": {"resources": [guest("galera-1"), guest("galera-2")]}}
    assert left_out.coming({}, refreshed) == {"galera-3"}


# -- servers that the account no longer has


class Guests:
    """The account's, by id; `None` for one that is gone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *gone: int, reclaiming: tuple[int, ...] = ()) -> None:
        self.asked: list[int] = []

        def get(_api: object, number: int) -> Any:
            self.asked.append(number)
            return None if number in gone else SimpleNamespace(reclaiming=number in reclaiming)

        monkeypatch.setattr(guests, "get", get)
        monkeypatch.setattr(Account, "of", lambda *_: SimpleNamespace(api=None))


def cancelled(*away: str) -> dict[str, str]:
    pulumi = cast(Any, SimpleNamespace(export=lambda: EXPORTED))
    return left_out.cancelled(pulumi, seen(away=away))


def test_a_server_that_was_cancelled_is_found_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account = Guests(monkeypatch, 11, reclaiming=(13,))
    kind = "pulumi-python:dynamic/softlayer:VirtualGuest"
    assert cancelled("galera-1", "galera-2", "galera-3") == {
        "galera-1": f"{URN}{kind}::galera-1-guest",
        "galera-3": f"{URN}{kind}::galera-3-guest",
    }
    assert account.asked == [11, 12, 13]
    said = capsys.readouterr().err
    assert "galera-1: the account no longer has its server (11). `up` orders it anew" in said
    assert "galera-2" not in said


def test_only_hosts_that_do_not_answer_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Guests(monkeypatch, 11)
    assert cancelled() == {}
    assert cancelled("galera-2") == {}
    assert account.asked == [12]


def test_one_that_is_replaced_is_asked_for_though_it_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cancellation was broken off: it is going, and nobody would wait for another one."""
    account = Guests(monkeypatch, reclaiming=(12,))
    pulumi = cast(Any, SimpleNamespace(export=lambda: EXPORTED))
    assert list(left_out.cancelled(pulumi, seen(), ["galera-2"])) == ["galera-2"]
    assert account.asked == [12]


def test_an_account_that_cannot_be_asked_leaves_the_host_as_one_that_is_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def of(*_: object) -> Any:
        raise UserError("no answer from the API")

    monkeypatch.setattr(Account, "of", of)
    assert cancelled("galera-1") == {}
    assert "could not be looked up: no answer from the API" in capsys.readouterr().err
