"""A member of Consul without Consul: its settings, its configuration, the rights, and what it decides."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from components import certificates
from images.consul.consul_member import alone, cli, config, health, rights, seats, settings, supervise
from images.consul.consul_member.api import AgentApi, ApiError
from images.consul.consul_member.certificate import valid_until
from images.consul.consul_member.settings import Settings, SettingsError

pytestmark = pytest.mark.unit

MANAGEMENT, AGENT, GALERA, CONSUMER = (f"6b7a1c52-7d4e-4c53-8ad4-0a4b4c1f000{n}" for n in range(1, 5))
HOSTS = "galera-1=10.0.0.1,galera-2=10.0.0.2,galera-3=10.0.0.3,web-1=10.0.0.4"
SERVICES = [
    {"name": "db-writer", "port": 6446, "check": {"tcp": "{address}:8404", "interval": "10s"}},
    {"name": "site", "port": 80, "check": {"tcp": "{address}:80", "interval": "10s"}, "hosts": ["web-1"]},
]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of galera-1, with its secrets."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in settings.FILES:
        (secrets / name).write_text(f"{name}\n")
    (secrets / settings.GOSSIP_KEY).write_text(base64.b64encode(b"x" * 32).decode() + "\n")
    for name, token in zip(settings.TOKENS, (MANAGEMENT, AGENT, GALERA, CONSUMER), strict=True):
        (secrets / name).write_text(token)
    (tmp_path / "services.json").write_text(json.dumps(SERVICES))
    (tmp_path / "data").mkdir()
    return {
        "NODE_NAME": "galera-1",
        "CONSUL_HOSTS": HOSTS,
        "CONSUL_SERVERS": "3",
        "CLUSTER_TOKEN": "prod",
        "DATACENTER": "tor01",
        "RECURSORS": "10.0.80.11, 10.0.80.12",
        "GATEWAY_BRIDGE": "",
        "SERVICES": str(tmp_path / "services.json"),
        "DATA_DIR": str(tmp_path / "data"),
        "RUN_DIR": str(tmp_path / "run"),
        "SECRETS_DIR": str(secrets),
    }


@pytest.fixture
def member(environ: dict[str, str]) -> Settings:
    return settings.load(environ)


# ---- settings


def test_the_first_hosts_keep_the_records_and_all_others_ask_them(environ: dict[str, str]) -> None:
    server, agent = settings.load(environ), settings.load({**environ, "NODE_NAME": "web-1"})
    assert server.is_server
    assert server.server_names == ("galera-1", "galera-2", "galera-3")
    assert not agent.is_server
    assert agent.address == "10.0.0.4"


def test_a_host_announces_the_services_that_are_on_it(environ: dict[str, str]) -> None:
    here = settings.load(environ)
    assert [(each.name, each.check["tcp"]) for each in here.services] == [("db-writer", "10.0.0.1:8404")]
    assert here.announced == ("db-writer", "site")
    web = settings.load({**environ, "NODE_NAME": "web-1"})
    assert [each.name for each in web.services] == ["db-writer", "site"]
    Path(environ["SERVICES"]).unlink()
    assert settings.load(environ).services == ()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"NODE_NAME": ""}, "NODE_NAME is not set"),
        ({"NODE_NAME": "other"}, "CONSUL_HOSTS does not name this host, other"),
        ({"CONSUL_HOSTS": "galera-1"}, "is not name=address"),
        ({"CONSUL_HOSTS": "galera-1=10.0.0"}, "is not name=address"),
        ({"CONSUL_HOSTS": "galera_1=10.0.0.1"}, "is not name=address"),
        ({"CONSUL_HOSTS": "galera-1=10.0.0.1,galera-2=10.0.0.1"}, "twice"),
        ({"CONSUL_HOSTS": "galera-1=10.0.0.1,galera-1=10.0.0.2"}, "twice"),
        ({"CONSUL_SERVERS": "2"}, "must be 1, 3 or 5"),
        ({"CONSUL_SERVERS": "5"}, "not more than there are hosts"),
        ({"DATACENTER": "TOR01"}, "lower case"),
        ({"RECURSORS": "127.0.0.1"}, "another resolver"),
        ({"RECURSORS": "10.0.0.1"}, "another resolver"),
        ({"RECURSORS": "resolver"}, "another resolver"),
        ({"CLUSTER_TOKEN": ""}, "CLUSTER_TOKEN is not set"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_and_why(
    environ: dict[str, str], change: dict[str, str], match: str
) -> None:
    with pytest.raises(SettingsError, match=match):
        settings.load({**environ, **change})


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("consul.key", None, "cannot be read"),
        ("consul.crt", "", "is empty"),
        (settings.GOSSIP_KEY, "c2hvcnQ=", "32 bytes"),
        (settings.GOSSIP_KEY, "no base64!", "32 bytes"),
        (settings.AGENT, "password", "must be a UUID"),
        (settings.AGENT, AGENT.upper(), "lower case"),
        (settings.CONSUMER, GALERA, "are the same"),
    ],
)
def test_a_wrong_secret_is_refused_and_never_told(
    environ: dict[str, str], name: str, content: str | None, match: str
) -> None:
    path = Path(environ["SECRETS_DIR"]) / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(SettingsError, match=match) as caught:
        settings.load(environ)
    assert not content or content not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["{", "{}x", '[{"name": "a"}]', '[{"name": "a b", "port": 1, "check": {}}]', "[1]"]
)
def test_services_that_cannot_be_are_refused(environ: dict[str, str], text: str) -> None:
    Path(environ["SERVICES"]).write_text(text)
    with pytest.raises(SettingsError, match=r"services\.json"):
        settings.load(environ)


# ---- configuration


def test_a_server_waits_for_the_others_and_shows_its_private_address(member: Settings) -> None:
    made = config.configuration(member, "172.18.0.1")
    assert (made["server"], made["bootstrap_expect"]) == (True, 3)
    assert made["bind_addr"] == made["advertise_addr"] == "10.0.0.1"
    assert made["retry_join"] == ["10.0.0.2", "10.0.0.3"]
    assert made["leave_on_terminate"] is False
    assert made["recursors"] == ["10.0.80.11", "10.0.80.12"]


def test_an_agent_keeps_nothing_and_has_no_management_token(environ: dict[str, str]) -> None:
    made = config.configuration(settings.load({**environ, "NODE_NAME": "web-1"}), None)
    assert made["server"] is False
    assert "bootstrap_expect" not in made
    assert made["retry_join"] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert "initial_management" not in made["acl"]["tokens"]


def test_nothing_is_served_without_tls_and_only_names_on_the_private_address(member: Settings) -> None:
    made = config.configuration(member, "172.18.0.1")
    assert made["addresses"] == {"https": "127.0.0.1 172.18.0.1", "dns": "127.0.0.1 172.18.0.1 10.0.0.1"}
    assert {name for name, port in made["ports"].items() if port != -1} == {
        "https",
        "dns",
        "serf_lan",
        "server",
    }
    assert made["tls"]["defaults"]["verify_incoming"]
    assert made["tls"]["defaults"]["verify_outgoing"]
    assert made["tls"]["internal_rpc"] == {"verify_server_hostname": True}
    assert config.configuration(member, "10.0.0.1")["addresses"]["dns"] == "127.0.0.1 10.0.0.1"


def test_nobody_may_do_anything_that_no_token_says(member: Settings) -> None:
    made = config.configuration(member, None)["acl"]
    assert (made["enabled"], made["default_policy"]) == (True, "deny")
    assert GALERA not in json.dumps(made)


def test_what_the_agent_reads_is_for_its_user_alone(environ: dict[str, str], member: Settings) -> None:
    path = config.write(member, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(path.read_text())["node_name"] == "galera-1"
    assert (member.run_dir / "clients.crt").read_text() == "consul-ca.crt\n"
    (member.secrets / settings.CLIENT_CA).write_text("clients' own authority")
    config.write(member, None)
    assert (member.run_dir / "clients.crt").read_text() == "consul-ca.crt\nclients' own authority\n"


def test_the_address_of_an_interface_is_found() -> None:
    assert config.bridge_address("lo") == "127.0.0.1"
    assert config.bridge_address("no-such-bridge") is None


def test_a_host_whose_bridge_is_not_there_yet_waits_for_it(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = iter((None, None, "172.18.0.1"))
    monkeypatch.setattr(config, "bridge_address", lambda _name: next(found))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    assert cli.gateway(settings.load({**environ, "GATEWAY_BRIDGE": "docker_gwbridge"})) == "172.18.0.1"
    assert capsys.readouterr().err.count("docker_gwbridge has no address") == 1
    assert cli.gateway(settings.load(environ)) is None


# ---- rights


class Agent:
    """An agent's API as far as it is asked here: policies and tokens in memory, all else as told.

    Attributes:
        told: answers by method and path; an exception is raised.
        asked: all that was asked for and changes something.
    """

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.asked: list[str] = []
        self.policies: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, dict[str, Any]] = {
            rights.ANONYMOUS: {"AccessorID": rights.ANONYMOUS, "SecretID": "anonymous"}
        }

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        if method != "GET":
            self.asked.append(f"{method} {path}")
        answer = self.told.get(f"{method} {path}")
        if isinstance(answer, Exception):
            raise answer
        if answer is not None or not path.startswith("/v1/acl/"):
            return answer
        return self._acl(method, path.removeprefix("/v1/acl/").split("/"), body, token)

    def _acl(self, method: str, place: list[str], body: Any, token: str | None) -> Any:
        match (method, *place):
            case ("GET", "policy", "name", name):
                if name not in self.policies:
                    raise ApiError(f"Requested policy does not exist: {name}", 404)
                return self.policies[name]
            case ("PUT", "policy") | ("PUT", "policy", _):
                self.policies[body["Name"]] = {"ID": f"id-of-{body['Name']}", **body}
            case ("GET", "token", "self"):
                found = [each for each in self.tokens.values() if each["SecretID"] == token]
                if not found:
                    raise ApiError("ACL not found", 403)
                return found[0]
            case ("GET", "token", accessor):
                return self.tokens[accessor]
            case ("PUT", "token"):
                accessor = f"accessor-{len(self.tokens)}"
                self.tokens[accessor] = {"AccessorID": accessor, **body}
            case ("PUT", "token", accessor):
                self.tokens[accessor] = body
        return None

    def leader(self) -> str:
        return str(self.ask("GET", "/v1/status/leader") or "")

    def servers(self) -> Any:
        return self.ask("GET", "/v1/operator/raft/configuration") or []

    def members(self) -> Any:
        return self.ask("GET", "/v1/agent/members") or []


@pytest.fixture
def agent() -> Agent:
    return Agent()


def test_rights_are_made_once_and_found_in_order_after_that(agent: Agent, member: Settings) -> None:
    said: list[str] = []
    rights.ensure(agent, member, said.append)  # type: ignore[arg-type]
    assert set(agent.policies) == {
        f"swarm-galera-{name}" for name in ("agent", "galera", "consumer", "anonymous")
    }
    assert {each["SecretID"] for each in agent.tokens.values()} == {AGENT, GALERA, CONSUMER, "anonymous"}
    assert len(said) == 8
    asked = len(agent.asked)
    rights.ensure(agent, member, said.append)  # type: ignore[arg-type]
    assert (len(agent.asked), len(said)) == (asked, 8)


def test_a_policy_or_token_that_somebody_has_changed_is_set_right(agent: Agent, member: Settings) -> None:
    rights.ensure(agent, member, lambda _text: None)  # type: ignore[arg-type]
    agent.policies["swarm-galera-consumer"]["Rules"] = 'key_prefix "" { policy = "write" }'
    galera = next(each for each in agent.tokens.values() if each["SecretID"] == GALERA)
    galera["Policies"] = [{"Name": "global-management"}]
    asked = len(agent.asked)
    rights.ensure(agent, member, lambda _text: None)  # type: ignore[arg-type]
    assert len(agent.asked) == asked + 2
    assert "key" not in agent.policies["swarm-galera-consumer"]["Rules"]
    assert next(each for each in agent.tokens.values() if each["SecretID"] == GALERA)["Policies"] == [
        {"Name": "swarm-galera-galera"}
    ]


def test_rules_give_each_what_it_needs_and_nothing_else() -> None:
    rules = {right.name: right.rules for right in rights.rights(["db-writer"])}
    assert 'key_prefix "swarm-galera/" { policy = "write" }' in rules["galera"]
    assert 'service "db" { policy = "write" }' in rules["galera"]
    assert 'service "db-writer" { policy = "write" }' in rules["agent"]
    assert not any("key" in rules[name] for name in ("agent", "consumer", "anonymous"))
    assert not any("write" in rules[name] for name in ("consumer", "anonymous"))
    assert not any("acl" in text or "operator" in text for text in rules.values())


def test_a_leader_that_cannot_make_rights_yet_is_asked_again(agent: Agent, member: Settings) -> None:
    agent.told["GET /v1/acl/token/self"] = ApiError("No cluster leader", 500)
    with pytest.raises(ApiError, match="No cluster leader"):
        rights.ensure(agent, member, lambda _text: None)  # type: ignore[arg-type]


# ---- its life


@pytest.fixture
def told() -> list[str]:
    """What the supervisor logs."""
    return []


@pytest.fixture
def supervisor(agent: Agent, member: Settings, told: list[str]) -> supervise.Supervisor:
    member.run_dir.mkdir()
    agent.told["GET /v1/agent/self"] = {"Config": {"NodeID": "own"}}
    return supervise.Supervisor(member, Path("config.json"), agent, told.append)  # type: ignore[arg-type]


LED = "GET /v1/status/leader"


def test_the_leader_makes_the_rights_and_nobody_else(agent: Agent, supervisor: supervise.Supervisor) -> None:
    agent.told[LED] = "10.0.0.2:8300"
    supervisor.look(1.0)
    assert agent.asked == []
    agent.told[LED] = "10.0.0.1:8300"
    supervisor.look(2.0)
    assert agent.policies
    asked = len(agent.asked)
    supervisor.look(3.0)
    assert len(agent.asked) == asked


def test_the_leader_looks_at_the_rights_now_and_then_and_speaks_only_of_what_it_changes(
    agent: Agent, supervisor: supervise.Supervisor, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.told[LED] = "10.0.0.1:8300"
    supervisor.look(1.0)
    said = len(told)
    name = next(iter(agent.policies))
    rules = agent.policies[name]["Rules"]
    agent.policies[name]["Rules"] = ""  # somebody has changed it
    supervisor.look(2.0)
    assert agent.policies[name]["Rules"] == ""  # not at each look
    monkeypatch.setattr(supervise, "RIGHTS", -1.0)
    supervisor.look(3.0)
    assert agent.policies[name]["Rules"] == rules
    assert [each.partition(" changed")[0] for each in told[said:]] == [f"policy {name}"]
    for at in range(3):
        supervisor.look(4.0 + at)
    assert len(told) == said + 1
    agent.told[LED] = "10.0.0.2:8300"  # another one leads: nothing to do here
    agent.policies[name]["Rules"] = ""
    supervisor.look(9.0)
    assert agent.policies[name]["Rules"] == ""


@pytest.mark.parametrize(
    ("status", "words", "leader"),
    [
        (500, "/v1/status/leader: No known Consul servers", ""),
        (500, "rpc error", None),
        (403, "denied", None),
    ],
)
def test_an_agent_that_knows_no_server_has_no_leader(
    monkeypatch: pytest.MonkeyPatch, status: int, words: str, leader: str | None
) -> None:
    """As a real one says it; it was taken for ill, and what may be wrong was never told."""

    def ask(*_: Any) -> None:
        raise ApiError(words, status)

    monkeypatch.setattr(AgentApi, "ask", ask)
    api = object.__new__(AgentApi)
    if leader is None:
        with pytest.raises(ApiError, match=words):
            api.leader()
    else:
        assert api.leader() == leader


def test_a_member_is_well_once_it_has_seen_a_leader_whatever_comes(
    agent: Agent,
    supervisor: supervise.Supervisor,
    member: Settings,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervise, "answers", lambda _address: False)
    agent.told[LED] = ApiError("connection refused")
    supervisor.look(1.0)
    assert health.check(member.run_dir) == (1, "connection refused")
    agent.told[LED] = ""
    supervisor.look(2.0)
    assert health.check(member.run_dir) == (1, "not yet: no leader has been found")
    assert told == []
    supervisor.look(supervise.SLOW + 1)
    supervisor.look(supervise.SLOW + 2)
    assert [each for each in told if "of another authority" in each] == [supervise.ALONE]
    supervisor.look(supervise.PATIENCE + 1)  # no restart brings one
    assert health.check(member.run_dir)[0] == 0
    agent.told[LED] = "10.0.0.2:8300"
    supervisor.look(3.0)
    assert health.check(member.run_dir) == (0, "serving, led by 10.0.0.2:8300")
    agent.told[LED] = ""
    supervisor.look(4.0)
    assert health.check(member.run_dir) == (0, "serving, without a leader")


def test_a_member_that_all_others_turn_away_stays_unwell_so_that_a_change_goes_no_further(
    agent: Agent,
    supervisor: supervise.Supervisor,
    member: Settings,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one with another gossip key: it was well after 90 s, and the next server lost the others, too."""
    running = {"10.0.0.2"}
    monkeypatch.setattr(supervise, "answers", running.__contains__)
    agent.told[LED] = ""
    late = supervise.PATIENCE + 1
    supervisor.look(late)  # of three servers one has yet to come: none can lead
    assert health.check(member.run_dir) == (0, "serving, without a leader")
    running.add("10.0.0.3")
    supervisor.look(late + 1)  # not asked at each look
    assert health.check(member.run_dir)[0] == 0
    supervisor.look(late + supervise.SLOW + 1)
    assert health.check(member.run_dir) == (1, supervise.TURNED_AWAY)
    assert supervise.ALONE in told
    running.clear()  # a power cut: no restart brings a leader
    supervisor.look(late + 2 * supervise.SLOW + 2)
    assert health.check(member.run_dir)[0] == 0


