"""What `bench.tls` makes of runs with and without TLS, and what it refuses."""

from __future__ import annotations

import pytest

from bench import report, tls
from bench.sysbench import Throughput
from bench.tls import PLAIN, TLS
from bench.ways import Round

pytestmark = pytest.mark.unit


def made(plain: float, encrypted: float) -> Round:
    return Round({PLAIN: Throughput(plain, 0), TLS: Throughput(encrypted, 0)})


def test_a_run_with_tls_is_compared_with_the_one_without_of_its_own_round() -> None:
    # The machine was half as fast in the second one: nothing follows from that.
    found = [made(200, 190), made(100, 92), made(200, 196)]
    assert tls.table({("oltp_write_only", 8): found}) == [
        ["oltp_write_only", "8", "200", "190", "0.95", "0.92", "0.98"]
    ]
    assert len(tls.table({("oltp_write_only", 8): found})[0]) == len(tls.HEADINGS)


def test_the_goal_is_met_only_if_it_is_with_every_load_and_number_of_clients() -> None:
    good, bad = [made(100, 90)], [made(100, 89)]
    met = "Goal: with TLS at least 0.9 of the throughput without, met."
    assert tls.verdict({("oltp_read_write", 1): good}) == met
    told = tls.verdict({("oltp_read_write", 1): good, ("oltp_write_only", 32): bad})
    assert told.endswith("missed: 0.89 with oltp_write_only, 32 clients.")


@pytest.mark.parametrize("words", [["--runs", "0"], ["--debian", "sid"]])
def test_what_can_not_be_measured_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        tls.main(words)
    assert ended.value.code == 2


def test_the_document_has_a_place_for_it() -> None:
    assert "with TLS" in report.replaced(report.DOCUMENT.read_text(), "tls", "with TLS")
