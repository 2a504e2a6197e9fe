"""How long a client of the writer endpoint is without writes when the writer goes.

`python -m bench.failover`: a stack with a load balancer, in a lab of its own. On a host that is not the
writer's two clients at once write rows one after another, and connect again when they are cut: one through
its host's writer port, one through the virtual IP, where it begins on the writer, too. Meanwhile the writer's
host dies, its mariadbd is killed, or it is told to stop. Told: the longest pause between two acknowledged
writes. Every row that was acknowledged must be there afterwards. At the end hosts die once more with Galera's
own timeouts, which count only there: whoever stops or is killed closes its connections.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench import report
from bench.own_lab import (
    BALANCER,
    CLUSTER,
    GALERA_SECTION,
    OWN_SETTINGS,
    BenchFailed,
    console,
    ended,
    operations,
    outputs,
    own_lab,
    run,
    tell,
)
from harness.lab_cluster import HOSTS, IMAGE, in_image
from settings.database.provider_options import DEFAULTS, OF_THE_IMAGE

CLIENT = Path(__file__).with_name("failover_client.py")
CALM = 3.0  # seconds of writes before something happens
LONG = 12.0
"""Seconds that the clients write after it has happened."""
LONGER = 35.0
"""Likewise when a host dies: through the virtual IP a dead host may be met twice."""
DIES = "its host dies"
GOALS = {DIES: 4.0, "its mariadbd is killed": 3.0, "it is stopped in order": 1.0}
"""Seconds without writes through the writer endpoint, as a median, by what happens to the writer."""
ENDPOINT, VIP = "writer endpoint", "virtual IP"
HEADINGS = ("the writer", "timeouts", "through", "median (s)", "longest (s)", "runs", "goal (s)")
OURS, GALERAS = "ours", "Galera's"
SHORTER = (*OF_THE_IMAGE, "evs.suspect_timeout")
PROVIDER = "    provider:\n" + "".join(f"      {name}: {DEFAULTS[name]}\n" for name in SHORTER)
"""Galera's defaults of what the nodes' image has shorter."""
TABLE = "CREATE TABLE failover (id BIGINT AUTO_INCREMENT PRIMARY KEY, way VARCHAR(20))"
"""Where the clients write."""

Pauses = dict[tuple[str, str, str], list[float]]
"""Seconds by what happened, whose timeouts and the way that the client took."""


on_host, sql, status, power = CLUSTER.on_host, CLUSTER.sql, CLUSTER.status, CLUSTER.power
wait_whole = CLUSTER.wait_whole


HAPPENS: Mapping[str, Callable[[str], object]] = {
    DIES: lambda host: power(host, "power-off", "--hard"),
    "its mariadbd is killed": lambda host: on_host(host, "pkill -9 -x mariadbd"),
    "it is stopped in order": lambda host: on_host(
        host, 'docker stop "$(docker ps -q --filter name=galera)"'
    ),
}


@dataclass(frozen=True)
class Way:
    """How a client comes to the database.

    Attributes:
        name: as in the table of rows and in the document. network: of its container.
        host, port: where it connects.
    """

    name: str
    network: str
    host: str
    port: int

    @property
    def container(self) -> str:
        """Its name, without that of the database's service, by which the nodes' containers are found."""
        return f"failover-{self.port}"

    def command(self, password: str, node: str) -> str:
        """What starts the client on a host; it begins on `node`, and writes until its container stops."""
        known = {"USER": "app", "DATABASE": "app", "PASSWORD": password, "WAY": self.name, "NODE": node}
        env = " ".join(f"-e {name}={shlex.quote(value)}" for name, value in known.items())
        return (
            f"docker run --rm --name {self.container} --network {self.network} {env} --entrypoint python3 "
            f"{IMAGE} {in_image(CLIENT)} {self.host} {self.port}"
        )


def ways(network: str) -> tuple[Way, ...]:
    """Both, on a stack whose overlay network is `network`."""
    return Way(ENDPOINT, "host", "127.0.0.1", 6446), Way(VIP, network, "galera", 3306)


def rows(host: str) -> dict[str, int]:
    """How many are there, by the way on which they came; raises BenchFailed.

    A node that has come back with its host may be started once more by the swarm: it is asked for a while.
    """
    end = time.monotonic() + 60
    while True:
        try:
            told = sql(host, "SELECT COUNT(*), way FROM failover GROUP BY way")
            break
        except BenchFailed:
            if time.monotonic() > end:
                raise
            time.sleep(2)
    return {way: int(count) for count, way in (line.split("\t") for line in told.splitlines())}


def write_meanwhile(
    host: str,
    clients: Mapping[Way, str],
    happens: Callable[[], object],
    before: Mapping[str, int],
    seconds: float,
) -> dict[str, dict[str, Any]]:
    """What each client on `host` tells: of some calm, of what `happens` then, and of so many seconds more."""
    told: dict[str, dict[str, Any]] = {}

    def write(name: str, command: str) -> None:
        told[name] = json.loads(on_host(host, command))

    writers = [threading.Thread(target=write, args=(way.name, said)) for way, said in clients.items()]
    for writer in writers:
        writer.start()
    end = time.monotonic() + 60
    while any(rows(host).get(way.name, 0) < before.get(way.name, 0) + 50 for way in clients):
        if time.monotonic() > end or not all(writer.is_alive() for writer in writers):
            raise BenchFailed(f"the clients on {host} do not write")
        time.sleep(0.5)
    time.sleep(CALM)
    happens()
    time.sleep(seconds)
    stop_clients(host, clients)
    for writer in writers:
        writer.join()
    if told.keys() != {way.name for way in clients}:
        raise BenchFailed(f"a client on {host} told nothing")
    return told


def stop_clients(host: str, clients: Iterable[Way]) -> None:
    """An answer that one of them awaits takes ten seconds at the most."""
    on_host(host, f"docker stop --time 30 {' '.join(way.container for way in clients)}")


def measure(case: str, timeouts: str, runs: int, password: str, network: str, pauses: Pauses) -> None:
    """Adds the longest pause of each run and way to `pauses`. Raises BenchFailed."""
    for number in range(1, runs + 1):
        writer = wait_whole()
        host = next(name for name in HOSTS if name != writer)
        before = rows(host)
        seconds = LONGER if case == DIES else LONG
        clients = {way: way.command(password, writer) for way in ways(network)}
        told = write_meanwhile(host, clients, lambda writer=writer: HAPPENS[case](writer), before, seconds)  # type: ignore[misc]
        there = rows(host)
        for name, said in told.items():
            # Through the virtual IP the last connection may just try the dead host: that pause counts, too.
            if not said["writes_at_the_end"] and name == ENDPOINT:
                raise BenchFailed(f"{case}: no writes again through the {name}: {said['errors']}")
            kept = there[name] - before.get(name, 0)
            if kept < said["commits"]:
                raise BenchFailed(
                    f"{case}: {said['commits']} writes through the {name} were acknowledged, {kept} are there"
                )
            pauses.setdefault((case, timeouts, name), []).append(said["pause"])
        words = ", ".join(f"{name} {said['pause']:.2f} s" for name, said in told.items())
        errors = [error for said in told.values() for error in said["errors"]]
        console.print(f"{case}, {number} of {runs}: {words} ({writer}; {errors})", markup=False)
        if case == DIES:
            power(writer, "power-on")


def table(pauses: Mapping[tuple[str, str, str], Sequence[float]]) -> list[list[str]]:
    """Rows for people; goals are of the writer endpoint with our timeouts."""
    return [
        [
            *(case, timeouts, way, f"{median(taken):.1f}", f"{max(taken):.1f}", f"{len(taken)}"),
            f"{GOALS[case]:.0f}" if (timeouts, way) == (OURS, ENDPOINT) else "",
        ]
        for (case, timeouts, way), taken in pauses.items()
    ]


def measured(runs: int) -> Pauses:
    """All cases, in a lab of its own. Raises BenchFailed."""
    pauses: Pauses = {}
    with own_lab(sections=BALANCER):
        run("pulumi up", operations("up", "--yes"))
        shown = outputs()
        known = shown["passwords"]["app"], shown["network"]["name"]
        sql(wait_whole(), TABLE)
        for case in GOALS:
            measure(case, OURS, runs, *known, pauses)
        wait_whole()
        settings = OWN_SETTINGS.read_text(encoding="utf-8")
        OWN_SETTINGS.write_text(settings.replace(GALERA_SECTION, GALERA_SECTION + PROVIDER), encoding="utf-8")
        run("pulumi up with Galera's own timeouts", operations("up", "--yes"))
        measure(DIES, GALERAS, runs, *known, pauses)
    return pauses


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, writes the document; the exit code is 0 unless something failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.failover", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="of each case")
    parser.add_argument("--no-document", action="store_true", help="leave docs/reference/benchmarks.md alone")
    options = parser.parse_args(arguments)
    facts = report.machine()

    def work() -> None:
        found = table(measured(options.runs))
        tell("failover", (HEADINGS, found), facts, document=not options.no_document)

    return ended("bench.failover", work)


if __name__ == "__main__":
    sys.exit(main())
