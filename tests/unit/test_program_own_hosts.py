"""What the program declares for hosts of one's own, alone, beside ordered ones, and in pools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncssh
import pulumi
import pytest

from components.own_hosts.facts import Facts
from tests.unit import program
from tests.unit.program import Recorded, run

pytestmark = pytest.mark.unit

DB1 = {"name": "db1", "address": "10.0.0.1"}
DB2 = {"name": "db2", "address": "10.0.0.2"}
DB3 = {"name": "db3", "address": "10.0.0.3", "disk": "/dev/sdb"}
DEPLOY = {"user": "deploy", "port": 2222, "sshHost": "203.0.113.4"}
DB4 = {"name": "db4", "address": "10.0.0.4", "role": "worker", **DEPLOY}
SECOND = {**DB2, **DEPLOY}
"""A manager that another user logs in to."""
OWN: dict[str, Any] = {"servers": {"kind": "existing", "hosts": [DB1, DB2, DB3, DB4]}}
KEYS = {"ssh": {"publicKey": "ssh-ed25519 AAAA"}}
"""Of a stack that has ordered hosts, too: both let the same key in."""


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Credentials that must not be used, and an agent that holds the key."""
    monkeypatch.setenv("SL_USERNAME", "nobody")
    monkeypatch.setenv("SL_API_KEY", "marked-key")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    return tmp_path


def scripts(made: Recorded, step: str) -> str:
    return str(made.resources[step].inputs["stdin"])


def test_nothing_is_asked_of_an_account_and_nothing_is_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SL_USERNAME", "SL_API_KEY"):
        monkeypatch.delenv(name)
    made = run(OWN, asks_the_api=True)
    there = {name for name, one in made.resources.items() if "dynamic/softlayer" in one.typ}
    assert there == {"identity"}
    assert made.resources["identity"].inputs["no_account"] is True
    assert made.outputs["estimatedCost"] == {"hourly": 0.0, "monthly": 0.0, "currency": "USD", "hosts": {}}
    assert "firewall" not in made.resources


def test_a_stack_that_orders_has_no_word_of_it_in_its_identity() -> None:
    assert "no_account" not in run({}).resources["identity"].inputs


def test_a_host_is_reached_as_the_settings_say_and_by_sudo_where_it_is_not_root() -> None:
    made = run(OWN)
    ways = {}
    for name in ("db1", "db3", "db4"):
        step = made.resources[f"{name}-system-packages"].inputs
        connection = step["connection"]
        ways[name] = (connection["host"], connection["port"], connection["user"])
        assert step["create"].startswith("sudo -n -H bash -c ") == (name == "db4")
        assert made.depends_on[f"{name}-system-packages"] == {f"{name}-ready"}
    assert ways == {
        "db1": ("10.0.0.1", 22, "root"),
        "db3": ("10.0.0.3", 22, "root"),
        "db4": ("203.0.113.4", 2222, "deploy"),
    }
    ssh = made.outputs["ssh"]
    assert (ssh["users"], ssh["ports"]) == ({"db4": "deploy"}, {"db4": 2222})


def through_any(made: Recorded) -> dict[str, Mapping[str, Any]]:
    """Inputs of the steps that whichever manager answers runs."""
    return {name: one.inputs for name, one in made.resources.items() if one.typ == "command:local:Command"}


def test_the_swarm_is_reached_through_any_manager_as_its_user_at_its_port(home: Path) -> None:
    made = run({"servers": {"kind": "existing", "hosts": [SECOND, DB1, DB3]}})
    assert made.resources["docker-provider"].inputs["host"] == "ssh://any-manager"
    folder = home / "state/swarm-galera/ssh/swarm-galera-test"
    assert (folder / "known_hosts").read_text() == (
        "any-manager,db2,[203.0.113.4]:2222 ssh-ed25519 AAAA\n"
        "any-manager,db1,10.0.0.1 ssh-ed25519 AAAA\n"
        "any-manager,db3,10.0.0.3 ssh-ed25519 AAAA\n"
    )
    assert [(each["port"], each["user"]) for each in json.loads((folder / "managers.json").read_text())] == [
        (2222, "deploy"),
        (22, "root"),
        (22, "root"),
    ]
    # An agent has the key.
    assert not (folder / "id").exists()
    for name, inputs in through_any(made).items():
        for key in ("create", "update", "delete"):
            assert str(inputs.get(key) or "$([").startswith("$(["), name


