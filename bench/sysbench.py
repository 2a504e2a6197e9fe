"""sysbench in the bench's lab: where it comes from, how it is started, what its words mean.

Owns: Debian's package with all that it needs, as a folder that a container on a host takes for its root; the
command line; the figures in its report. Leaves to others: what is measured against what (proxy.py).

No image of the stack has it, and the hosts' repository neither: a program that loads databases belongs on
none of them.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.own_lab import BenchFailed
from harness.lab_cluster import IMAGE
from lab.toolchain import places

FOLDER = "/root/sysbench"
"""On a host."""
CLOSURE = ("-o", "Dir::State::status=/dev/null", "--yes", "--no-install-recommends", "--download-only")
"""Whatever is installed here, apt fetches the package with everything that it needs, the C library too."""
USELESS = ("./usr/share/doc", "./usr/share/locale", "./usr/share/man", "./usr/lib/x86_64-linux-gnu/gconv")
TABLES, ROWS = 4, 20_000
"""Rows of each table: about 20 MB in all, which every node has in memory."""
DATA = (f"--tables={TABLES}", f"--table-size={ROWS}", "--auto_inc=off")
"""With numbers of its own: a node's leave gaps, and most of the rows that are asked for would be missing."""
CERTIFICATES = {
    "cacert.pem": "galera-ca.crt",
    "client-cert.pem": "galera-server.crt",
    "client-key.pem": "galera-server.key",
}
"""By the names that sysbench looks for: a node's secrets, for it wants a certificate of its own."""
_COMMITTED = re.compile(r"^\s*transactions:\s+(\d+)\s+\(([\d.]+) per sec\.\)", re.MULTILINE)
_REPEATED = re.compile(r"^\s*ignored errors:\s+\d+\s+\(([\d.]+) per sec\.\)", re.MULTILINE)
_LOST = re.compile(r"^\s*reconnects:\s+(\d+)", re.MULTILINE)
GOES_ON = "--mysql-ignore-errors=1213,1020,1205,2006,2011,2013,2055"
"""Option: whoever loses its connection makes another one and goes on, as it does after a deadlock anyway."""


@dataclass(frozen=True)
class Throughput:
    """Each second. committed: transactions. repeated: those that ended in a deadlock and were tried again."""

    committed: float
    repeated: float


@dataclass(frozen=True)
class Target:
    """Where clients connect. network: of the engine's, that they are on. user: and database. tls: over it."""

    network: str
    host: str
    port: int
    user: str
    tls: bool = False


def archive(cache: Path | None = None) -> Path:
    """The folder as a compressed tar, fetched once. Raises BenchFailed."""
    home = cache or places.cache() / "bench"
    made = home / "sysbench.tar.gz"
    if made.is_file():
        return made
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as work:
        packages, tree = Path(work, "packages"), Path(work, "tree")
        (packages / "partial").mkdir(parents=True)
        tree.mkdir()
        _done(["apt-get", *CLOSURE, "-o", f"Dir::Cache::archives={packages}", "install", "sysbench"])
        for package in sorted(packages.glob("*.deb")):
            _done(["dpkg-deb", "--extract", str(package), str(tree)])
        fresh = Path(work, made.name)
        _done(["tar", "-czf", str(fresh), *(f"--exclude={name}" for name in USELESS), "-C", str(tree), "."])
        fresh.replace(made)
    return made


def _done(words: Sequence[str]) -> None:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchFailed(f"{words[0]}, for sysbench: {done.stderr.strip() or done.stdout.strip()}")


def unpack() -> str:
    """Shell text for a host; standard input: the archive."""
    return f"rm -rf {FOLDER} && mkdir -p {FOLDER} && tar -xzf - -C {FOLDER}"


def put(name: str) -> str:
    """Shell text for a host; standard input: one of CERTIFICATES, by sysbench's name for it."""
    return f"umask 077 && cat >{FOLDER}/{name}"


def command(load: str, target: Target, what: str, *options: str) -> str:
    """Shell text for a host: sysbench in a container. Standard input: the password.

    Args:
        load: one of sysbench's own, like `oltp_read_write`.
        what: `prepare`, `run` or `cleanup`.
    """
    inside = 'IFS= read -r word; exec chroot /sysbench /usr/bin/sysbench --mysql-password="$word" "$@"'
    return _in_container(target.network, inside, words(load, target, what, *options))


def words(load: str, target: Target, what: str, *options: str) -> list[str]:
    """What `command` gives sysbench: all but the password."""
    given = [load, "--db-driver=mysql", f"--mysql-host={target.host}", f"--mysql-port={target.port}"]
    given += [f"--mysql-user={target.user}", f"--mysql-db={target.user}", *DATA, *options]
    return [*given, *(["--mysql-ssl=on"] if target.tls else []), what]


def computing(threads: int, seconds: int) -> str:
    """Shell text for a host: nothing but arithmetic, so many seconds, on so many threads."""
    inside = 'exec chroot /sysbench /usr/bin/sysbench "$@"'
    return _in_container("none", inside, ["cpu", f"--threads={threads}", f"--time={seconds}", "run"])


def _in_container(network: str, inside: str, words: Sequence[str]) -> str:
    return (
        f"docker run --rm -i --user 0 --network {shlex.quote(network)} -v {FOLDER}:/sysbench:ro "
        f'--entrypoint bash "{IMAGE}" -c {shlex.quote(inside)} bash {shlex.join(words)}'
    )


def timed(load: str, target: Target, clients: int, seconds: int, *options: str) -> str:
    """As `command`: so many clients, so many seconds, as fast as they can, no row more often than others."""
    return command(load, target, "run", *pace(clients, seconds), *options)


def pace(clients: int, seconds: int) -> tuple[str, ...]:
    """Options of a run: how many, and for how long."""
    return f"--threads={clients}", f"--time={seconds}", "--rand-type=uniform"


def parse(text: str) -> Throughput:
    """What a run reports. Raises BenchFailed for anything else."""
    committed, repeated = _COMMITTED.search(text), _REPEATED.search(text)
    if committed is None or repeated is None or not float(committed[2]):
        raise BenchFailed(f"sysbench reports no transactions: {text.strip()[-400:] or 'it said nothing'}")
    return Throughput(float(committed[2]), float(repeated[1]))


def transactions(text: str) -> int:
    """How many were committed in a run that reports so. Raises BenchFailed for anything else."""
    parse(text)
    found = _COMMITTED.search(text)
    return int(found[1]) if found else 0


def lost(text: str) -> int:
    """How many connections were lost in a run that reports so. Raises BenchFailed for anything else."""
    found = _LOST.search(text)
    if found is None:
        raise BenchFailed(f"sysbench reports no connections: {text.strip()[-400:] or 'it said nothing'}")
    return int(found[1])
