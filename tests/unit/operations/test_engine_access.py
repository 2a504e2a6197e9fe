"""Operations where the engines' API has TLS: what `verify` says, `docker-env`, a manager that has died."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from components import engine_choice
from components.engine_choice import NobodyLetsUsIn, Said, Shown
from components.manager_choice import LEADS, SILENT
from operations import cli, docker_env, outputs
from operations.around_run import engine_way
from operations.checks import engine as engine_checks
from operations.checks.engine import Heard
from operations.outputs import EngineAccess, Outputs, parse
from tests.support.engine_api import LEADS as LEADING
from tests.support.engine_api import EngineCertificates, answering
from tests.unit.operations.test_verify import NAMES, VALUES

pytestmark = pytest.mark.unit

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def made() -> EngineCertificates:
    return EngineCertificates()


def values(made: EngineCertificates, host: str = "tcp://203.0.113.2:2376") -> dict[str, Any]:
    shown = made.shown
    return {
        **VALUES,
        "engine": {"access": "tls", "port": 2376, "addresses": VALUES["ssh"]["addresses"]},
        "dockerAccess": {
            "caCertificate": shown.authority,
            "certificate": shown.certificate,
            "privateKey": shown.key,
            "host": host,
        },
    }


def of(made: EngineCertificates, port: int = 2376) -> Outputs:
    """A stack of one host, which is this one."""
    found = parse("dev", values(made))
    engine = EngineAccess({"galera-1": "127.0.0.1"}, port, made.shown)
    return replace(found, engine=engine)


def test_outputs_say_how_engines_are_reached(made: EngineCertificates) -> None:
    found = parse("dev", values(made)).engine
    assert found is not None
    assert found.addresses["galera-1"] == "203.0.113.1"
    assert (found.port, found.asked, found.shown) == (2376, "203.0.113.2", made.shown)
    assert made.shown.key not in repr(found)
    for plain in (VALUES, {**VALUES, "engine": {"access": "ssh"}}):
        assert parse("dev", plain).engine is None
    assert parse("dev", {**VALUES, "engine": {"access": "ssh"}}).listened
    assert not parse("dev", VALUES).listened


# -- verify


def test_an_engine_that_lets_in_whom_it_should_and_nobody_else_is_well(
    made: EngineCertificates, tmp_path: Path
) -> None:
    with answering(made.files, tmp_path, LEADING) as port:
        found = of(made, port)
        checks = engine_checks.of_engines(found, asyncio.run(engine_checks.ask(found)))
    assert [(check.where, check.ok, check.warns) for check in checks] == [
        ("galera-1", True, False),
        ("galera-1", True, False),
        ("cluster", True, False),
    ]
    assert checks[0].found == f"at 127.0.0.1:{port}"
    assert checks[1].found.startswith("3649 days, until 20")


def test_an_engine_that_lets_in_anybody_is_red(made: EngineCertificates, tmp_path: Path) -> None:
    with answering(made.files, tmp_path, LEADING, open_to_all=True) as port:
        heard = engine_checks.heard(EngineAccess({}, port, made.shown), "127.0.0.1")
    (check, _, _) = engine_checks.of_engines(of(made), {"galera-1": heard})
    assert (check.ok, check.found) == (False, "it lets in who has none")
    assert check.remedy


@pytest.mark.parametrize(
    ("of_certificate", "said"),
    [({"name": "10.9.9.9"}, "IP address mismatch"), ({"ago": dt.timedelta(days=3651)}, "has expired")],
)
def test_a_certificate_that_is_not_good_is_red_with_its_reason(
    made: EngineCertificates, tmp_path: Path, of_certificate: dict[str, Any], said: str
) -> None:
    other = made.another(**of_certificate)
    files = {**made.files, "cert.pem": other.certificate, "key.pem": other.private_key}
    with answering(files, tmp_path, LEADING) as port:
        found = of(made, port)
        check, clients = engine_checks.of_engines(found, asyncio.run(engine_checks.ask(found)))
    assert not check.ok
    assert said in check.found
    assert "`up` brings certificate and listener" in check.remedy
    assert clients.ok


@pytest.mark.parametrize(
    ("days", "ok", "warns"),
    [(3000, True, False), (364, True, True), (30, True, True), (29, False, True), (-1, False, True)],
)
def test_certificates_are_told_of_before_their_end(
    made: EngineCertificates, days: int, ok: bool, warns: bool
) -> None:
    now = NOW + dt.timedelta(days=3650 - days, hours=-6)
    heard = Heard(stranger="certificate required", ends=NOW + dt.timedelta(days=3650))
    _, engine, clients = engine_checks.of_engines(of(made), {"galera-1": heard}, now)
    for check in (engine, clients):
        assert (check.ok, check.warns) == (ok, warns)
        assert bool(check.remedy) is warns


def test_a_former_authority_that_is_trusted_is_told(made: EngineCertificates) -> None:
    after = EngineCertificates(made)
    *_, clients = engine_checks.of_engines(of(after), {"galera-1": Heard(stranger="x")}, NOW)
    assert clients.found.endswith(", and a former authority is trusted")
    assert clients.ok


def test_where_engines_listened_once_nothing_may_listen_any_more(
    made: EngineCertificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = parse("dev", {**VALUES, "engine": {"access": "ssh"}})
    found = replace(found, hosts=(replace(found.hosts[0], address="127.0.0.1"),))
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(engine_checks, "ENGINE_PORT", server.getsockname()[1])
        (check,) = engine_checks.of_engines(found, asyncio.run(engine_checks.ask(found)))
        assert not check.ok
        assert "something listens" in check.found
    (check,) = engine_checks.of_engines(found, asyncio.run(engine_checks.ask(found)))
    assert (check.ok, check.found) == (True, "Connection refused")
    # Of all other stacks nothing is asked.
    plain = parse("dev", VALUES)
    assert engine_checks.of_engines(plain, asyncio.run(engine_checks.ask(plain))) == []


# -- docker-env


@pytest.fixture
def environment(made: EngineCertificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that are asked; the first does not answer."""
    monkeypatch.setenv("SWARM_GALERA_SSH", str(tmp_path / "ssh"))
    monkeypatch.setattr(outputs, "of_stack", lambda stack: parse(stack, values(made)))
    asked = list[str]()

    def ask(address: str, shown: Shown, port: int) -> Said:
        assert (shown, port) == (made.shown, 2376)
        asked.append(address)
        return Said(LEADS if address.endswith(".3") else SILENT)

    monkeypatch.setattr(engine_choice, "asked", ask)
    return asked


