"""Full copies by the image's own method and by Debian's `wsrep_sst_mariabackup`: how long a joiner waits.

`python -m bench.sst`: two mariadbd of the galera image as real processes in network namespaces, without an
engine, hosts or the node's program. The donor is filled with rows as sysbench has them; a joiner without data
takes a full copy by either method in turn, again and again, without and with TLS. One turn of both is a
round, each begins with the other method, and a ratio is of one round: so what changes on the machine
meanwhile favours neither. On this machine's own kernel a program starts in a millisecond; how many each
method starts is told, for hosts on which that takes longer.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench import report
from bench.own_lab import INTERRUPTED, BenchFailed, console
from components import certificates
from components.database_tls import NAMES
from harness import database_pair
from harness.database_pair import OWN, CopyFailed, Pair, Watched, ask
from harness.image_roots import image_root, root_of
from images.galera.galera_node import tls
from lab import images, paths
from lab.toolchain.errors import ToolchainError

STOCK = "mariabackup"
METHODS = (OWN, STOCK)
LIMIT = 1.5
"""Of the own one's seconds, up to which the stock method would do: docs/adr/0027-own-state-transfer.md."""
SIZES = (0, 1024, 4096)  # MiB of rows
TABLE = 1_000_000  # rows of a table at most
ROW = 236  # bytes of such a row on disk, its index with it: measured
FILL = """SET SESSION wsrep_on = OFF, unique_checks = 0, foreign_key_checks = 0;
CREATE TABLE {table} (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL DEFAULT 0,
 c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '', KEY k (k));
INSERT INTO {table} SELECT seq, FLOOR(RAND() * {rows}),
 CONCAT(SHA2(RAND(), 256), LEFT(SHA2(RAND(), 224), 56)), LEFT(SHA2(RAND(), 256), 60) FROM seq_1_to_{rows};
"""
"""As sysbench's tables are, of random words. Not replicated: nobody is there yet."""
NOT_SENT = ("galera.cache", "ib_logfile0", "ibtmp1")
HEADINGS = (
    "data",
    "own (s)",
    "stock (s)",
    "ratio",
    "own (MB/s)",
    "stock (MB/s)",
    "until Synced: own",
    "stock (s)",
    "programs and threads begun: own",
    "stock",
)


@dataclass(frozen=True)
class Copy:
    """One full copy. begun: processes and threads that it started, those of the joiner's server with them."""

    took: Watched
    begun: int


@dataclass(frozen=True)
class Case:
    """What was copied: so many MB of data, with TLS or without; `rounds` by method."""

    megabytes: float
    tls: bool
    rounds: Sequence[Mapping[str, Copy]]

    @property
    def ratio(self) -> float:
        """The stock method's seconds for one of the own one's, the median of all rounds."""
        return median(each[STOCK].took.method / each[OWN].took.method for each in self.rounds)

    @property
    def name(self) -> str:
        return f"{self.megabytes:.0f} MB{', TLS' if self.tls else ''}"

    def of(self, method: str) -> tuple[float, float, float]:
        """Medians: seconds of the method, seconds until Synced, programs begun."""
        copies = [each[method] for each in self.rounds]
        return (
            median(copy.took.method for copy in copies),
            median(copy.took.synced for copy in copies),
            median(copy.begun for copy in copies),
        )


