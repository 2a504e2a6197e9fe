"""The program at each layer: what it declares there, what it takes down only when told to, what it keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.host_scripts.taken_down import CLEAR
from components.layers import AWAY, LOOK_AGAIN, layer_of
from tests.unit import program
from tests.unit.program import Recorded, run

pytestmark = pytest.mark.unit

HOSTS = ("galera-1", "galera-2", "galera-3")
DOWN = {"deployUpTo": "hosts", "takeDown": ["swarm", "data"]}
KEPT = {
    "galera-root-password",
    "galera-monitor-password",
    "galera-app-password",
    "etcd-authority",
}
STEPS = ("taken-down-looked", *(f"taken-down-{host}-left" for host in HOSTS))
VOLUMES = tuple(f"taken-down-{host}-volumes" for host in HOSTS)


@pytest.fixture(scope="module")
def dev(home: Path) -> Recorded:
    """The smallest stack, with all its layers."""
    return run()


@pytest.fixture
def clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts say that nothing is left to do."""
    say(monkeypatch, CLEAR)


def say(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """All steps of hosts that something was taken down from say that."""
    further = (f"taken-down-galera-{number}-left" for number in (4, 5))
    for step in (*STEPS, *VOLUMES, "taken-down-galera-4-volumes", *further):
        monkeypatch.setitem(program.OTHERWISE, step, {"stdout": words})


def urns(made: Recorded, names: set[str]) -> dict[str, tuple[str, str]]:
    """What makes their URNs, besides the name."""
    return {name: (made.parents[name], made.resources[name].typ) for name in names}


def of(former: dict[str, Any], settings: dict[str, Any]) -> Recorded:
    return run(settings, former=former)


def test_the_layer_hosts_has_servers_disks_and_engines_and_nothing_of_a_swarm(
    dev: Recorded, clear: None
) -> None:
    made = run({"deployUpTo": "hosts"})
    for host in HOSTS:
        for step in ("guest", "ready", "system-packages", "disk-prepared", "engine-configured"):
            assert f"{host}-{step}" in made.resources
    assert not [name for name, args in made.resources.items() if args.typ.startswith("docker:")]
    assert not [name for name in made.resources if name.startswith(("swarm", "network", "docker"))]
    assert not [name for name in made.resources if name.endswith(("-images", "-image", "-rollout"))]
    assert set(made.resources) - set(dev.resources) == {"taken-down", *STEPS}
    assert set(made.outputs) == {
        *("contractVersion", "hosts", "managers", "workers", "estimatedCost", "ssh"),
        *("layer", "takenDown", "keptData"),
    }
    assert made.outputs["layer"] == "hosts"
    assert made.outputs["contractVersion"] == dev.outputs["contractVersion"]
    assert made.outputs["keptData"] is None


def test_the_layer_swarm_has_its_network_and_no_service(dev: Recorded, clear: None) -> None:
    made = run({"deployUpTo": "swarm"})
    assert {"swarm-started", "swarm-galera-3-node", "network-network", "docker-provider"} <= set(
        made.resources
    )
    assert [name for name, args in made.resources.items() if args.typ.startswith("docker:")] == [
        "network-network"
    ]
    # What is there stays exactly as it is: no step runs again, in neither direction.
    for name in set(made.resources) & set(dev.resources):
        assert made.resources[name].inputs == dev.resources[name].inputs, name
    assert {"joinTokens", "network"} <= set(made.outputs)
    assert not {"galera", "discovery", "discoveryAccess", "passwords", "loadBalancer"} & set(made.outputs)
    assert made.outputs["layer"] == "swarm"
    # Nothing is to be done after Pulumi: the services are all that goes.
    assert set(made.resources) - set(dev.resources) == {"taken-down"}
    assert made.outputs["takenDown"] == {"done": True, "left": "", "round": 1}


@pytest.mark.parametrize("layer", ["data", "application"])
def test_all_layers_are_there_by_default_and_say_nothing_of_it(dev: Recorded, layer: str) -> None:
    made = run({"deployUpTo": layer})
    assert {name: args.inputs for name, args in made.resources.items()} == {
        name: args.inputs for name, args in dev.resources.items()
    }
    assert made.outputs == dev.outputs
    assert not {"layer", "takenDown", "keptData"} & set(made.outputs)


@pytest.mark.parametrize("layer", ["hosts", "swarm"])
def test_what_the_data_cannot_be_used_without_stays_the_same_resource(
    dev: Recorded, clear: None, layer: str
) -> None:
    made = of(dev.outputs, {"deployUpTo": layer, "takeDown": ["swarm", "data"][layer == "swarm" :]})
    assert urns(made, KEPT) == urns(dev, KEPT)
    for name in KEPT:
        assert made.resources[name].inputs == dev.resources[name].inputs
    assert "identity" in made.resources  # whose text tells etcd's members from another stack's


def test_a_load_balancer_goes_with_the_database_it_is_before(home: Path, clear: None) -> None:
    balanced = {"loadBalancer": {"image": "registry.lab:5000/haproxy:2.6-1"}, "servers": {"workers": 1}}
    full = run(balanced)
    assert "haproxy-service" in full.resources
    for layer, named in (("hosts", ["swarm", "data"]), ("swarm", ["data"])):
        made = of(full.outputs, {**balanced, "deployUpTo": layer, "takeDown": named})
        assert not [name for name in made.resources if name.startswith("haproxy")]
        assert "loadBalancer" not in made.outputs
        assert made.outputs["workers"] == ["galera-4"]
        assert of(made.outputs, balanced).outputs == full.outputs


def test_a_given_password_of_root_is_not_drawn_below_either(home: Path, clear: None) -> None:
    made = run({**DOWN, "rootPassword": "marked-root-password"}, secrets=["rootPassword"])
    assert "galera-root-password" not in made.resources
    assert "marked-root-password" not in str(made.outputs)


SITE = {
    "application": {"image": "registry.lab:5000/wordpress:6.1-2", "database": {}},
    "servers": {"workers": 1},
}
SITES_SECRETS = {"application-salt", "application-database-password"}
UPLOADS = "volumes=(application-uploads)"
DOWN_WITH_SITE = [
    ("data", ["application"]),
    ("swarm", ["data", "application"]),
    ("hosts", ["swarm", "data", "application"]),
]


@pytest.fixture(scope="module")
def site(home: Path) -> Recorded:
    """A stack with an application, with all its layers."""
    return run(SITE)


def test_the_application_goes_alone_and_its_database_does_not_notice(site: Recorded) -> None:
    made = of(site.outputs, {**SITE, "deployUpTo": "data", "takeDown": ["application"]})
    left = {name for name in made.resources if name.startswith("application")}
    assert left == {"application", *SITES_SECRETS}
    assert set(made.outputs) == set(site.outputs) - {"application"}
    assert set(made.outputs["passwords"]) == {"root", "app"}
    assert layer_of(made.outputs) == "data"
    # Only its image is not fetched any more: no engine asks again, no port closes, no service is touched.
    differs = {name for name in made.resources if made.resources[name].inputs != site.resources[name].inputs}
    assert differs == {f"{host}-engine-images" for host in HOSTS}
    assert set(site.resources) - set(made.resources) == {
        *(name for name in site.resources if name.startswith("application") and name not in left),
        "galera-4-engine-images",
    }


@pytest.mark.parametrize(("layer", "named"), DOWN_WITH_SITE)
def test_salt_and_password_of_the_application_stay_the_same_resources(
    site: Recorded, clear: None, layer: str, named: list[str]
) -> None:
    made = of(site.outputs, {**SITE, "deployUpTo": layer, "takeDown": named})
    assert urns(made, SITES_SECRETS) == urns(site, SITES_SECRETS)
    for name in SITES_SECRETS:
        assert made.resources[name].inputs == site.resources[name].inputs
    assert "application" not in made.outputs
    assert "application-service" not in made.resources
    back = of(made.outputs, SITE)
    assert back.outputs == site.outputs
    assert {name: args.inputs for name, args in back.resources.items()} == {
        name: args.inputs for name, args in site.resources.items()
    }


def test_an_application_is_not_taken_down_unless_it_is_named(site: Recorded) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        of(site.outputs, {**SITE, "deployUpTo": "data"})
    words = str(refused.value)
    assert "data takes down application: the application's service and containers are removed" in words
    assert "lose them (outputs application)" in words
    assert "store, database, load balancer stay." in words
    assert "The application's rows, account and uploads stay, its password and salt in the state." in words
    assert "add takeDown: [application]; else set deployUpTo: application" in words
    with pytest.raises(pulumi.RunError, match=r"add takeDown: \[application, data, swarm\]"):
        of(site.outputs, {**SITE, **DOWN})


def test_a_run_that_failed_on_its_way_to_the_data_leaves_the_application_to_be_named(site: Recorded) -> None:
    half = {
        **site.outputs,
        **of(site.outputs, {**SITE, "deployUpTo": "data", "takeDown": ["application"]}).outputs,
    }
    assert layer_of(half) == "application"
    with pytest.raises(pulumi.RunError, match=r"add takeDown: \[application\]"):
        of(half, {**SITE, "deployUpTo": "data"})


def test_a_given_password_of_the_application_is_not_drawn_below_either(home: Path, clear: None) -> None:
    given = {"image": "registry.lab:5000/wordpress:6.1-2", "database": {"password": "marked-password-1"}}
    made = run({**DOWN, "application": given}, secrets=["application"])
    assert "application-database-password" not in made.resources
    assert "application-salt" in made.resources
    assert "marked-password" not in str(made.outputs)


@pytest.mark.parametrize(("layer", "named"), DOWN_WITH_SITE[1:])
def test_uploads_go_from_every_host_with_the_rows_and_only_with_them(
    site: Recorded, clear: None, layer: str, named: list[str]
) -> None:
    down = {**SITE, "deployUpTo": layer, "takeDown": named}
    steps = {*VOLUMES, "taken-down-galera-4-volumes"}
    assert not steps & set(of(site.outputs, down).resources)
    made = of(site.outputs, {**down, "keepData": False})
    assert steps <= set(made.resources)
    assert f"\n{UPLOADS}\n" in made.resources["taken-down-galera-4-volumes"].inputs["stdin"]
    for step in VOLUMES:
        wanted = "volumes=(etcd-data galera-data application-uploads)"
        assert wanted in made.resources[step].inputs["stdin"]
    assert made.outputs["keptData"] is None


def test_ports_memberships_and_names_on_the_network_count_at_every_layer(site: Recorded, clear: None) -> None:
    swarm = of(site.outputs, {**SITE, "deployUpTo": "swarm", "takeDown": ["data", "application"]})
    for name in ("network-free", "firewall-public", "firewall-private", "galera-1-engine-current"):
        assert swarm.resources[name].inputs == site.resources[name].inputs


REFUSED = [
    ("hosts", [], "swarm-galera:deployUpTo: hosts takes down data, swarm: ", "add takeDown: [data, swarm]"),
    ("hosts", ["swarm"], "takes down data, swarm: ", "add takeDown: [data, swarm]"),
    ("swarm", [], "swarm takes down data: ", "add takeDown: [data]"),
]


@pytest.mark.parametrize(("layer", "named", "said", "remedy"), REFUSED)
def test_a_layer_that_runs_is_not_taken_down_unless_it_is_named(
    dev: Recorded, layer: str, named: list[str], said: str, remedy: str
) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        of(dev.outputs, {"deployUpTo": layer, "takeDown": named})
    words = str(refused.value)
    assert said in words
    assert remedy in words
    assert "nothing was ordered or changed" in words
    assert "clients and other projects lose them (outputs discovery, discoveryAccess, " in words
    assert "servers, disks, engines" in words
    assert "The data stays in the hosts' volumes, its passwords in the state." in words
    assert "else set deployUpTo: data" in words


def test_a_layer_that_is_named_is_taken_down_and_the_run_says_what_goes(
    dev: Recorded, clear: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    made = of(dev.outputs, DOWN)
    assert made.outputs["layer"] == "hosts"
    (words,) = warned
    assert "hosts takes down data, swarm: " in words
    # Where it is down already, nobody need be told, or name it.
    warned.clear()
    of(made.outputs, {"deployUpTo": "hosts"})
    assert warned == []


def test_a_stack_that_never_came_up_may_have_any_layer(home: Path, clear: None) -> None:
    assert run({"deployUpTo": "hosts"}, former={}).outputs["layer"] == "hosts"


def test_any_manager_is_asked_first_and_the_first_one_leaves_last(dev: Recorded, clear: None) -> None:
    made = of(dev.outputs, DOWN)
    others = {f"taken-down-{host}-left" for host in HOSTS[1:]}
    last = made.depends_on["taken-down-galera-1-left"]
    assert {"taken-down-looked", *others} <= last
    for other in others:
        assert "taken-down-looked" in made.depends_on[other]
        assert not others & made.depends_on[other]
    assert "connection" not in made.resources["taken-down-looked"].inputs
    for host in HOSTS:
        step = made.resources[f"taken-down-{host}-left"].inputs
        assert f"\n{CLEAR}\nEND-OF-VALUES" in step["stdin"]
        assert "docker swarm leave --force" in step["stdin"]
        assert "delete" not in step


def test_what_must_wait_for_pulumis_deletions_is_done_by_the_next_run(
    dev: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    say(monkeypatch, "pending etcd galera 3 nodes")
    first = of(dev.outputs, DOWN)
    assert first.outputs["takenDown"] == {"done": False, "left": "etcd galera 3 nodes", "round": 1}
    assert "Not all is taken down yet: etcd galera 3 nodes." in warned[-1]

    say(monkeypatch, CLEAR)
    second = of(first.outputs, DOWN)
    assert second.outputs["takenDown"] == {"done": True, "left": "", "round": 2}
    assert all(first.resources[step].inputs["triggers"] == [1] for step in STEPS)
    assert all(second.resources[step].inputs["triggers"] == [2] for step in STEPS)

    # And then it is over.
    third = of(second.outputs, DOWN)
    assert third.outputs == second.outputs
    assert {name: args.inputs for name, args in third.resources.items()} == {
        name: args.inputs for name, args in second.resources.items()
    }


def one_after_the_other(
    dev: Recorded, monkeypatch: pytest.MonkeyPatch, silent: str, settings: dict[str, Any] = DOWN
) -> tuple[Recorded, Recorded, Recorded]:
    """The two runs in which a stack goes down while a host does not answer, and one more."""
    monkeypatch.setenv(AWAY, f'["{silent}"]')
    say(monkeypatch, "pending etcd galera 3 nodes")
    first = of(dev.outputs, settings)
    say(monkeypatch, CLEAR)
    second = of(first.outputs, settings)
    return first, second, of(second.outputs, settings)


@pytest.mark.parametrize("silent", HOSTS)
def test_a_host_that_does_not_answer_is_left_out_and_named_and_the_others_go_down(
    dev: Recorded, monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    first, second, third = one_after_the_other(dev, monkeypatch, silent)
    steps = {f"taken-down-{host}-left" for host in HOSTS if host != silent}
    for made in (first, second, third):
        assert {name for name in made.resources if name.endswith("-left")} == steps
        assert made.outputs["takenDown"]["missed"] == [silent]
    # Before anything is deleted, and so before the others give up their votes, it is no node any more.
    for made in (first, second):
        assert f"lost=({silent})" in made.resources["taken-down-lost"].inputs["stdin"]
        assert "taken-down-lost" in made.depends_on["taken-down-looked"]
        assert "connection" not in made.resources["taken-down-lost"].inputs
    assert "taken-down-lost" not in third.resources
    assert second.outputs["takenDown"]["done"] is True
    assert f"{silent} did not answer, and what was to be done there was not" in warned[-1]
    assert "Once it is back, `up` ends them there" in warned[-1]
    # A further run changes nothing.
    assert third.outputs == second.outputs
    assert {n: a.inputs for n, a in third.resources.items()} == {
        n: a.inputs for n, a in second.resources.items() if n != "taken-down-lost"
    } | {n: third.resources[n].inputs for n in third.resources if n.endswith("-engine-current")}


@pytest.mark.parametrize("silent", HOSTS)
def test_a_host_that_is_back_leaves_by_itself_with_what_has_come_back_with_it(
    dev: Recorded, monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    third = one_after_the_other(dev, monkeypatch, silent)[-1]
    monkeypatch.delenv(AWAY)
    back = of(third.outputs, {"deployUpTo": "hosts"})
    step = back.resources[f"taken-down-{silent}-left"].inputs
    assert 'docker stop --time "$patience"' in step["stdin"]
    # Nobody else runs anything: any manager would be asked in vain.
    assert set(back.resources) - set(third.resources) == {f"taken-down-{silent}-left"}
    for name in third.resources:
        assert back.resources[name].inputs == third.resources[name].inputs, name
    assert "missed" not in back.outputs["takenDown"]
    again = of(back.outputs, {"deployUpTo": "hosts"})
    assert again.outputs == back.outputs
    for name, made in again.resources.items():
        assert made.inputs == back.resources[name].inputs, name
    assert of(again.outputs, {}).outputs == dev.outputs


def test_a_stack_does_not_go_up_with_a_host_that_is_in_the_former_swarm(
    dev: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = one_after_the_other(dev, monkeypatch, "galera-2")[-1]
    with pytest.raises(pulumi.RunError, match=r"galera-2 did not answer when what was above hosts was") as no:
        of(third.outputs, {})
    assert "Remedy: bring it back and run `up` with deployUpTo: hosts, once; or give it up" in str(no.value)
    # Given up, it is no stranger to anybody.
    assert "galera" in of(third.outputs, {"servers": {"replace": ["galera-2"]}}).outputs


def test_volumes_of_a_host_that_does_not_answer_go_when_it_is_back(
    dev: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = {"deployUpTo": "swarm", "takeDown": ["data"], "keepData": False}
    third = one_after_the_other(dev, monkeypatch, "galera-3", down)[-1]
    assert "taken-down-galera-3-volumes" not in third.resources
    assert third.outputs["takenDown"]["missed"] == ["galera-3"]
    monkeypatch.delenv(AWAY)
    back = of(third.outputs, down)
    assert "taken-down-galera-3-volumes" in back.resources
    assert back.outputs["takenDown"].get("missed") is None


def test_a_host_that_has_done_its_part_may_be_down_later(dev: Recorded, clear: None) -> None:
    down = of(of(dev.outputs, DOWN).outputs, DOWN)
    with pytest.MonkeyPatch.context() as later:
        later.setenv(AWAY, '["galera-2"]')
        again = of(down.outputs, {"deployUpTo": "hosts"})
    assert again.outputs == down.outputs
    assert again.resources.keys() == down.resources.keys()


def test_hosts_that_are_in_a_swarm_again_are_looked_at_again(
    dev: Recorded, clear: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was to go up has failed: the outputs are still those of before."""
    down = of(dev.outputs, DOWN)
    monkeypatch.setenv(LOOK_AGAIN, "1")
    again = of(down.outputs, {"deployUpTo": "hosts"})
    assert all(again.resources[step].inputs["triggers"] == [2] for step in STEPS)
    monkeypatch.delenv(LOOK_AGAIN)
    assert of(again.outputs, {"deployUpTo": "hosts"}).outputs == again.outputs


def test_a_run_that_failed_on_its_way_down_leaves_the_stack_as_high_as_it_was(
    dev: Recorded, clear: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(monkeypatch, "pending etcd galera 3 nodes")
    half = {**dev.outputs, **of(dev.outputs, DOWN).outputs}
    assert layer_of(half) == "data"
    with pytest.raises(pulumi.RunError, match=r"add takeDown: \[data, swarm\]"):
        of(half, {"deployUpTo": "hosts"})
    assert of(half, {}).outputs == dev.outputs


@pytest.mark.parametrize(
    ("outputs", "layer"),
    [
        ((), None),
        (("hosts", "ssh"), "hosts"),
        (("hosts", "ssh", "network"), "swarm"),
        (("hosts", "network", "galera"), "data"),
        (("hosts", "network", "galera", "layer"), "data"),
        (("hosts", "network", "galera", "application"), "application"),
    ],
)
def test_a_stack_is_as_high_as_its_outputs_show(outputs: tuple[str, ...], layer: str | None) -> None:
    assert layer_of(dict.fromkeys(outputs, "hosts")) == layer


def test_going_up_waits_until_all_is_taken_down(dev: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, "pending 3 nodes")
    half = of(dev.outputs, DOWN).outputs
    with pytest.raises(
        pulumi.RunError, match=r"not wholly taken down yet \(3 nodes\).*set deployUpTo: hosts"
    ):
        of(half, {"deployUpTo": "data"})
    say(monkeypatch, CLEAR)
    assert "galera" in of(of(half, DOWN).outputs, {"deployUpTo": "data"}).outputs


def test_engines_ask_the_swarm_as_long_as_there_is_one(dev: Recorded, clear: None) -> None:
    def asks(made: Recorded) -> bool:
        return "manager=1" in made.resources["galera-1-engine-current"].inputs["stdin"]

    down = of(dev.outputs, DOWN)
    again = of(down.outputs, DOWN)
    # The run that takes it down runs no step again that waits for containers.
    current = "galera-1-engine-current"
    assert down.resources[current].inputs == dev.resources[current].inputs
    assert (asks(dev), asks(down), asks(again)) == (True, True, False)
    assert not asks(run({"deployUpTo": "hosts"}))
    assert of(again.outputs, {}).resources[current].inputs == dev.resources[current].inputs


def test_a_cluster_that_comes_back_is_the_one_that_went(dev: Recorded, clear: None) -> None:
    """Its names and the initial SQL that it has run count as if it had never been down."""
    down = of(dev.outputs, DOWN)
    assert down.outputs["keptData"] == {
        "clusterName": "galera",
        "database": "app",
        "initdb": "",
        "mariadb": "10.11",
        "members": list(HOSTS),
        "store": "etcd",
        "volumes": ["etcd-data", "galera-data"],
    }
    still = of(down.outputs, {"deployUpTo": "swarm"})
    assert still.outputs["keptData"] == down.outputs["keptData"]
    for former in (down.outputs, still.outputs):
        with pytest.raises(pulumi.RunError, match=r"galera\.database: shop was app when the cluster formed"):
            of(former, {"galera": {"database": "shop"}})
        back = of(former, {})
        assert back.outputs == dev.outputs
        assert {name: args.inputs for name, args in back.resources.items()} == {
            name: args.inputs for name, args in dev.resources.items()
        }


def test_hosts_whose_data_is_kept_are_not_taken_out_of_the_managers(home: Path, clear: None) -> None:
    five = run({"servers": {"managers": 5}}).outputs
    for former, settings in (
        (five, DOWN),  # on the way down
        (of(five, {**DOWN, "servers": {"managers": 5}}).outputs, DOWN),  # while they are down
        (of(five, {**DOWN, "servers": {"managers": 5}}).outputs, {}),  # on the way up
    ):
        with pytest.raises(pulumi.RunError, match=r"servers\.managers: galera-4, galera-5 bear data that is"):
            of(former, settings)
    # In a cluster that runs it is an everyday change; and data that is not kept is missed by nobody.
    assert run(former=five).outputs["galera"]["size"] == 3
    assert of(five, {**DOWN, "keepData": False}).outputs["layer"] == "hosts"


@pytest.mark.parametrize("layer", ["hosts", "swarm"])
def test_data_is_removed_only_where_the_settings_say_so(dev: Recorded, clear: None, layer: str) -> None:
    named = {"deployUpTo": layer, "takeDown": ["swarm", "data"][layer == "swarm" :]}
    assert not set(VOLUMES) & set(of(dev.outputs, named).resources)
    made = of(dev.outputs, {**named, "keepData": False})
    assert set(VOLUMES) <= set(made.resources)
    for step in VOLUMES:
        assert "volumes=(etcd-data galera-data)" in made.resources[step].inputs["stdin"]
        assert "taken-down-looked" in made.depends_on[step]
    assert ("swarm_stays=yes" in made.resources["taken-down-looked"].inputs["stdin"]) == (layer == "swarm")
    assert made.outputs["keptData"] is None
    # And then it is a new cluster: other names, the initial SQL of today.
    assert of(made.outputs, {"galera": {"database": "shop"}}).outputs["galera"]["database"] == "shop"


def test_data_counts_as_kept_until_every_host_has_removed_it(
    dev: Recorded, clear: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(program.OTHERWISE, VOLUMES[1], {"stdout": "pending etcd galera"})
    made = of(dev.outputs, {**DOWN, "keepData": False})
    assert made.outputs["takenDown"]["left"] == "etcd galera"
    assert made.outputs["keptData"]["members"] == list(HOSTS)


def test_data_that_was_kept_may_be_given_up_later(dev: Recorded, clear: None) -> None:
    down = of(dev.outputs, DOWN)
    made = of(down.outputs, {**DOWN, "keepData": False})
    assert set(made.resources) - set(down.resources) == set(VOLUMES)
    assert made.outputs["keptData"] is None


def test_workers_leave_the_swarm_and_bear_no_data(home: Path, clear: None) -> None:
    made = run({**DOWN, "keepData": False, "servers": {"workers": 1}})
    assert "taken-down-galera-4-left" in made.resources
    assert "taken-down-galera-4-volumes" not in made.resources


def test_the_firewall_stays_open_for_services_that_are_being_taken_down(home: Path, clear: None) -> None:
    plain = {"network": {"encrypted": False}}
    full = run(plain)
    down = of(full.outputs, {**plain, **DOWN})
    for side in ("firewall-public", "firewall-private"):
        assert down.resources[side].inputs == full.resources[side].inputs
