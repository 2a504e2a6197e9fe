"""The step after which nobody is let in without TLS: it asks a node until all is done, or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.host_scripts import database_tls
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

DOCKER = r"""
case "$1" in
  ps) [[ -e $host/away ]] && rm "$host/away" || echo c1 ;;
  exec)
    [[ "$*" == "exec c1 galera-node secure" ]] || exit 99
    IFS=' ' read -r code said <"$host/answers"
    [[ $(wc -l <"$host/answers") == 1 ]] || sed -i 1d "$host/answers"
    echo "$said"; exit "$code" ;;
esac
"""


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path / "host")
    made.program("docker", DOCKER)
    made.program("sleep")
    return made


def run(host: FakeHost, *answers: str, patience: int = database_tls.PATIENCE) -> Ran:
    host.file("answers", "".join(f"{answer}\n" for answer in answers))
    return host.run(
        database_tls.only("galera").replace(f"patience={database_tls.PATIENCE}", f"patience={patience}")
    )


def test_it_is_over_once_all_nodes_have_started_anew(host: FakeHost) -> None:
    host.file("away", "")
    ran = run(
        host, "75 under way: a, b", "75 under way: b", "1 the store does not answer", "0 all nodes speak TLS"
    )
    assert ran.code == 0, ran.err
    assert "galera: no container of galera runs on this manager" in ran.err
    assert "galera: under way: b" in ran.err
    assert ran.err.rstrip().endswith("galera: all nodes speak TLS")


def test_what_is_refused_for_long_ends_it_with_the_reason(host: FakeHost) -> None:
    ran = run(host, "1 not all nodes are ready to speak TLS alone: b is not there")
    assert ran.code == 1
    assert "still lets in who comes without TLS" in ran.err
    assert "b is not there. Remedy: correct the cause" in ran.err


def test_an_image_of_before_is_named(host: FakeHost) -> None:
    ran = run(host, "2 usage: galera-node run")
    assert ran.code == 1
    assert "Remedy: set galera.image to" in ran.err


def test_what_gets_no_further_ends_it(host: FakeHost) -> None:
    ran = run(host, "75 under way: b", patience=0)
    assert ran.code == 1
    assert "does not get on with TLS: under way: b. The nodes serve" in ran.err