def root(suite: str) -> Path:
    """The galera image's root with what the stock method needs, made once for each content of both."""
    base = image_root("galera", suite)
    more = root_of(images.read(Path(__file__).with_name("stock_sst"), suite))
    made = paths.cache("bench") / f"{base.name}+{more.name}"
    if made.is_dir():
        return made
    for old in made.parent.glob("galera-*+stock_sst-*"):
        shutil.rmtree(old)
    fresh = made.with_name(".sst.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _done(["cp", "-a", str(base), str(fresh)])
    # What the image has stays: it is what runs.
    _done(["sh", "-c", 'tar -C "$1" -c usr | tar -C "$2" -x --skip-old-files', "sh", str(more), str(fresh)])
    return fresh.rename(made)


def _done(words: Sequence[str]) -> None:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchFailed(f"{words[0]}: {done.stderr.strip()}")


def certificate() -> tls.Files:
    """As the stack makes them for its nodes."""
    now = datetime.now(UTC)
    authority = certificates.new_authority("galera", now)
    signed = certificates.peer_certificate("galera", list(NAMES), authority, now)
    return tls.Files((authority.certificate,), signed.certificate, signed.private_key)


def fill(pair: Pair, mebibytes: int) -> None:
    """The tables, on the donor. Raises BenchFailed."""
    left, number = mebibytes * (1 << 20) // ROW, 0
    try:
        ask(pair.donor, "CREATE DATABASE sbtest")
        while left > 0:
            number, rows = number + 1, min(left, TABLE)
            console.print(f"filling: {left * ROW >> 20} MiB left")
            ask(pair.donor, f"USE sbtest; {FILL.format(table=f'sbtest{number}', rows=rows)}")
            left -= rows
    except OSError as error:
        raise BenchFailed(f"the donor can't be filled: {error}") from error


def size(data: Path) -> int:
    """Bytes of what a full copy holds."""
    return sum(
        path.stat().st_size for path in data.rglob("*") if path.is_file() and path.name not in NOT_SENT
    )


def in_file(method: str, encrypted: bool) -> str:
    """What the option file of both nodes has for a method. The own one's TLS is the server's."""
    options = {"ssl-mode": "VERIFY_CA"} if method == STOCK and encrypted else {}
    return database_pair.method(method, options)


def turned(number: int) -> tuple[str, ...]:
    """Both methods, the other one first each time."""
    return METHODS if number % 2 == 0 else METHODS[::-1]


def one(pair: Pair, method: str, files: tls.Files | None) -> Copy:
    """One copy, and that it is one. Raises BenchFailed."""
    more = in_file(method, files is not None)
    pair.configure(pair.donor, files, more)  # the stock method's program reads it when it starts
    before = database_pair.begun(pair.donor)
    try:
        took = pair.copy(files, more)
        programs = database_pair.begun(pair.donor) - before + database_pair.begun(pair.joiner)
        question = "SELECT COUNT(*), SUM(k) FROM sbtest.sbtest1"
        if ask(pair.donor, "SHOW TABLES FROM sbtest") and ask(pair.donor, question) != ask(
            pair.joiner, question
        ):
            raise BenchFailed(f"what {method} has copied is not what the donor has")
    except (CopyFailed, OSError) as error:
        raise BenchFailed(f"{method}: {error}") from error
    return Copy(took, programs)


def cases(pair: Pair, sizes: Sequence[int], runs: int) -> Iterator[Case]:
    """All that is measured, by size, without and with TLS. Raises BenchFailed."""
    files = certificate()
    for mebibytes in sizes:
        pair.donor.kill()
        pair.donor.lose_volume()
        pair.seed()
        pair.start_donor()
        fill(pair, mebibytes)
        for encrypted in (False, True):
            pair.start_donor(files if encrypted else None)
            rounds: list[dict[str, Copy]] = []
            for number in range(runs):
                each = {method: one(pair, method, files if encrypted else None) for method in turned(number)}
                rounds.append({method: each[method] for method in METHODS})
                told = ", ".join(f"{method} {each[method].took.method:.1f} s" for method in METHODS)
                console.print(f"{mebibytes} MiB, TLS {encrypted}, {number + 1} of {runs}: {told}")
            yield Case(size(pair.donor.volume) / 1e6, encrypted, rounds)


def table(measured: Sequence[Case]) -> list[list[str]]:
    """Rows for people."""
    rows = []
    for case in measured:
        own, stock = case.of(OWN), case.of(STOCK)
        rows.append(
            [
                case.name,
                *(f"{each:.1f}" for each in (own[0], stock[0])),
                f"{case.ratio:.2f}",
                *(f"{case.megabytes / each:.0f}" for each in (own[0], stock[0])),
                *(f"{each:.1f}" for each in (own[1], stock[1])),
                *(f"{each:.0f}" for each in (own[2], stock[2])),
            ]
        )
    return rows


def verdict(measured: Sequence[Case]) -> str:
    """Where the stock method is near enough."""
    near = [case.name for case in measured if case.ratio <= LIMIT]
    far = [f"{case.name} ({case.ratio:.2f})" for case in measured if case.ratio > LIMIT]
    return (
        f"The stock method takes at most {LIMIT} times as long with: {', '.join(near) or 'none'}. "
        f"Longer with: {', '.join(far) or 'none'}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, writes the document; the exit code is 0 unless something failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.sst", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="rounds of each size, without and with TLS")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="MiB of rows; 0: a new cluster")
    parser.add_argument("--debian", choices=images.SUITES, default=images.SUITES[0], help="of the image")
    parser.add_argument("--no-document", action="store_true", help="leave docs/reference/benchmarks.md alone")
    options = parser.parse_args(arguments)
    if options.runs < 1 or min(options.sizes) < 0:
        parser.error("--runs must be >= 1 and --sizes >= 0")
    facts = report.machine()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # by way of the pair's end
    try:
        with Pair(root(options.debian)) as pair:
            measured = list(cases(pair, options.sizes, options.runs))
        rows, told = table(measured), verdict(measured)
        console.print(report.shown(HEADINGS, rows))
        console.print(told)
        if not options.no_document:
            how = f"{facts}; Debian's {options.debian}; medians of {options.runs} rounds"
            report.write("sst", f"{how}.\n\n{report.markdown(HEADINGS, rows)}\n\n{told}")
    except (BenchFailed, report.ReportError, ToolchainError) as error:
        console.print(f"Error: {error}", markup=False)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
