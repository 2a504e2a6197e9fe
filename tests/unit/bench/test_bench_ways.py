"""In which turns ways are measured against one another, what follows from a round, and what is asked for."""

from __future__ import annotations

import pytest

from bench import ways
from bench.sysbench import Throughput
from bench.ways import DIRECT, READER, TLS, WRITER, Measured, Round

pytestmark = pytest.mark.unit

WAYS = (DIRECT, WRITER, TLS)


def made(direct: float, writer: float, tls: float, repeated: float = 0) -> Round:
    speeds = zip(WAYS, (direct, writer, tls), strict=True)
    return Round({way: Throughput(each, repeated) for way, each in speeds})


def test_every_turn_begins_with_another_way_and_has_all_of_them() -> None:
    turns = [ways.turned(WAYS, number) for number in range(len(WAYS) + 1)]
    assert [turn[0] for turn in turns] == [*WAYS, WAYS[0]]
    assert {tuple(sorted(turn)) for turn in turns} == {tuple(sorted(WAYS))}


def test_each_load_and_number_of_clients_has_its_rounds_and_a_short_turn_before_them_does_not_count() -> None:
    ran: list[tuple[str, str, int, int]] = []

    def measure(way: str, load: str, clients: int, seconds: int) -> Throughput:
        ran.append((way, load, clients, seconds))
        return Throughput(100 * clients if way == DIRECT else 90 * clients, 0)

    found = ways.measured((DIRECT, READER), 2, 20, measure)
    assert list(found) == [(load, clients) for load in ways.LOADS for clients in ways.CLIENTS]
    assert [len(rounds) for rounds in found.values()] == [2] * len(found)
    assert [each.ratio(READER) for each in found["oltp_write_only", 32]] == [0.9, 0.9]
    assert list(found["oltp_write_only", 32][1].through) == [DIRECT, READER]
    turns = [(DIRECT, ways.WARM), (READER, ways.WARM), (DIRECT, 20), (READER, 20), (READER, 20), (DIRECT, 20)]
    assert ran[:6] == [(way, "oltp_read_write", 1, seconds) for way, seconds in turns]
    assert ran[-6:] == [(way, "oltp_write_only", 32, seconds) for way, seconds in turns]


def test_a_way_is_compared_with_the_direct_connection_of_its_own_round() -> None:
    # The machine was half as fast in the second one: nothing follows from that.
    rounds = [made(200, 190, 192, 1), made(100, 95, 97, 2), made(200, 150, 190, 3)]
    assert (ways.ratio(rounds, WRITER), ways.ratio(rounds, TLS)) == (0.95, 0.96)
    assert ways.ratio(rounds, TLS, WRITER) == pytest.approx(97 / 95)
    assert (ways.speed(rounds), ways.speed(rounds, TLS)) == ("200", "190")
    assert ways.repeated(rounds, WRITER) == "2.0"


def test_a_goal_is_met_only_if_it_is_with_every_load_and_number_of_clients() -> None:
    good, bad = [made(100, 90, 95)], [made(100, 95, 89)]
    measured: Measured = {("oltp_read_write", 1): good}
    told = "at least 0.9 of a direct connection"
    assert ways.verdict(measured, (WRITER, TLS)) == f"Goals: writer port: {told}, met; TLS: {told}, met."
    measured = {**measured, ("oltp_write_only", 32): bad}
    assert ways.verdict(measured, (WRITER, TLS)) == (
        f"Goals: writer port: {told}, met; TLS: {told}, missed: 0.89 with oltp_write_only, 32 clients."
    )
    assert ways.judged(measured, WRITER, 0.95) == "missed: 0.90 with oltp_read_write, 1 clients"


@pytest.mark.parametrize("words", [["--runs", "0"], ["--runs", "-1"], ["--seconds", "0"], ["--seconds", "x"]])
def test_what_can_not_be_measured_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = ways.parser("tls", "about")
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(words)
    assert ended.value.code == 2
    assert f"argument {words[0]}: must be a whole number >= 1" in capsys.readouterr().err
    asked = parser.parse_args(["--runs", "1", "--seconds", "3"])
    assert (asked.runs, asked.seconds, asked.no_document) == (1, 3, False)