def test_of_five_servers_one_may_be_dead_and_the_others_still_turn_a_member_away(
    agent: Agent, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it was well after 90 s, and the next server would have cost the majority of the four."""
    hosts = ",".join(f"galera-{n}=10.0.0.{n}" for n in range(1, 6))
    five = settings.load({**environ, "CONSUL_HOSTS": hosts, "CONSUL_SERVERS": "5"})
    five.run_dir.mkdir()
    running = {f"10.0.0.{n}" for n in (2, 3, 4)}
    monkeypatch.setattr(supervise, "answers", running.__contains__)

    def started() -> supervise.Supervisor:
        return supervise.Supervisor(five, Path("config.json"), agent, lambda _text: None)  # type: ignore[arg-type]

    def well() -> bool:
        agent.told[LED] = ""
        started().look(supervise.PATIENCE + 1)
        return health.check(five.run_dir)[0] == 0

    assert well()  # the first leader of all needs the fifth, too
    agent.told[LED] = "10.0.0.2:8300"
    agent.told["GET /v1/agent/self"] = {"Config": {"NodeID": "own"}}
    started().look(1.0)
    assert not well()
    running.discard("10.0.0.4")  # two others: they have no leader without this one
    assert well()
    running.update({"10.0.0.4", "10.0.0.5"})
    assert not well()


def test_an_agent_asks_all_servers_and_a_server_without_others_is_turned_away_by_nobody(
    agent: Agent, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answers(address: str) -> bool:
        asked.append(address)
        return True

    monkeypatch.setattr(supervise, "answers", answers)
    agent.told[LED] = ""
    Path(environ["RUN_DIR"]).mkdir()
    for changes, code in (({"NODE_NAME": "web-1"}, 1), ({"CONSUL_SERVERS": "1"}, 0)):
        here = settings.load({**environ, **changes})
        made = supervise.Supervisor(here, Path("config.json"), agent, lambda _text: None)  # type: ignore[arg-type]
        made.look(supervise.PATIENCE + 1)
        assert health.check(here.run_dir)[0] == code
    assert asked == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_a_server_answers_when_its_port_lets_somebody_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(supervise, "RPC", listener.getsockname()[1])
        assert supervise.answers("127.0.0.1")
    assert not supervise.answers("127.0.0.1")


def test_a_host_whose_data_is_new_takes_its_former_entry_away(
    agent: Agent, supervisor: supervise.Supervisor
) -> None:
    agent.told[LED] = "10.0.0.2:8300"
    agent.told["GET /v1/catalog/node/galera-1?consistent"] = {"Node": {"ID": "another"}}
    supervisor.look(1.0)
    assert agent.asked == ["PUT /v1/catalog/deregister"]
    supervisor.look(2.0)
    assert len(agent.asked) == 1


@pytest.mark.parametrize("entry", [None, {"Node": {"ID": "own"}}])
def test_a_host_with_its_own_entry_leaves_it(
    agent: Agent, supervisor: supervise.Supervisor, entry: Any
) -> None:
    agent.told[LED] = "10.0.0.2:8300"
    agent.told["GET /v1/catalog/node/galera-1?consistent"] = entry
    supervisor.look(1.0)
    assert agent.asked == []


def peer(name: str, at: str) -> dict[str, Any]:
    return {"ID": f"id-{name}", "Node": name, "Address": f"{at}:8300", "Leader": False}


def live(name: str, at: str, role: str = "consul", status: int = 1) -> dict[str, Any]:
    return {"Name": name, "Addr": at, "Status": status, "Tags": {"id": f"id-{name}", "role": role}}


FIRST = (peer("galera-1", "10.0.0.1"), live("galera-1", "10.0.0.1"))


@pytest.mark.parametrize(
    ("vote", "member_", "gone"),
    [
        (peer("galera-3", "10.0.0.3"), live("galera-3", "10.0.0.3"), False),  # it serves
        (peer("galera-3", "10.0.0.3"), live("galera-3", "10.0.0.3", status=4), False),  # it may come back
        (peer("galera-3", "10.0.0.3"), live("galera-3b", "10.0.0.3", "node"), True),  # an agent is there now
        (
            peer("galera-3", "10.0.0.9"),
            live("galera-3", "10.0.0.9", status=4),
            True,
        ),  # a host that was replaced
        (peer("web-1", "10.0.0.4"), live("web-1", "10.0.0.4"), False),  # has yet to learn that it is none
        (peer("web-1", "10.0.0.4"), live("web-1b", "10.0.0.4", "node"), True),
        (
            peer("web-1", "10.0.0.4"),
            live("web-1", "10.0.0.4", status=4),
            True,
        ),  # of five servers three are left
    ],
)
def test_a_vote_that_nobody_will_use_again_is_known(
    member: Settings, vote: dict[str, Any], member_: dict[str, Any], gone: bool
) -> None:
    found = seats.abandoned([FIRST[0], vote], [FIRST[1], member_], member)
    assert found == ([(vote["ID"], vote["Address"])] if gone else [])


def test_the_leader_takes_an_abandoned_vote_away_at_the_second_look(
    agent: Agent, supervisor: supervise.Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "TIDY", -1.0)
    agent.told |= {LED: "10.0.0.2:8300", RAFT: [FIRST[0], peer("galera-3", "10.0.0.9")], MEMBERS: [FIRST[1]]}
    for at in range(3):  # another one leads
        supervisor.look(float(at))
    agent.told[LED] = "10.0.0.1:8300"
    supervisor.look(4.0)
    assert not any("DELETE" in asked for asked in agent.asked)
    supervisor.look(5.0)
    assert agent.asked[-1] == "DELETE /v1/operator/raft/peer?id=id-galera-3"


def play(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Has `script` run in the place of Consul."""
    program = folder / "consul"
    program.write_text(f"#!{sys.executable} -IS\n{script}")
    program.chmod(0o755)
    monkeypatch.setattr(supervise, "PROGRAM", str(program))
    monkeypatch.setattr(supervise, "EVERY", 0.05)


@pytest.fixture
def signals() -> Any:
    before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    yield
    for number, handler in before:
        signal.signal(number, handler)


WAITS = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\ntime.sleep(60)\n"


@pytest.mark.usefixtures("signals")
def test_a_leader_that_is_told_to_stop_hands_over_first(
    agent: Agent, supervisor: supervise.Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, tmp_path, WAITS)
    agent.told[LED] = "10.0.0.1:8300"
    look = supervisor.look

    def look_and_stop(up: float) -> None:
        look(up)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(supervisor, "look", look_and_stop)
    assert supervisor.run() == 0
    assert agent.asked[-1] == "POST /v1/operator/raft/transfer-leader"


@pytest.mark.usefixtures("signals")
def test_an_agent_that_ends_by_itself_ends_the_container(
    supervisor: supervise.Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, tmp_path, "raise SystemExit(3)\n")
    assert supervisor.run() == 1


# ---- what a person tells it


@pytest.fixture
def asked(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> Agent:
    monkeypatch.setattr("images.consul.consul_member.api.AgentApi", lambda *_args, **_options: agent)
    return agent


RAFT, MEMBERS, ENTRY = (
    "GET /v1/operator/raft/configuration",
    "GET /v1/agent/members",
    "GET /v1/catalog/node/galera-3?consistent",
)


def server(name: str, leader: bool = False, at: str = "10.0.0.3:8300") -> dict[str, Any]:
    return {"ID": f"id-{name}", "Node": name, "Leader": leader, "Address": at}


def test_a_server_that_still_runs_loses_its_vote_alone(
    asked: Agent, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    asked.told |= {
        RAFT: [server("galera-1", True), server("galera-3")],
        MEMBERS: [{"Name": "galera-3", "Status": 1}],
    }
    assert cli.forget("galera-3", environ) == 0
    assert asked.asked == ["DELETE /v1/operator/raft/peer?id=id-galera-3"]
    assert capsys.readouterr().out == "galera-3 has lost its seat\n"


def test_a_leader_hands_over_before_it_loses_its_vote(asked: Agent, environ: dict[str, str]) -> None:
    asked.told |= {RAFT: [server("galera-3", True)], MEMBERS: [{"Name": "galera-3", "Status": 1}]}
    assert cli.forget("galera-3", environ) == 0
    assert asked.asked[0] == "POST /v1/operator/raft/transfer-leader"


def test_a_dead_host_is_forgotten_with_all_that_is_known_of_it(asked: Agent, environ: dict[str, str]) -> None:
    asked.told |= {
        RAFT: [server("galera-3")],
        MEMBERS: [{"Name": "galera-3", "Status": 4}],
        ENTRY: {"Node": {"ID": "x"}},
    }
    assert cli.forget("galera-3", environ) == 0
    assert asked.asked == [
        "DELETE /v1/operator/raft/peer?id=id-galera-3",
        "PUT /v1/agent/force-leave/galera-3?prune=1",
        "PUT /v1/catalog/deregister",
    ]


def test_a_vote_whose_owner_s_name_is_not_known_any_more_is_found_by_its_address(
    asked: Agent, environ: dict[str, str]
) -> None:
    gone, other = server("(unknown)"), server("(unknown)", at="10.0.0.9:8300")
    asked.told |= {RAFT: [gone | {"ID": "gone"}, other], MEMBERS: [], ENTRY: ApiError("no such node", 404)}
    assert cli.forget("galera-3", environ) == 0
    assert asked.asked == ["DELETE /v1/operator/raft/peer?id=gone"]


def test_who_is_no_member_is_forgotten_already(
    asked: Agent, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    asked.told |= {RAFT: [server("galera-1")], MEMBERS: [], ENTRY: ApiError("no such node", 404)}
    assert cli.forget("galera-3", environ) == 0
    assert asked.asked == []
    assert capsys.readouterr().out == "galera-3 has no seat\n"


def test_a_live_agent_is_left_alone(asked: Agent, environ: dict[str, str]) -> None:
    asked.told |= {RAFT: [server("galera-1")], MEMBERS: [{"Name": "galera-3", "Status": 1}]}
    assert cli.forget("galera-3", environ) == 0
    assert asked.asked == []


def test_nobody_is_forgotten_by_itself_or_without_a_majority(asked: Agent, environ: dict[str, str]) -> None:
    assert cli.forget("galera-1", environ) == 1
    asked.told |= {RAFT: ApiError("No cluster leader", 500)}
    assert cli.forget("galera-3", environ) == 1


def records(folder: Path) -> None:
    (folder / "raft").mkdir()
    (folder / "raft" / "raft.db").touch()
    (folder / "node-id").write_text("own-id\n")


def test_a_server_goes_on_alone_only_without_a_majority(
    asked: Agent, environ: dict[str, str], member: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "ELECTION", 0.0)
    monkeypatch.setattr(cli.has_majority, "__defaults__", (0.0,))
    ended: list[int] = []
    monkeypatch.setattr(cli, "end_soon", ended.append)
    assert cli.force_new_cluster(environ, os.getpid()) == 1  # no records
    records(member.data_dir)
    keys = "GET /v1/kv/swarm-galera/?keys&consistent"
    for answer in (["a key"], ApiError("no such key", 404)):
        asked.told[keys] = answer
        assert cli.force_new_cluster(environ, os.getpid()) == 0
        assert not (member.data_dir / alone.WORD).exists()
    asked.told[keys] = ApiError("No cluster leader", 500)
    assert cli.force_new_cluster(environ, os.getpid()) == 0
    assert (member.data_dir / alone.WORD).exists()
    assert ended == [os.getpid()]


def test_a_member_that_has_just_started_is_asked_again_before_it_goes_on_alone(
    asked: Agent, environ: dict[str, str], member: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.has_majority, "__defaults__", (0.0,))
    records(member.data_dir)
    asked.told[LED] = ApiError("connection refused")
    with subprocess.Popen([sys.executable, "-ISc", "input()"], stdin=subprocess.PIPE) as young:
        assert cli.force_new_cluster(environ, young.pid) == 1
        young.kill()
    assert not (member.data_dir / alone.WORD).exists()


def test_an_agent_that_keeps_no_records_cannot_go_on_alone(environ: dict[str, str], member: Settings) -> None:
    records(member.data_dir)
    assert cli.force_new_cluster({**environ, "NODE_NAME": "web-1"}, os.getpid()) == 1


def test_a_word_counts_once_and_names_this_server_alone(member: Settings) -> None:
    said: list[str] = []
    alone.take_word(member.data_dir, member.address, said.append)
    assert said == []
    alone.leave_word(member.data_dir)
    with pytest.raises(alone.AloneError, match="no server"):
        alone.take_word(member.data_dir, member.address, said.append)
    records(member.data_dir)
    assert alone.has_records(member.data_dir)
    alone.take_word(member.data_dir, member.address, said.append)
    assert json.loads((member.data_dir / "raft" / "peers.json").read_text()) == [
        {"id": "own-id", "address": "10.0.0.1:8300", "non_voter": False}
    ]
    assert not (member.data_dir / alone.WORD).exists()
    assert len(said) == 1


def test_a_process_is_ended_in_a_second() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        assert cli.age(process.pid) < 60
        # In a process of its own, as in the container: the command does not stay for what it leaves behind.
        command = f"from images.consul.consul_member.cli import end_soon; end_soon({process.pid})"
        subprocess.run([sys.executable, "-c", command], cwd=Path(__file__).parents[3], check=True)
        assert process.wait(timeout=30) == -signal.SIGTERM
    assert cli.age(process.pid) == float("inf")


# ---- the command


def test_a_check_of_a_member_that_has_said_nothing_fails(tmp_path: Path) -> None:
    assert cli.health({"RUN_DIR": str(tmp_path)}) == 1
    (tmp_path / health.FILE).write_text(f"{time.monotonic() - 60} 1 serving\n")
    assert health.check(tmp_path) == (1, "consul-member has been silent for 60 s; it last said: serving")


@pytest.mark.parametrize("argv", [[], ["forget"], ["health", "x"], ["runs"]])
def test_a_command_that_is_none_shows_what_there_is(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    assert "consul-member force-new-cluster" in capsys.readouterr().err


def test_a_member_says_until_when_its_certificates_last(
    environ: dict[str, str], member: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.certificates(environ) == 1
    assert capsys.readouterr().out == "consul-ca.crt can't be read\n"
    now = dt.datetime.now(dt.UTC)
    authority = certificates.new_authority("consul", now)
    for days, said in ((3650, "until"), (-1, "consul.crt expired on")):
        signed = now - certificates.VALID_FOR + dt.timedelta(days=days)
        made = certificates.peer_certificate("consul", ["127.0.0.1"], authority, signed)
        (member.secrets / "consul-ca.crt").write_text(authority.certificate)
        (member.secrets / "consul.crt").write_text(made.certificate)
        assert cli.certificates(environ) == 0
        assert capsys.readouterr().out == f"{said} {now + dt.timedelta(days=days):%Y-%m-%d}\n"


@pytest.mark.parametrize("argv", [["certificates"], ["force-new-cluster"], ["forget", "x"]])
def test_a_command_without_settings_says_which(
    argv: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ("NODE_NAME", "CONSUL_HOSTS"):
        monkeypatch.delenv(key, raising=False)
    assert cli.main(argv) == 2
    assert "CONSUL_HOSTS is not set" in capsys.readouterr().err


def test_health_is_what_was_last_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    health.write(tmp_path, True, "serving")
    monkeypatch.setenv("RUN_DIR", str(tmp_path))
    assert cli.main(["health"]) == 0
    assert capsys.readouterr().out == "serving\n"


def test_run_writes_the_configuration_and_stays_with_the_agent(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, signals: None
) -> None:
    def run(self: supervise.Supervisor) -> int:
        return 0 if self._config.is_file() else 1

    monkeypatch.setattr(supervise.Supervisor, "run", run)
    monkeypatch.setattr("images.consul.consul_member.api.AgentApi", lambda *_: None)
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    assert cli.main(["run"]) == 0
    alone.leave_word(Path(environ["DATA_DIR"]))
    assert cli.main(["run"]) == 1  # a word, and nothing to go on from


@pytest.mark.parametrize(
    ("shown", "words"),
    [("expired", "has expired. Remedy: `pulumi up`"), ("foreign", "is not one that its authority")],
)
def test_a_member_whose_own_certificate_is_bad_says_so(member: Settings, shown: str, words: str) -> None:
    now = dt.datetime.now(dt.UTC)
    own, foreign = (certificates.new_authority("consul", now) for _ in range(2))
    signed = {
        "expired": certificates.peer_certificate("consul", ["127.0.0.1"], own, now - dt.timedelta(days=4000)),
        "foreign": certificates.peer_certificate("consul", ["127.0.0.1"], foreign, now),
    }[shown]
    pair = signed.certificate, signed.private_key
    for name, text in zip(settings.FILES, (own.certificate, *pair), strict=True):
        (member.secrets / name).write_text(text)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(member.secrets / "consul.crt", member.secrets / "consul.key")

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as stream:
            tls.wrap_socket(stream, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        api = AgentApi(member, port=listener.getsockname()[1])
        with pytest.raises(ApiError, match=words):
            api.leader()
        thread.join()
    until = valid_until(member.secrets / "consul.crt")
    assert until is not None
    assert (until < now) is (shown == "expired")


def test_whoever_calls_consul_in_the_container_reaches_the_member_and_is_nobody() -> None:
    """What `verify` says to call there, and what it calls by itself."""
    text = (Path(__file__).parents[3] / "images/consul/Dockerfile").read_text()
    given = dict(re.findall(r"(CONSUL_\w+)=(\S+)", text))
    assert given == {
        "CONSUL_HTTP_ADDR": f"https://127.0.0.1:{config.HTTPS}",
        "CONSUL_TLS_SERVER_NAME": "localhost",
        **{
            variable: f"/run/secrets/{file}"
            for variable, file in zip(
                ("CONSUL_CACERT", "CONSUL_CLIENT_CERT", "CONSUL_CLIENT_KEY"), settings.FILES, strict=True
            )
        },
    }
