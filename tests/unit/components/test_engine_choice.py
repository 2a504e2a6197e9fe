"""Which manager's engine is asked with TLS: the rule, and the whole way with real certificates."""

from __future__ import annotations

import datetime as dt
import http.client
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components import engine_choice
from components.engine_choice import PATIENCE, REFUSED, NobodyLetsUsIn, Said, address_of, asked, choose, url
from components.manager_choice import LEADS, MANAGES, NO_ENGINE, NO_MANAGER, OUTSIDE, SILENT
from tests.support.engine_api import LEADS as LEADING
from tests.support.engine_api import EngineCertificates, answering
from tests.unit.components.test_manager_choice import Time

pytestmark = pytest.mark.unit

MANAGERS = {"galera-1": "10.0.0.1", "galera-2": "10.0.0.2", "galera-3": "10.0.0.3"}
ONE, TWO, THREE = MANAGERS.values()


class Engines:
    """Managers that say what they are told to."""

    def __init__(self, said: Mapping[str, Said]) -> None:
        self.said, self.asked, self.words = said, list[str](), list[str]()

    def choose(self, before: str = "", patience: float = PATIENCE) -> str:
        time = Time()

        def ask(address: str) -> Said:
            self.asked.append(address)
            return self.said.get(address, Said(SILENT, "no answer"))

        return choose(MANAGERS, before, ask, self.words.append, time, time.pause, patience)


def test_the_one_of_before_stays_while_it_leads_and_nobody_else_is_disturbed() -> None:
    engines = Engines(dict.fromkeys(MANAGERS.values(), Said(LEADS)))
    assert engines.choose(TWO) == TWO
    assert engines.asked == [TWO]
    assert engines.choose() == ONE
    assert engines.choose("10.0.0.99") == ONE


@pytest.mark.parametrize("other", [Said(SILENT, "x"), Said(NO_ENGINE, "x"), Said(NO_MANAGER), Said(MANAGES)])
def test_another_one_is_taken_that_leads(other: Said) -> None:
    engines = Engines({ONE: other, TWO: Said(SILENT, "", refused=True), THREE: Said(LEADS)})
    assert engines.choose(ONE) == THREE
    assert engines.words == []


def test_a_leader_that_is_being_elected_is_waited_for_and_then_the_best_taken() -> None:
    engines = Engines({TWO: Said(MANAGES, "its swarm has no leader"), ONE: Said(OUTSIDE, "in no swarm")})
    assert engines.choose() == TWO
    assert engines.words[0].startswith("waiting for a manager's engine: galera-1 (10.0.0.1): in no swarm")
    assert "Remedy: " in engines.words[-1]
    assert len(engines.asked) > 3 * PATIENCE / 4


def test_where_nobody_answers_that_of_before_is_the_one_that_is_missed() -> None:
    engines = Engines({})
    assert engines.choose(TWO) == TWO
    assert "galera-2 (10.0.0.2): no answer" in engines.words[-1]
    few = Engines({})
    few.choose(TWO, patience=0)
    assert len(few.asked) == 3


def test_engines_that_refuse_tls_are_one_clear_error() -> None:
    why = "its certificate is not good: certificate has expired"
    engines = Engines(dict.fromkeys(MANAGERS.values(), Said(SILENT, why, refused=True)))
    with pytest.raises(NobodyLetsUsIn) as refused:
        engines.choose(TWO)
    assert str(refused.value).count(why) == 3
    assert "engine.access: ssh" in str(refused.value)
    assert "Remedy: " in str(refused.value)
    # It may be a moment's: engines that start anew are waited for.
    assert len(engines.asked) >= REFUSED / 2 * 3


def test_an_address_is_read_as_it_was_written() -> None:
    assert url(ONE) == "tcp://10.0.0.1:2376"
    assert address_of(url(ONE)) == ONE
    assert [address_of(host) for host in ("ssh://any-manager", None, "")] == ["", "", ""]


@pytest.fixture(scope="module")
def made() -> EngineCertificates:
    return EngineCertificates()


@pytest.mark.parametrize(
    ("swarm", "leader", "rank"),
    [
        (LEADING, True, LEADS),
        (LEADING, False, MANAGES),
        ({"LocalNodeState": "active", "ControlAvailable": False}, True, NO_MANAGER),
        ({"LocalNodeState": "inactive", "ControlAvailable": False}, True, OUTSIDE),
    ],
)
def test_an_engine_says_what_it_is_to_whoever_has_the_certificate(
    made: EngineCertificates, tmp_path: Path, swarm: dict[str, Any], leader: bool, rank: int
) -> None:
    with answering(made.files, tmp_path, swarm, leader=leader) as port:
        assert asked("127.0.0.1", made.shown, port).rank == rank


def test_both_generations_are_let_in_by_engines_of_both(made: EngineCertificates, tmp_path: Path) -> None:
    after = EngineCertificates(made)
    stranger = EngineCertificates()
    for engine in (made, after):
        with answering(engine.files, tmp_path, LEADING) as port:
            for client in (made, after):
                assert asked("127.0.0.1", client.shown, port) == Said(LEADS)
            assert asked("127.0.0.1", stranger.shown, port).refused
    # The third has nothing to do with the first.
    third = EngineCertificates(after)
    with answering(third.files, tmp_path, LEADING) as port:
        assert asked("127.0.0.1", made.shown, port).refused
        assert asked("127.0.0.1", after.shown, port) == Said(LEADS)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({"name": "10.9.9.9"}, "IP address mismatch"),
        ({"ago": dt.timedelta(days=3651)}, "certificate has expired"),
        # A client's is no engine's.
        ({"of_client": True}, "certificate purpose"),
    ],
)
def test_a_certificate_that_is_not_good_is_named_with_its_reason(
    made: EngineCertificates, tmp_path: Path, of: dict[str, Any], said: str
) -> None:
    other = made.another(**of)
    files = {**made.files, "cert.pem": other.certificate, "key.pem": other.private_key}
    with answering(files, tmp_path, LEADING) as port:
        told = asked("127.0.0.1", made.shown, port)
    assert told.refused
    assert said.lower() in told.why.lower()


def test_the_key_of_an_engine_lets_nobody_in(made: EngineCertificates, tmp_path: Path) -> None:
    engine = made.engine
    taken = engine_choice.Shown(engine["ca_certificate"], engine["certificate"], engine["private_key"])
    with answering(made.files, tmp_path, LEADING) as port:
        assert asked("127.0.0.1", taken, port).refused


def test_whoever_does_not_answer_or_not_as_an_engine_is_no_manager(made: EngineCertificates) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        said = asked("127.0.0.1", made.shown, free.getsockname()[1])
    assert (said.rank, said.refused) == (SILENT, False)
    assert said.why == "Connection refused"


def test_an_engine_that_ends_the_connection_once_tls_stands_has_refused(
    made: EngineCertificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*_: object) -> tuple[int, bytes]:
        raise http.client.RemoteDisconnected("x")

    monkeypatch.setattr(engine_choice, "_get", ends)
    with answering(made.files, tmp_path, LEADING) as port:
        assert asked("127.0.0.1", made.shown, port) == Said(SILENT, engine_choice.ENDED, refused=True)


def test_a_key_is_shown_to_nobody(made: EngineCertificates) -> None:
    assert made.shown.key not in repr(made.shown)