def test_the_key_that_the_settings_give_is_the_one_for_any_manager(home: Path) -> None:
    text = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    run({**OWN, "ssh": {"privateKey": text}}, secrets=["ssh"])
    file = home / "state/swarm-galera/ssh/swarm-galera-test/id"
    assert file.read_text() == text
    assert file.stat().st_mode & 0o777 == 0o600


def test_where_all_log_in_as_root_no_step_has_a_word_of_sudo() -> None:
    made = run({"servers": {"kind": "existing", "hosts": [DB1, DB2, DB3]}})
    for inputs in (*through_any(made).values(), *through_any(run()).values()):
        assert str(inputs["create"]).startswith("step=")


def test_own_hosts_are_let_go_after_the_last_step_on_any_manager() -> None:
    """Else a step would be sent to one that has left the swarm already."""
    made = run(OWN)

    def before(name: str) -> set[str]:
        """All that is deleted after it."""
        behind = made.depends_on.get(name, set())
        return behind.union(*(before(each) for each in behind))

    for name in (*through_any(made), "docker-provider", "network-network", "galera-service"):
        assert before(name) >= {"db1-ready", "db2-ready", "db3-ready"}, name


def test_what_is_taken_out_leaves_what_can_only_go_by_itself() -> None:
    assert 'leaves_last "$node"' in scripts(run(OWN), "swarm-db2-node")
    assert 'leaves_last "$node"' not in scripts(run(), "swarm-galera-2-node")


def test_with_the_first_of_one_s_own_hosts_down_the_rest_is_declared_as_before(home: Path) -> None:
    """Users and ports differ; nothing that is asked of the swarm says whom it is asked of."""
    last = [{**each, "hostKey": "ssh-ed25519 AAAA"} for each in (DB1, SECOND, DB3)]
    hosts = {"servers": {"kind": "existing", "hosts": [DB1, SECOND, DB3]}}
    whole = run(hosts, former={"hosts": last})
    known = (home / "state/swarm-galera/ssh/swarm-galera-test/known_hosts").read_text()
    down = {"db1": Facts(refused="no SSH. Remedy: start it", unreachable=True)}
    made = run(hosts, seen=down, former={"hosts": last})
    assert made.resources.keys() == whole.resources.keys()
    assert made.depends_on == whole.depends_on
    changed = {name for name, one in made.resources.items() if one.inputs != whole.resources[name].inputs}
    assert changed <= {"db1-ready"}
    assert (home / "state/swarm-galera/ssh/swarm-galera-test/known_hosts").read_text() == known


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"discovery": {"kind": "consul", "image": "r/consul:1.16-1", "recursors": ["10.0.80.11"]}},
        {"loadBalancer": {"image": "r/haproxy:3.0-1"}, "swarm": {"autolock": True}},
    ],
    ids=["etcd", "consul", "more"],
)
def test_another_address_of_a_manager_has_a_worker_asked_about_the_managers_and_nothing_else(
    more: dict[str, Any],
) -> None:
    """What a worker that is down would keep others from: `operations/around_run/left_out.py` goes by that."""
    last = [{**each, "hostKey": "ssh-ed25519 AAAA"} for each in (DB1, DB2, DB3, DB4)]
    before = run({**OWN, **more}, former={"hosts": last})
    moved = [DB1, {**DB2, "address": "10.0.0.22"}, DB3, DB4]
    after = run({"servers": {"kind": "existing", "hosts": moved}, **more}, former={"hosts": last})
    on_the_worker = {
        name
        for name, one in after.resources.items()
        if (one.inputs.get("connection") or {}).get("host") == DEPLOY["sshHost"]
        and one.inputs != before.resources[name].inputs
    }
    assert on_the_worker == {"swarm-db4-joined"}


def test_only_a_host_with_a_disk_gets_it_prepared_and_its_engine_told_how_to_store() -> None:
    made = run(OWN)
    assert [name for name in made.resources if name.endswith("-disk-prepared")] == ["db3-disk-prepared"]
    assert "named=/dev/sdb" in scripts(made, "db3-disk-prepared")
    for name, has in (("db1", False), ("db3", True)):
        assert ('"storage-driver": "btrfs"' in scripts(made, f"{name}-engine-configured")) == has
        assert ("RequiresMountsFor" in scripts(made, f"{name}-system-packages")) == has
    assert [host["disk"] for host in made.outputs["hosts"]] == [False, False, True, False]


