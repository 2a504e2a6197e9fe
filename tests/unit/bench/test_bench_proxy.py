"""What `bench.proxy` makes of sysbench's reports, and which rounds count."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench import failover, proxy, report, sysbench, ways
from bench.own_lab import BenchFailed
from bench.proxy import WAYS, Bench
from bench.sysbench import Target, Throughput
from bench.ways import DIRECT, Round

pytestmark = pytest.mark.unit

REPORT = """sysbench 1.0.20 (using system LuaJIT 2.1.0-beta3)

Running the test with following options:
Number of threads: 8

Threads started!

SQL statistics:
    queries performed:
        read:                            70112
        write:                           20032
        other:                           10016
        total:                           100160
    transactions:                        5008   (250.31 per sec.)
    queries:                             100160 (5006.11 per sec.)
    ignored errors:                      31     (1.55 per sec.)
    reconnects:                          0      (0.00 per sec.)

General statistics:
    total time:                          20.0062s
    total number of events:              5008
"""
AT = Target("galera", "10.20.0.7", 6446, "app")


def test_committed_transactions_count_and_those_that_were_repeated_are_told() -> None:
    assert sysbench.parse(REPORT) == Throughput(250.31, 1.55)
    assert sysbench.transactions(REPORT) == 5008


@pytest.mark.parametrize(
    "text",
    ["", "FATAL: unable to connect to MySQL server", REPORT.replace("5008   (250.31", "0      (0.00")],
)
def test_a_run_without_transactions_is_no_measurement(text: str) -> None:
    with pytest.raises(BenchFailed, match="sysbench reports no transactions"):
        sysbench.parse(text)
    with pytest.raises(BenchFailed, match="sysbench reports no transactions"):
        sysbench.transactions(text)


def test_connections_that_were_lost_are_counted() -> None:
    assert sysbench.lost(REPORT.replace("reconnects:                          0", "reconnects:      8")) == 8
    with pytest.raises(BenchFailed, match="sysbench reports no connections: it said nothing"):
        sysbench.lost("")
    words = shlex.split(sysbench.timed("oltp_write_only", AT, 8, 20, sysbench.GOES_ON).strip("$()"))
    assert sysbench.GOES_ON in words


def test_the_password_comes_over_standard_input_and_the_rest_on_the_line() -> None:
    words = shlex.split(sysbench.timed("oltp_write_only", AT, 32, 20).replace("$(", "").replace(")", ""))
    assert words[:3] == ["docker", "run", "--rm"]
    assert words[words.index("--network") + 1] == "galera"
    given = words[words.index("bash", words.index("-c")) + 1 :]
    assert (given[0], given[-1]) == ("oltp_write_only", "run")
    assert {"--mysql-host=10.20.0.7", "--mysql-port=6446", "--mysql-user=app", "--mysql-db=app"} <= set(given)
    assert {"--threads=32", "--time=20", "--rand-type=uniform", *sysbench.DATA} <= set(given)
    assert not [word for word in given if "password" in word]


def test_in_the_container_sysbench_runs_in_the_folder_with_the_password_that_was_read(tmp_path: Path) -> None:
    words = shlex.split(sysbench.command("oltp_read_write", AT, "prepare").replace("$(", "").replace(")", ""))
    inside = words[words.index("-c") + 1]
    said = tmp_path / "chroot"
    said.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    said.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", inside, "bash", "oltp_read_write", "prepare"],
        input="se cret\n",
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "/sysbench",
        "/usr/bin/sysbench",
        "--mysql-password=se cret",
        "oltp_read_write",
        "prepare",
    ]


def made(direct: float, writer: float, reader: float, vip: float, tls: float, repeated: float = 0) -> Round:
    committed = dict(zip(WAYS, (direct, writer, reader, vip, tls), strict=True))
    return Round({way: Throughput(each, repeated) for way, each in committed.items()})


def test_a_row_has_the_medians_of_all_rounds_and_what_was_repeated_at_the_virtual_ip() -> None:
    rounds = [
        made(200, 190, 180, 200, 192, 1.0),
        made(100, 95, 90, 100, 97, 2.0),
        made(200, 150, 180, 210, 190, 3.0),
    ]
    rows = proxy.table({("oltp_write_only", 8): rounds})
    assert rows == [["oltp_write_only", "8", "200", "0.95", "0.90", "1.00", "0.96", "2.0"]]
    assert len(rows[0]) == len(proxy.HEADINGS)


OUTPUTS: dict[str, Any] = {
    "network": {"name": "galera"},
    "galera": {"vip": "10.20.0.5", "port": 3306.0, "database": "app"},
    "loadBalancer": {"vip": "10.20.0.7", "writerPort": 6446.0, "readerPort": 6447.0},
    "passwords": {"app": "secret-app"},
}


class Lab:
    """Hosts that answer as the bench's would. writers: the writer at each look."""

    def __init__(self, writers: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[tuple[str, str]] = []
        self.certificates: dict[tuple[str, str], str] = {}
        self.fails: set[int] = set()
        self._writers = list(writers)
        monkeypatch.setattr(failover, "wait_whole", self._writer)
        monkeypatch.setattr(failover, "sql", lambda host, _: f"10.20.0.1{host[-1]}")
        monkeypatch.setattr(proxy, "on_host", self._on_host)
        monkeypatch.setattr(sysbench, "archive", lambda: Path("/dev/null"))

    def _writer(self) -> str:
        return self._writers.pop(0) if len(self._writers) > 1 else self._writers[0]

    def _on_host(self, host: str, command: str, given: bytes = b"") -> str:
        if command == sysbench.unpack():
            assert given == b""
            self.ran.append((host, "unpacked"))
            return ""
        if " cat /run/secrets/" in command:
            return f"{command.rpartition('/')[2]} of {host}"
        if command.startswith("umask 077"):
            self.certificates[host, command.rpartition("/")[2]] = given.decode()
            return ""
        assert given == b"secret-app\n"
        assert "secret-app" not in command
        at = [
            word
            for word in command.split()
            if word.startswith(("--mysql-host=", "--mysql-port=", "--time=", "--mysql-ssl="))
        ]
        self.ran.append((host, " ".join(word.partition("=")[2] for word in at)))
        if len(self.ran) in self.fails:
            raise BenchFailed("lost connection")
        return REPORT


def test_all_ways_are_loaded_from_a_host_that_is_not_the_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(["galera-1"], monkeypatch)
    found = Bench(OUTPUTS, 20).rounds("oltp_read_write", 8, 2)
    direct, writer, reader, vip = "10.20.0.11 3306", "10.20.0.7 6446", "10.20.0.7 6447", "10.20.0.5 3306"
    assert [what for _, what in lab.ran] == [
        "unpacked",
        f"{direct} {ways.WARM}",
        *(f"{direct} 20", f"{writer} 20", f"{reader} 20", f"{vip} 20", f"{direct} 20 on"),
        *(f"{writer} 20", f"{reader} 20", f"{vip} 20", f"{direct} 20 on", f"{direct} 20"),
    ]
    assert {host for host, _ in lab.ran} == {"galera-2"}
    assert lab.certificates["galera-2", "client-key.pem"] == "galera-server.key of galera-1"
    assert {name for _, name in lab.certificates} == set(sysbench.CERTIFICATES)
    assert [each.through[DIRECT] for each in found] == [Throughput(250.31, 1.55)] * 2


def test_a_round_in_which_the_writer_changed_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(["galera-1", "galera-2", "galera-2", "galera-2"], monkeypatch)
    lab.fails = {4}  # its sessions are cut
    found = Bench(OUTPUTS, 20).rounds("oltp_read_write", 8, 1)
    assert len(found) == 1
    assert {host for host, _ in lab.ran[:4]} == {"galera-2"}
    assert {host for host, _ in lab.ran[4:]} == {"galera-1"}


def test_a_failure_that_no_change_of_the_writer_explains_ends_the_bench(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = Lab(["galera-1"], monkeypatch)
    lab.fails = {4}
    with pytest.raises(BenchFailed, match="lost connection"):
        Bench(OUTPUTS, 20).rounds("oltp_read_write", 8, 1)


def test_a_writer_that_never_stays_ends_the_bench_too(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(["galera-1", "galera-2"] * 10, monkeypatch)
    with pytest.raises(BenchFailed, match="the writer does not stay the same"):
        Bench(OUTPUTS, 20).rounds("oltp_read_write", 8, 1)
    assert len([what for _, what in lab.ran if what != "unpacked"]) == 1 + proxy.ATTEMPTS * len(WAYS)


def test_the_document_has_a_place_for_it() -> None:
    document = report.DOCUMENT.read_text(encoding="utf-8")
    assert report.replaced(document, "proxy", "measured").count("\nmeasured\n") == 1


def test_a_package_that_cannot_be_had_is_a_failure_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "apt-get").write_text(
        "#!/bin/sh\necho 'E: Unable to locate package sysbench' >&2; exit 100\n"
    )
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(BenchFailed, match="apt-get, for sysbench: E: Unable to locate"):
        sysbench.archive(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
