"""What clients say is kept as they said it, and the pauses in it are the longest there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos import journal
from chaos.journal import Journal, Said, longest, without_writes

pytestmark = pytest.mark.unit

ONE = "writer@galera-1/1"


def test_the_record_on_the_disk_says_what_the_clients_said(tmp_path: Path) -> None:
    file = tmp_path / "run" / "journal.jsonl"
    with Journal(file) as kept:
        kept.take(f'["try", "{ONE}", 1]\n', 1.0)
        kept.take(f'["ack", "{ONE}", 1]\n', 1.5)
        kept.take('["ack", "account@galera-1/2", 4, 0, 12, 5]\n', 2.0)
        kept.take(f'["error", "{ONE}", 1, "gone"]\n', 2.5)
        kept.take(f'["end", "{ONE}", 1]\n', 3.0)
        kept.take("docker: Error response from daemon\n", 3.5)
        kept.take('["ack"]\n', 3.5)
        kept.take('["ack", "a/1", 1, "x"]\n', 3.5)
    assert kept.odd == ["docker: Error response from daemon", '["ack"]', '["ack", "a/1", 1, "x"]']
    told = journal.read(file)
    assert told == kept.said
    assert told.acked == {(ONE, 1): (), ("account@galera-1/2", 4): (0, 12, 5)}
    assert told.tried == {(ONE, 1)}
    assert told.errors == {"writer@galera-1": ["gone"]}
    assert told.ended == {ONE}
    assert kept.last("writer@galera-1") == 1.5
    assert kept.last("vip@galera-1") is None


def test_a_way_is_the_same_in_each_life_of_its_client() -> None:
    told = Said()
    told.take(1.0, ["ack", "writer@galera-1/1", 1])
    told.take(2.0, ["ack", "writer@galera-1/2", 1])
    assert told.times == {"writer@galera-1": [1.0, 2.0]}
    assert len(told.acked) == 2


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ([9.0, 10.5, 11.0, 19.5], 8.5),
        ([9.8, 14.0, 19.0], 5.0),  # 9.8 to 14.0 is shorter than 14.0 to 19.0
        ([8.0, 14.0, 19.0], 6.0),  # it had stopped before the fault
        ([9.8, 10.0, 10.1], 9.9),  # nothing more
        ([], 10.0),
        ([25.0], 10.0),
    ],
)
def test_a_pause_begins_with_the_last_write_before_the_fault_and_ends_with_the_run(
    times: list[float], seconds: float
) -> None:
    assert longest(times, 10.0, 20.0) == pytest.approx(seconds)


def written(**times: list[float]) -> Said:
    return Said(times={f"writer@{name.replace('_', '-')}": each for name, each in times.items()})


def test_the_worst_client_on_a_host_that_was_spared_counts() -> None:
    told = written(galera_1=[10.0], galera_2=[10.0, 12.0, 18.0], galera_3=[10.0, 15.0])
    hosts = ["galera-1", "galera-2", "galera-3"]
    assert without_writes(told, "writer", hosts, ["galera-2", "galera-3"], 10.0, 20.0) == 6.0
    assert without_writes(told, "writer", hosts, ["galera-2"], 10.0, 20.0) == 6.0
    assert without_writes(told, "writer", hosts, hosts, 10.0, 20.0) == 10.0


def test_a_client_that_never_wrote_was_without_writes_all_the_time() -> None:
    assert (
        without_writes(written(galera_1=[10.0, 19.0]), "writer", ["galera-1"], ["galera-2"], 10, 20) == 10.0
    )


def test_when_no_host_was_spared_all_clients_count_together() -> None:
    told = written(galera_1=[10.0, 11.0], galera_2=[16.0], galera_3=[19.0])
    assert without_writes(told, "writer", ["galera-1", "galera-2", "galera-3"], [], 10.0, 20.0) == 5.0


def test_the_first_write_of_any_client_ends_an_outage() -> None:
    told = written(galera_1=[10.0, 19.0], galera_2=[16.0])
    assert journal.first_after(told, "writer", ["galera-1", "galera-2"], 12.0) == 4.0
    assert journal.first_after(told, "writer", ["galera-1"], 12.0) == 7.0
    assert journal.first_after(told, "writer", ["galera-1"], 19.0) is None