def test_what_is_on_the_swarm_is_taken_away_before_hosts_that_stay() -> None:
    on_swarm = ("etcd", "galera", "network", "docker-provider", "swarm-galera-2-node")
    ordered, own = run(), run(OWN)
    for name in on_swarm:
        assert ordered.deleted_with[name] == "galera-1"
        assert own.deleted_with[name.replace("galera-2", "db2")] == ""


def test_problems_of_hosts_are_told_before_anything_is_declared() -> None:
    bad = {
        "db1": Facts(refused="no SSH. Remedy: start it", unreachable=True),
        "db3": Facts(refused="no sudo. Remedy: sudoers"),
    }
    with pytest.raises(pulumi.RunError) as caught:
        run(OWN, seen=bad)
    assert "have 2 problems" in str(caught.value)
    # One that the cluster has already may be down.
    del bad["db3"]
    last = [{**DB1, "hostKey": "ssh-ed25519 AAAA"}, {**DB2, "hostKey": "ssh-ed25519 AAAA"}]
    assert "db1-ready" in run(OWN, seen=bad, former={"hosts": last}).resources


def test_another_s_mark_is_refused_and_this_stack_s_own_is_not() -> None:
    def marked(by: str) -> Mapping[str, Facts]:
        return {
            "db1": Facts(hostname="db1", addresses=("10.0.0.1",), boot="1", mark=by, host_key="ssh-rsa BBBB")
        }

    assert "swarm-started" in run(OWN, seen=marked("swarm-galera/test/0123456789ab")).resources
    with pytest.raises(pulumi.RunError, match="another stack"):
        run(OWN, seen=marked("swarm-galera/other/aaaa"))


def test_giving_up_a_majority_of_one_s_own_hosts_is_refused() -> None:
    last = [{**each, "hostKey": "ssh-ed25519 AAAA"} for each in (DB1, DB2, DB3)]
    others = [{"name": f"new{n}", "address": f"10.0.1.{n}"} for n in (1, 2)]
    with pytest.raises(pulumi.RunError, match="db2, db3 would be given up with their data"):
        run({"servers": {"kind": "existing", "hosts": [DB1, *others]}}, former={"hosts": last})


POOLS: dict[str, Any] = {
    **KEYS,
    "servers": {
        "pools": [
            {"name": "apps", "count": 2, "cores": 4, "memory": 8192, "labels": {"tier": "web"}},
            {
                "name": "mine",
                "kind": "existing",
                "hosts": [{**DB1, "role": "worker"}],
                "labels": {"ssd": True},
            },
        ]
    },
}


def test_pools_add_hosts_and_change_nothing_of_the_section_s_own() -> None:
    plain, made = run(KEYS), run(POOLS)
    names = [host["name"] for host in made.outputs["hosts"]]
    assert names == ["galera-1", "galera-2", "galera-3", "galera-apps-1", "galera-apps-2", "db1"]
    assert (made.outputs["workers"], made.outputs["managers"]) == (names[3:], names[:3])
    for name in ("galera-1-guest", "galera-1-engine-configured", "galera-2-ready", "galera-1-disk-prepared"):
        assert made.resources[name].inputs == plain.resources[name].inputs
        assert made.parents[name] == plain.parents[name]


def test_a_pool_s_servers_are_as_the_section_s_but_for_what_it_says() -> None:
    made = run(POOLS)
    small, large = (made.resources[f"{name}-guest"].inputs for name in ("galera-1", "galera-apps-1"))
    assert (large["cores"], large["memory"]) == (4, 8192)
    assert {key for key in small if small[key] != large[key]} == {
        *("resource", "hostname", "cores", "memory")
    }
    assert "size=4x8192" in scripts(made, "galera-apps-1-engine-configured")
    (priced, _), *_ = made.estimated
    assert set(priced) == {"galera-1", "galera-2", "galera-3", "galera-apps-1", "galera-apps-2"}


def test_labels_of_pools_are_on_their_nodes() -> None:
    made = run(POOLS)
    assert "tier=web" in scripts(made, "swarm-galera-apps-1-node")
    assert "ssd=true" in scripts(made, "swarm-db1-node")
    assert "galera=false" in scripts(made, "swarm-db1-node")
    assert "datacenter=tor01" in scripts(made, "swarm-db1-node")


