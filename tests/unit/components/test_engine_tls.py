"""The engines' API with TLS as the program declares it: listeners, who is let in, provider, the way back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest

from components import docker_host_access, engine_choice, engine_tls
from components.engine_choice import NobodyLetsUsIn
from settings.errors import UserError
from tests.unit import program
from tests.unit.program import FITTING, Recorded, run

pytestmark = pytest.mark.unit

TLS: dict[str, Any] = {"engine": {"access": "tls"}}
PROVIDER = "docker-provider"
HOSTS = ("galera-1", "galera-2", "galera-3")
OWN: list[dict[str, Any]] = [
    {"name": "db1", "address": "10.0.0.1"},
    {"name": "db2", "address": "10.0.0.2", "sshHost": "203.0.113.2"},
    {"name": "db3", "address": "10.0.0.3", "sshHost": "db3.example.com"},
]


class Choice:
    """Takes the one of before, else the first, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], str]] = []

    def __call__(self, managers: dict[str, str], before: str, *_: object) -> str:
        self.asked.append((managers, before))
        return before if before in managers.values() else next(iter(managers.values()))


@pytest.fixture
def choice(home: object, monkeypatch: pytest.MonkeyPatch) -> Choice:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    made = Choice()
    monkeypatch.setattr(engine_choice, "choose", made)
    return made


def of_before(host: str = "tcp://203.0.113.12:2376") -> dict[str, Any]:
    """Outputs of a stack whose engines listen."""
    access = {"caCertificate": "CA", "certificate": "CERTIFICATE", "privateKey": "PEER KEY", "host": host}
    return {"engine": {"access": "tls", "port": 2376, "addresses": {}}, "dockerAccess": access}