def printed(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.build(), ["docker-env", "--stack", "dev", *words])
    return done.exit_code, done.output


def test_docker_is_led_to_a_manager_that_answers(
    environment: list[str], made: EngineCertificates, tmp_path: Path
) -> None:
    folder = tmp_path / "ssh" / "swarm-galera-dev" / "docker"
    assert printed() == (
        0,
        "export DOCKER_HOST=tcp://203.0.113.3:2376\nexport DOCKER_TLS_VERIFY=1\n"
        f"export DOCKER_CERT_PATH={folder}\n",
    )
    assert environment[0] == "203.0.113.2"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "ca.pem": made.shown.authority,
        "cert.pem": made.shown.certificate,
        "key.pem": made.shown.key,
    }
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_docker_is_led_to_the_host_that_was_named(environment: list[str]) -> None:
    assert printed("--host", NAMES[3])[1].startswith("export DOCKER_HOST=tcp://203.0.113.4:2376\n")
    assert environment == []
    with pytest.raises(Exception, match="no host elsewhere: give one of galera-1, "):
        docker_env.docker_env("dev", "elsewhere")


def test_without_tls_docker_is_told_to_go_through_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "of_stack", lambda stack: parse(stack, VALUES))
    with pytest.raises(Exception, match=r"over SSH alone: set engine\.access: tls"):
        docker_env.docker_env("dev", "")


# -- a manager that died


class State:
    """A stack whose docker provider leads to a host."""

    stack = "dev"

    def __init__(self, host: str, told: dict[str, Any]) -> None:
        provider = {"type": "pulumi:providers:docker", "urn": "p", "id": "1"}
        ways = {"inputs": {"host": host, "keyMaterial": {"ciphertext": "x"}}, "outputs": {"host": host}}
        others = [{"type": "docker:index/service:Service", "inputs": {"host": "x"}}]
        self.state: dict[str, Any] = {"deployment": {"resources": [{**provider, **ways}, *others]}}
        self.before, self.told, self.written = self.state, told, 0

    def export(self) -> dict[str, Any]:
        return self.state

    def outputs(self) -> dict[str, Any]:
        return self.told

    def import_state(self, state: dict[str, Any]) -> None:
        self.state, self.written = state, self.written + 1


def test_the_state_is_led_to_a_manager_that_answers(
    environment: list[str], made: EngineCertificates, capsys: pytest.CaptureFixture[str]
) -> None:
    state = State("tcp://203.0.113.1:2376", values(made))
    before = state.state
    engine_way.ready(state)  # type: ignore[arg-type]
    provider, other = state.state["deployment"]["resources"]
    assert provider["inputs"] == {"host": "tcp://203.0.113.3:2376", "keyMaterial": {"ciphertext": "x"}}
    assert provider["outputs"] == {"host": "tcp://203.0.113.3:2376"}
    assert other == before["deployment"]["resources"][1]
    assert "203.0.113.1 does not answer as a manager" in capsys.readouterr().err
    environment.clear()
    engine_way.ready(state)  # type: ignore[arg-type]
    assert (state.written, environment) == (1, ["203.0.113.3"])


def test_a_state_that_leads_through_ssh_is_left_alone(
    environment: list[str], made: EngineCertificates
) -> None:
    for state in (State("ssh://any-manager", values(made)), State("tcp://203.0.113.1:2376", VALUES)):
        engine_way.ready(state)  # type: ignore[arg-type]
        assert (state.written, environment) == (0, [])
    empty = State("", VALUES)
    empty.state = {}
    engine_way.ready(empty)  # type: ignore[arg-type]


def test_where_none_lets_us_in_that_is_said_and_the_run_goes_on(
    environment: list[str],
    made: EngineCertificates,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refused(*_: object, **__: object) -> str:
        raise NobodyLetsUsIn("certificate has expired")

    monkeypatch.setattr(engine_choice, "choose", refused)
    state = State("tcp://203.0.113.1:2376", values(made))
    engine_way.ready(state)  # type: ignore[arg-type]
    assert state.written == 0
    assert "certificate has expired" in capsys.readouterr().err