def after(made: Recorded, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]) -> Recorded:
    """The run after `made`."""
    state = {name: {"stdin": step.inputs.get("stdin")} for name, step in made.resources.items()}
    monkeypatch.setattr(program, "FORMER_OUTPUTS", state)
    return run(settings, former={"hosts": made.outputs["hosts"]})


def test_a_label_that_a_pool_has_no_more_leaves_its_nodes_and_no_other_step_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apps, mine = POOLS["servers"]["pools"]
    without = {**KEYS, "servers": {"pools": [{**apps, "labels": {}}, mine]}}
    first = run(POOLS)
    assert after(first, monkeypatch, POOLS).resources.keys() == first.resources.keys()
    second = after(first, monkeypatch, without)
    changed = {
        name for name in first.resources if scripts_of(second).get(name) != scripts_of(first).get(name)
    }
    assert changed == {"swarm-galera-apps-1-node", "swarm-galera-apps-2-node"}
    assert "former_labels=(tier=web)" in scripts(second, "swarm-galera-apps-1-node")
    # The run after it finds nothing to do, and neither does one of a stack that never had the label.
    assert scripts_of(after(second, monkeypatch, without)) == scripts_of(second)
    fresh = run(without)
    assert scripts_of(after(fresh, monkeypatch, without)) == scripts_of(fresh)
    # Wanted again, it is set and not taken away.
    assert scripts_of(after(second, monkeypatch, POOLS)) == scripts_of(first)


def test_a_host_that_moves_out_of_a_pool_leaves_its_labels_there(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = POOLS["servers"]["pools"][1]
    there = {"kind": "existing", "hosts": [DB2, DB3, {**DB4, "role": "manager"}]}
    pooled = run({"servers": {**there, "pools": [mine]}})
    moved = {"servers": {**there, "hosts": [*there["hosts"], {**DB1, "role": "worker"}]}}
    assert "former_labels=(ssd=true)" in scripts(after(pooled, monkeypatch, moved), "swarm-db1-node")


def scripts_of(made: Recorded) -> dict[str, Any]:
    return {name: step.inputs.get("stdin") for name, step in made.resources.items()}


def test_the_firewall_of_ordered_hosts_lets_one_s_own_in() -> None:
    mixed, alone = (run(each).resources["firewall-private"].inputs["rules"] for each in (POOLS, KEYS))
    assert [rule for rule in mixed if rule.get("source") == "10.0.0.1/32"]
    assert not [rule for rule in alone if "/32" in str(rule)]


def test_data_nodes_in_a_pool_of_workers_are_nodes_of_the_database() -> None:
    pools = [{"name": "data", "count": 2, "disks": [25, 200], "labels": {"galera": "true"}}]
    made = run({"servers": {"pools": pools}, "galera": {"dataPath": "/srv/mariadb"}})
    nodes = ["galera-1", "galera-2", "galera-3", "galera-data-1", "galera-data-2"]
    assert made.outputs["galera"]["members"] == nodes
    assert made.outputs["galera"]["size"] == 5
    assert "galera=true" in scripts(made, "swarm-galera-data-1-node")
    assert "galera-data-2-data-path-mounted" in made.resources
    etcd = made.resources["etcd-service"].inputs["taskSpec"]["containerSpec"]["env"]
    assert "galera-data-1" not in etcd["ETCD_INITIAL_CLUSTER"]


def test_a_pool_s_workers_without_data_may_have_borne_some_and_nobody_else() -> None:
    servers = {
        "workers": 1,
        "pools": [
            {"name": "data", "count": 2, "labels": {"galera": "true"}},
            {"name": "apps", "count": 1},
            {"name": "mine", "kind": "existing", "hosts": [{**DB1, "role": "worker"}]},
        ],
    }
    made = run({**KEYS, "servers": servers})
    names = [host["name"] for host in made.outputs["hosts"]]
    assert [name for name in names if "data_left" in scripts(made, f"swarm-{name}-node")] == [
        "galera-apps-1",
        "db1",
    ]


def test_pools_may_have_all_managers() -> None:
    places = ("tor01", "dal13", "wdc04")
    pools = [{"name": place, "count": 1, "role": "manager", "datacenter": place} for place in places]
    made = run({"servers": {"managers": 0, "pools": pools}})
    assert made.outputs["managers"] == [f"galera-{place}-1" for place in places]
    assert [host["datacenter"] for host in made.outputs["hosts"]] == list(places)