def rules(made: Recorded, side: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.resources[f"firewall-{side}"].inputs["rules"]
    return found


def test_each_engine_listens_where_ssh_reaches_its_host(choice: Choice) -> None:
    made = run(TLS)
    for number, name in enumerate(HOSTS, 11):
        certificate = made.resources[f"{name}-engine-certificate"].inputs
        assert certificate["addresses"] == [f"203.0.113.{number}", name, f"{name}.example.com"]
        step = made.resources[f"{name}-engine-configured"].inputs
        assert "stdin" in made.secret_inputs[f"{name}-engine-configured"]
        assert f"203.0.113.{number}\nCA\n.\nCERTIFICATE\n.\nPEER KEY\n.\n" in step["stdin"]
        assert "--tlsverify" in step["stdin"]
        assert "PEER KEY" not in step["create"]
        # Others restart it, in its turn.
        assert len(made.resources[f"{name}-engine-current"].inputs["triggers"]) == 3
    private = run({**TLS, "ssh": {"allowedCidrs": ["10.0.0.0/8"], "address": "private"}})
    assert private.resources["galera-1-engine-certificate"].inputs["addresses"][0] == "10.144.12.11"


def test_who_may_reach_ssh_may_reach_the_engines_and_nobody_else(choice: Choice) -> None:
    made, plain = run(TLS), run()
    assert rules(made, "private") == rules(plain, "private")
    more = [rule for rule in rules(made, "public") if rule not in rules(plain, "public")]
    assert more == [
        {
            "direction": "ingress",
            "protocol": "tcp",
            "first_port": 2376,
            "last_port": 2376,
            "source": "203.0.113.0/24",
            "ethertype": "IPv4",
        }
    ]
    inside = run({**TLS, "ssh": {"allowedCidrs": ["10.0.0.0/8"], "address": "private"}})
    assert [rule["source"] for rule in rules(inside, "private") if rule.get("first_port") == 2376] == [
        "10.0.0.0/8"
    ]
    assert not [rule for rule in rules(inside, "public") if rule.get("first_port") == 2376]


def test_docker_resources_go_to_a_manager_that_answers_once_all_engines_listen(choice: Choice) -> None:
    made = run(TLS)
    given = made.resources[PROVIDER].inputs
    assert given["host"] == "tcp://203.0.113.11:2376"
    assert (given["caMaterial"], given["certMaterial"], given["keyMaterial"]) == (
        "CA",
        "CERTIFICATE",
        "PEER KEY",
    )
    assert "keyMaterial" in made.secret_inputs[PROVIDER]
    assert "host" not in made.secret_inputs[PROVIDER]
    addresses = {name: f"203.0.113.{number}" for number, name in enumerate(HOSTS, 11)}
    assert choice.asked == [(addresses, "")]
    # And the firewall is open.
    before = {*(f"{name}-engine-current" for name in HOSTS), "firewall-public", "firewall-private"}
    assert before <= made.depends_on[PROVIDER]
    # What is made with it is the same, whichever way it goes.
    of_docker = [name for name, each in made.resources.items() if each.typ.startswith("docker:")]
    plain = run()
    for name in of_docker:
        assert made.resources[name].inputs == plain.resources[name].inputs


def test_the_manager_of_before_stays_and_another_one_changes_the_provider_alone(choice: Choice) -> None:
    made = run(TLS, former=of_before())
    assert made.resources[PROVIDER].inputs["host"] == "tcp://203.0.113.12:2376"
    assert choice.asked[0][1] == "203.0.113.12"
    assert made.outputs["dockerAccess"]["host"] == "tcp://203.0.113.12:2376"
    other = run(TLS, former=of_before("tcp://203.0.113.13:2376"))
    differ = [name for name, each in other.resources.items() if each.inputs != made.resources[name].inputs]
    assert differ == [PROVIDER]


def test_what_consumers_are_told_holds_the_key_in_a_secret(choice: Choice) -> None:
    made = run({**TLS, "galera": {"tls": {"generation": 2}}})
    assert made.outputs["engine"] == {
        "access": "tls",
        "port": 2376,
        "addresses": {name: f"203.0.113.{number}" for number, name in enumerate(HOSTS, 11)},
        "caCertificate": "CA",
        "generation": 2,
    }
    assert made.outputs["dockerAccess"] == {
        "caCertificate": "CA",
        "certificate": "CERTIFICATE",
        "privateKey": "PEER KEY",
        "host": "tcp://203.0.113.11:2376",
    }
    assert "dockerAccess" in made.secret_outputs
    assert "engine" not in made.secret_outputs
    assert made.resources["engines-authority"].inputs["generation"] == 2
    hosts_only = run({**TLS, "deployUpTo": "hosts"})
    assert "host" not in hosts_only.outputs["dockerAccess"]


def test_engines_that_cannot_be_asked_are_one_message(
    choice: Choice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> str:
        raise NobodyLetsUsIn("certificate has expired. Remedy: ssh")

    monkeypatch.setattr(engine_choice, "choose", refused)
    with pytest.raises(pulumi.RunError, match="certificate has expired"):
        run(TLS)


@pytest.fixture
def urns() -> Iterator[list[str]]:
    yield program.FORMER_URNS
    program.FORMER_URNS.clear()


def test_back_to_ssh_every_host_ends_the_listener_until_nobody_is_left_to(
    choice: Choice, urns: list[str]
) -> None:
    plain = run()
    assert "engine" not in plain.outputs
    back = run(former=of_before())
    assert back.outputs["engine"] == {"access": "ssh"}
    assert "dockerAccess" not in back.outputs
    assert back.resources[PROVIDER].inputs == plain.resources[PROVIDER].inputs
    for name in HOSTS:
        text = back.resources[f"{name}-engine-configured"].inputs["stdin"]
        assert 'rm -rf "$tls_folder"' in text
        assert "--tlsverify" not in text
        # Its trigger goes, so it sees the restart through.
        assert len(back.resources[f"{name}-engine-current"].inputs["triggers"]) == 2
    # A run afterwards says the same: nothing runs again.
    after = run(former={"engine": {"access": "ssh"}})
    assert {name: each.inputs for name, each in after.resources.items()} == {
        name: each.inputs for name, each in back.resources.items()
    }
    # Had the run with TLS never come to its end, the state knows.
    urns.append(
        "urn:pulumi:test::swarm-galera::pulumi-python:dynamic/swarm-galera:PeerAuthority::engines-authority"
    )
    broken_off = run()
    assert broken_off.outputs["engine"] == {"access": "ssh"}


def test_listeners_do_not_go_before_what_is_removed_through_them(choice: Choice) -> None:
    down = {"deployUpTo": "hosts", "takeDown": ["swarm", "data", "application"]}
    with pytest.raises(
        pulumi.RunError, match=r"listeners would go before .*Remedy: leave engine.access: tls"
    ):
        run(down, former=of_before())
    run({**down, **TLS}, former=of_before())
    run(down)


def own(seen: dict[str, Any] | None = None, **engine: Any) -> Recorded:
    found = {name: engine_tls_facts(name, address) for name, address in (("db2", "203.0.113.2"),)}
    return run(
        {"servers": {"kind": "existing", "hosts": OWN}, "engine": engine, "ssh": {}},
        seen={**found, **(seen or {})},
    )


def engine_tls_facts(name: str, *addresses: str, **changes: Any) -> Any:
    number = name.removeprefix("db")
    whole = {
        "hostname": name,
        "engine_name": name,
        "boot": name,
        "addresses": (f"10.0.0.{number}", *addresses),
    }
    return type(FITTING)(**{**vars(FITTING), **whole, **changes})


def test_hosts_of_ones_own_listen_at_an_address_that_is_theirs(choice: Choice) -> None:
    made = own(access="tls")
    certificates = {
        name: made.resources[f"{name}-engine-certificate"].inputs["addresses"]
        for name in ("db1", "db2", "db3")
    }
    assert certificates == {
        "db1": ["10.0.0.1", "db1"],
        "db2": ["203.0.113.2", "db2"],
        "db3": ["10.0.0.3", "db3", "db3.example.com"],
    }
    # What the program has brought is taken away with the rest, and an engine of theirs left alone.
    assert "tls_dropin" in made.resources["db1-ready"].inputs["gone"]
    assert "never reconfigures" in made.resources["db1-engine-configured"].inputs["stdin"]
    assert "tls_dropin" not in own().resources["db1-ready"].inputs["gone"]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (engine_tls_facts("db2", engine=True, unit=True, kept=True, version="24.0.7"), "never reconfigured"),
        (engine_tls_facts("db2"), r"203.0.113.2 \(sshHost\) is none of its own addresses"),
    ],
)
def test_hosts_of_ones_own_that_cannot_listen_are_refused_before_anything_is_touched(
    choice: Choice, seen: Any, said: str
) -> None:
    with pytest.raises((UserError, pulumi.RunError), match=rf"db2: .*{said}.*Remedy: ") as refused:
        own({"db2": seen}, access="tls")
    assert "leave engine.access out" in str(refused.value)
    own({"db2": seen})


def test_a_preview_that_cannot_know_the_way_yet_is_given_the_one_of_before(home: object) -> None:
    unknown: pulumi.Output[Any] = pulumi.Output.from_input(pulumi.UNKNOWN)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def of(value: pulumi.Output[Any], last: dict[str, Any]) -> pulumi.Output[Any]:
        before = docker_host_access._of_before(last)
        picked = docker_host_access._known_or(value, before)
        return pulumi.Output.all(pulumi.Output.unsecret(picked), picked.is_secret()).apply(found.append)

    found: list[Any] = []
    of(unknown, {})
    of(unknown, of_before())
    of(pulumi.Output.secret(["tcp://1"]), of_before())
    assert found == [
        [["ssh://any-manager", None, None, None], False],
        [["tcp://203.0.113.12:2376", "CA", "CERTIFICATE", "PEER KEY"], True],
        [["tcp://1"], True],
    ]


def test_outputs_can_be_written_down(choice: Choice) -> None:
    assert json.dumps(run(TLS).outputs)
    assert engine_tls.shown(None, False, None) == {}
