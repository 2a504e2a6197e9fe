"""How long a client of the writer endpoint is without writes when the writer goes.

`python -m bench.failover`: a stack with a load balancer, in a lab of its own. A client on a host that is not
the writer's writes rows one after another through its own host's port, and connects again when it is cut;
meanwhile the writer's host dies, its mariadbd is killed, or it is told to stop. Told: the longest pause
between two acknowledged writes. Every row that was acknowledged must be there afterwards.
"""

from __future__ import annotations

import argparse
import base64
import json
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from bench import report
from bench.own_lab import (
    LAB,
    OWN_SETTINGS,
    BenchFailed,
    ask,
    console,
    ended,
    in_lab,
    operations,
    own_lab,
    python,
    run,
)

HOSTS = ("galera-1", "galera-2", "galera-3")
CLIENT = Path(__file__).with_name("failover_client.py")
BALANCER = """  swarm-galera:loadBalancer:
    image: registry.lab:5000/swarm-galera/haproxy:{tag}
"""
TAG = Path(__file__).parents[1] / "images" / "haproxy" / "TAG"
PYMYSQL = "/usr/local/lib/galera-node"
"""Where the image of the nodes has the client's library."""
CALM = 5.0  # seconds of writes before something happens
LONG = 30.0  # seconds that the client writes
GOALS = {"its host dies": 4.0, "its mariadbd is killed": 3.0, "it is stopped in order": 1.0}
"""Seconds without writes, as a median, by what happens to the writer."""
HEADINGS = ("the writer", "median (s)", "longest (s)", "runs", "goal (s)")
IN_CONTAINER = 'docker exec -i "$(docker ps -q --filter name=galera)" '


def on_host(host: str, command: str) -> str:
    """What a shell command prints on a host. Raises BenchFailed."""
    words = python("-m", "lab", "ssh", "--name", LAB, host, command)
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchFailed(f"on {host}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def sql(host: str, statement: str) -> str:
    """What the host's own node answers. Raises BenchFailed."""
    return on_host(host, f"{IN_CONTAINER} mariadb -NB app -e {shlex.quote(statement)}").strip()


def guests() -> dict[str, str]:
    """The ids of the hosts."""
    listed = ask("slcli", in_lab("slcli", "--format", "json", "vs", "list", "--columns", "id,hostname"))
    return {guest["hostname"]: str(guest["id"]) for guest in listed}


def power(host: str, *how: str) -> None:
    """As a person with `slcli` does it. Raises BenchFailed."""
    words = in_lab("slcli", "-y", "vs", *how, guests()[host])
    if subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode != 0:
        raise BenchFailed(f"{' '.join(how)} of {host}")


HAPPENS: Mapping[str, Callable[[str], object]] = {
    "its host dies": lambda host: power(host, "power-off", "--hard"),
    "its mariadbd is killed": lambda host: on_host(host, "pkill -9 -x mariadbd"),
    "it is stopped in order": lambda host: on_host(
        host, 'docker stop "$(docker ps -q --filter name=galera)"'
    ),
}


def wait_whole(limit: float = 900) -> str:
    """Waits until all nodes are Synced and the store names one of them as the writer; that one's host."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            told = json.loads(on_host(HOSTS[0], f"{IN_CONTAINER} galera-node status --json"))
            states = {name: each["state"] for name, each in told["members"].items()}
            if all(states.get(host) == "synced" for host in HOSTS) and told["writer"] in HOSTS:
                return str(told["writer"])
        except (BenchFailed, ValueError, KeyError):
            pass
        time.sleep(2)
    raise BenchFailed(f"not all of {', '.join(HOSTS)} are Synced within {limit:.0f} s")


def write_meanwhile(host: str, password: str, happens: Callable[[], object], rows: int) -> dict[str, Any]:
    """What the client on `host` tells of the time in which `happens`, after some calm."""
    text = base64.b64encode(CLIENT.read_bytes()).decode()
    start = f"import base64, sys; sys.path.append({PYMYSQL!r}); exec(base64.b64decode({text!r}))"
    image = "$(docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' galera)"
    command = (
        f"docker run --rm --network host -e USER=app -e DATABASE=app -e PASSWORD={shlex.quote(password)} "
        f"--entrypoint python3 {image} -c {shlex.quote(start)} {LONG} 6446"
    )
    told: list[dict[str, Any]] = []
    writer = threading.Thread(target=lambda: told.append(json.loads(on_host(host, command))))
    writer.start()
    end = time.monotonic() + 60
    while int(sql(host, "SELECT COUNT(*) FROM failover")) < rows + 50:
        if time.monotonic() > end or not writer.is_alive():
            raise BenchFailed(f"the client on {host} does not write")
        time.sleep(0.5)
    time.sleep(CALM)
    happens()
    writer.join()
    if not told:
        raise BenchFailed(f"the client on {host} told nothing")
    return told[0]


def measure(case: str, runs: int, password: str) -> list[float]:
    """The longest pause of each run."""
    pauses = []
    for number in range(1, runs + 1):
        writer = wait_whole()
        host = next(name for name in HOSTS if name != writer)
        rows = int(sql(host, "SELECT COUNT(*) FROM failover"))
        told = write_meanwhile(host, password, lambda writer=writer: HAPPENS[case](writer), rows)  # type: ignore[misc]
        if not told["writes_at_the_end"]:
            raise BenchFailed(
                f"{case}: the client does not write again within {LONG:.0f} s: {told['errors']}"
            )
        there = int(sql(host, "SELECT COUNT(*) FROM failover")) - rows
        if there < told["commits"]:
            raise BenchFailed(f"{case}: {told['commits']} writes were acknowledged, {there} are there")
        console.print(f"{case}, {number} of {runs}: {told['pause']:.2f} s ({writer}; {told['errors']})")
        pauses.append(told["pause"])
        if case == "its host dies":
            power(writer, "power-on")
    return pauses


def table(pauses: Mapping[str, Sequence[float]]) -> list[list[str]]:
    """Rows for people, by what happened."""
    return [
        [case, f"{median(taken):.1f}", f"{max(taken):.1f}", f"{len(taken)}", f"{GOALS[case]:.0f}"]
        for case, taken in pauses.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, writes the document; the exit code is 0 unless something failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.failover", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="of each case")
    parser.add_argument("--no-document", action="store_true", help="leave docs/reference/benchmarks.md alone")
    options = parser.parse_args(arguments)
    facts = report.machine()

    def work() -> None:
        with own_lab():
            balancer = BALANCER.format(tag=TAG.read_text(encoding="utf-8").strip())
            settings, before = OWN_SETTINGS.read_text(encoding="utf-8"), "  swarm-galera:galera:\n"
            OWN_SETTINGS.write_text(settings.replace(before, balancer + before), encoding="utf-8")
            run("pulumi up", operations("up", "--yes"))
            shown = ask(
                "outputs", in_lab("pulumi", "stack", "output", "--json", "--show-secrets", "--stack", LAB)
            )
            sql(wait_whole(), "CREATE TABLE failover (id BIGINT AUTO_INCREMENT PRIMARY KEY)")
            pauses = {case: measure(case, options.runs, shown["passwords"]["app"]) for case in GOALS}
        rows = table(pauses)
        made = Table(*HEADINGS)
        for row in rows:
            made.add_row(*row)
        console.print(made)
        if not options.no_document:
            report.write("failover", f"{facts}.\n\n{report.markdown(HEADINGS, rows)}")

    return ended("bench.failover", work)


if __name__ == "__main__":
    sys.exit(main())
