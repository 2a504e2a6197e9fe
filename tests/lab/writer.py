"""A client that writes through the writer endpoint all the time, with one retry, and says what came of it.

Owned here: the client, and what must hold of what it wrote. Left to others: what is done to the cluster
meanwhile (test_replace.py, test_rolling.py, test_scale.py, test_upgrade_hosts.py).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.lab.whole_cluster import LAB, checks, in_lab, on_host, sql, wait_for

PORT = 6446
TABLE = "app.written"


@dataclass
class Written:
    """What a client has met, oldest first.

    Attributes:
        acknowledged: numbers that were written; again: those of them that took the retry.
        failed: numbers whose write failed twice.
        pause: the longest time between two that were written, in seconds.
    """

    acknowledged: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    pause: float = 0.0

    @classmethod
    def read(cls, log: str) -> Written:
        """From the client's words: `ok NUMBER SECONDS`, `again …`, `lost …`."""
        found, last = cls(), None
        for line in log.splitlines():
            with suppress(ValueError):
                word, number, at = line.split()
                if word == "lost":
                    found.failed.append(int(number))
                    continue
                found.acknowledged.append(int(number))
                if word == "again":
                    found.again.append(int(number))
                if last is not None:
                    found.pause = max(found.pause, float(at) - last)
                last = float(at)
        return found


class Client:
    """The client on a host; `met` says what it has met so far."""

    def __init__(self, host: str) -> None:
        self.host = host

    def met(self) -> Written:
        """What it has met so far."""
        return Written.read(on_host(self.host, "docker logs written 2>/dev/null", check=False))


@contextmanager
def writing(host: str) -> Iterator[Client]:
    """A container on `host`, which must stay, that writes three times in a second; it has begun before."""
    shown = in_lab("pulumi", "stack", "output", "--json", "--show-secrets", "--stack", LAB).stdout
    password = json.loads(shown)["passwords"]["app"]
    sql(host, f"CREATE TABLE IF NOT EXISTS {TABLE} (n BIGINT PRIMARY KEY)")
    first = int(sql(host, f"SELECT COALESCE(MAX(n), 0) FROM {TABLE}"))
    # Not an error if the first try was written after all, and only its answer got lost.
    ask = (
        f"timeout 10 mariadb -h haproxy -P {PORT} -u app --password=$PASSWORD app "
        f'-e "INSERT IGNORE INTO {TABLE} VALUES ($n)" >/dev/null 2>&1'
    )
    loop = (
        f"n={first}; while sleep 0.3; do n=$((n + 1)); "
        f"if {ask}; then word=ok; elif sleep 1; {ask}; then word=again; else word=lost; fi; "
        'echo "$word $n $(date +%s.%N)"; done'
    )
    image = "$(docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' galera)"
    started = f"docker run -d --name written --network galera -e PASSWORD={password} --entrypoint bash"
    on_host(host, f"{started} {image} -c {shlex.quote(loop)}")
    client = Client(host)
    try:
        wait_for("the first writes", lambda: len(client.met().acknowledged) > 3, 60)
        yield client
    finally:
        on_host(host, "docker rm -f written", check=False)


def verified() -> str:
    """What all checks of `verify` have found, whether or not they hold."""
    return "\n".join(f"{check['where']}: {check['what']}: {check['found']}" for check in checks())


def nothing_is_lost(met: Written, hosts: Sequence[str]) -> None:
    """Every acknowledged write is on every node, once; fails with those that are not."""
    assert len(met.acknowledged) > 20
    for host in hosts:
        there = {int(number) for number in sql(host, f"SELECT n FROM {TABLE}").split()}
        assert sorted(set(met.acknowledged) - there) == [], f"acknowledged, and not on {host}"
