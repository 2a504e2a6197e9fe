"""`verify` of the application: what is asked, and what follows from the answers."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from operations import outputs, verify
from operations.checks import application as application_checks
from operations.checks.check import Check
from operations.facts import cluster as cluster_facts
from operations.facts import host_looks
from operations.outputs import Application, Host, Outputs
from operations.remote_hosts import Answer
from tests.unit.fake_host import FakeHost
from tests.unit.operations.test_verify import NAMES, VALUES, failed

pytestmark = pytest.mark.unit

WANTED = {"service": "application", "vip": "10.20.0.8", "port": 80, "targetPort": 8080, "replicas": 2}
LISTED = "galera-1|Running 2 hours ago|\ngalera-3|Running 5 seconds ago|\n"
GOOD = "answer\tHTTP/1.1 302 Found\n" * 4


@pytest.fixture
def found() -> Outputs:
    return outputs.parse("dev", {**VALUES, "application": WANTED})


def application(found: Outputs) -> Application:
    assert found.application is not None
    return found.application


def checks(found: Outputs, listed: str = LISTED, error: str = "", **changed: Answer) -> list[Check]:
    """All hosts answer well but those that are `changed` (galera_2 is galera-2)."""
    answers = {name: Answer(GOOD) for name in NAMES}
    answers |= {name.replace("_", "-"): answer for name, answer in changed.items()}
    made = application_checks.of_application(found, application(found), Answer(listed, error), answers)
    assert all(check.remedy for check in made if not check.ok)
    return made


def test_an_application_that_runs_and_answers_everywhere_passes_every_check(found: Outputs) -> None:
    good = checks(found)
    assert failed(good) == []
    assert [check.where for check in good] == ["cluster", *NAMES]
    assert good[0].what == "all 2 containers of application run"
    assert good[0].found == "1 on galera-1, 1 on galera-3"
    assert good[1].what == "application answers on port 80"
    assert good[1].found == "HTTP 302"
    assert not [check for check in good if check.remedy]


def test_both_containers_may_be_on_one_host(found: Outputs) -> None:
    good = checks(found, "galera-2|Running 1 minute ago|\n" * 2)
    assert failed(good) == []
    assert good[0].found == "2 on galera-2"


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("", "none runs"),
        ("galera-1|Running 2 hours ago|\n", "1 on galera-1"),
        (
            'galera-1|Running 2 hours ago|\n|Pending 3 seconds ago|"no suitable node"\n',
            '1 on galera-1, no host Pending "no suitable node"',
        ),
        (LISTED + "galera-2|Starting 9 seconds ago|\n", "1 on galera-1, 1 on galera-3, galera-2 Starting"),
        ("galera-1|Running 1 hour ago|\n" * 3, "3 on galera-1"),
    ],
)
def test_a_container_that_is_missing_or_not_there_yet_is_found(
    found: Outputs, listed: str, said: str
) -> None:
    assert failed(checks(found, listed)) == [("cluster", said)]


def test_a_manager_that_does_not_say_is_no_success(found: Outputs) -> None:
    assert failed(checks(found, LISTED, "no such service")) == [("cluster", "no such service")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("answer\tHTTP/1.1 500 Internal Server Error\n" * 4, "HTTP 500"),
        (GOOD + "answer\tHTTP/1.0 503 Service Unavailable\n", "HTTP 302 (4 of 5), HTTP 503 (1 of 5)"),
        (GOOD + "failed\tConnection refused\n", "HTTP 302 (4 of 5), Connection refused (1 of 5)"),
        ("failed\tno answer within 20 s\n" * 4, "no answer within 20 s"),
        ("answer\t220 mail.example.com ESMTP\n", "no HTTP: '220 mail.example.com ESMTP'"),
        ("", "no answer"),
    ],
)
def test_a_host_whose_port_leads_to_no_good_answer_is_found(found: Outputs, text: str, said: str) -> None:
    assert failed(checks(found, galera_2=Answer(text))) == [("galera-2", said)]


def test_a_host_that_could_not_be_asked_is_no_success(found: Outputs) -> None:
    assert failed(checks(found, galera_4=Answer("", "no SSH"))) == [("galera-4", "no SSH")]
    made = application_checks.of_application(found, application(found), Answer(LISTED), {})
    assert failed(made) == [(name, "not asked") for name in NAMES]


@pytest.mark.parametrize("code", [200, 301, 401, 404])
def test_any_answer_below_500_is_one(found: Outputs, code: int) -> None:
    assert failed(checks(found, galera_1=Answer(f"answer\tHTTP/1.1 {code} Some Word\n"))) == []


class Remote:
    reachable = ["galera-4", "galera-2"]

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []

    async def run(self, name: str, text: str, stdin: str = "") -> Answer:
        self.ran.append((name, text))
        return Answer(LISTED)

    async def run_all(self, texts: Mapping[str, str], stdin: str = "", limit: float = 0) -> dict[str, Answer]:
        assert limit > application_checks.PATIENCE * application_checks.MOST
        for text in texts.values():
            assert "asked=4\n" in text
        return {name: Answer(GOOD) for name in texts}


def test_a_manager_that_answers_lists_the_containers_and_every_host_asks_through_its_own_port(
    found: Outputs,
) -> None:
    remote = Remote()
    made = asyncio.run(verify._served(found, application(found), remote))  # type: ignore[arg-type]
    assert failed(made) == []
    assert [name for name, _ in remote.ran] == ["galera-2"]
    remote.reachable = ["galera-4"]
    made = asyncio.run(verify._served(found, application(found), remote))  # type: ignore[arg-type]
    assert ("cluster", "no manager answers") in failed(made)


def test_a_stack_without_an_application_has_none() -> None:
    assert outputs.parse("dev", VALUES).application is None


@pytest.fixture
def site() -> Iterator[int]:
    """The port of a web server that is not what one would wish for every other time."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Host"])
            self.send_response(302 if len(asked) % 2 else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        assert set(asked) == {f"127.0.0.1:{server.server_port}"}
        server.shutdown()
        thread.join()


HERE = Host("galera-1", "manager", "127.0.0.1", "127.0.0.1", "key")


def test_the_script_asks_and_prints_what_is_read_from_it(found: Outputs, tmp_path: Path, site: int) -> None:
    asked = replace(application(found), port=site)
    ran = FakeHost(tmp_path / "host").run(application_checks.ask(asked, HERE))
    assert ran.code == 0, ran.err
    lines = [line.split("\t") for line in ran.out.splitlines()]
    assert [kind for kind, _ in lines] == ["answer"] * 4
    assert [application_checks._status(words) for _, words in lines] == ["HTTP 302", "HTTP 503"] * 2


def test_the_script_says_why_there_was_no_answer(
    found: Outputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = FakeHost(tmp_path / "host")
    nobody = replace(application(found), port=1, replicas=1)
    assert host.run(application_checks.ask(nobody, HERE)).out == "failed\tConnection refused\n" * 2
    monkeypatch.setattr(application_checks, "PATIENCE", 1)
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as silent:
        mute = replace(nobody, port=silent.server_port)
        ran = host.run(application_checks.ask(mute, HERE))
    assert ran.out == "failed\tno answer within 1 s\n" * 2


def test_the_swarm_is_asked_for_what_is_meant_to_run(found: Outputs, tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.program("docker", f"printf '%s' '{LISTED}'")
    ran = host.run(application_checks.tasks(application(found)))
    assert [task.host for task in application_checks.parse_tasks(ran.out)] == ["galera-1", "galera-3"]
    (call,) = ran.called("docker")
    assert "--filter desired-state=running" in call
    assert call.endswith(" application")


DOCKER = r"""
case "$1 $2" in
  "info --format") echo 'btrfs|active|n1|' ;;
  "ps -q") printf 'c1\nc2\nc3\nc4\nc5\n' ;;
  "inspect --format") printf '%s\n' 'c1|true|application|sha256:ab|/application.1.a' \
    'c2|true|application|sha256:ab|/application.2.b' 'c3|false|application|sha256:ab|/application.1.old' \
    'c4|true|galera|sha256:cd|/galera.n1.a' 'c5|true|galera|sha256:cd|/galera.n1.old' ;;
esac
"""


def test_a_second_container_of_it_on_a_host_is_no_ghost_but_one_that_has_ended_is(
    found: Outputs, tmp_path: Path
) -> None:
    host = FakeHost(tmp_path / "host")
    for program in ("findmnt", "lvs", "df", "btrfs", "ip", "systemctl"):
        host.program(program)
    host.program("docker", DOCKER)
    seen = cluster_facts.parse(host.run(host_looks.look(found, False, False)).out)
    assert seen.ghosts == ("application.1.old", "galera.n1.old")
    assert seen.images == {"application": "sha256:ab", "galera": "sha256:cd"}
