"""The clients on the cluster's hosts: two containers on each, started again whenever they end.

Owns: which ways are written through, the containers, the words that reach this machine. Leaves to others:
what a client does (`client.py`), the record (`journal.py`).

One container is in its host's own network, as an application beside the load balancer is, and writes through
its host's writer port; the other is on the overlay network, and writes through the virtual IP and to its
host's own node. What they say comes by the lab's console, so a cut does not keep it from the record. When a
host or its engine goes down, so do its clients; what they had not said by then counts as not acknowledged.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.journal import Journal
from chaos.site import Site
from harness.lab_cluster import HOSTS, IMAGE, LabFailed, in_image
from lab.toolchain import places

CLIENT = Path(__file__).with_name("client.py")
WRITER, ACCOUNT, VIP, NODE = "writer", "account", "vip", "node"
WAYS = {WRITER: "writer endpoint", VIP: "virtual IP", NODE: "the host's own node"}
"""The ways that rows are written on, and what people call them; accounts go through the writer endpoint."""
ENOUGH = 5
"""Writes that each client must have got through before anything happens."""
CONTAINERS = ("chaos-host", "chaos-overlay")
GONE = f"""docker rm -f {" ".join(CONTAINERS)} >/dev/null 2>&1
left=$(docker ps -q --filter name=chaos-) || exit 1
test -z "$left" """
"""Fails where one is left, or where nobody can tell."""
AGAIN = 2.0  # seconds before a client is started again
GRACE = 30  # seconds that an answer may be waited for at the end


@dataclass(frozen=True)
class Stack:
    """What the clients need to know of the stack."""

    password: str
    network: str
    port: int
    image: str

    @classmethod
    def of(cls, site: Site) -> Stack:
        """By its outputs. Raises LabFailed."""
        shown = site.cluster.outputs()
        if "loadBalancer" not in shown:
            raise LabFailed(
                f"stack {site.cluster.lab} has no load balancer, through which clients write. Remedy: the "
                "section loadBalancer in its settings, then `up`"
            )
        image = site.sh(HOSTS[0], f'echo "{IMAGE}"').strip()
        port = int(shown["loadBalancer"]["writerPort"])
        return cls(shown["passwords"]["app"], shown["network"]["name"], port, image)


def ways(host: str, port: int) -> dict[str, list[dict[str, Any]]]:
    """By container: what its client is to do, on that host."""
    endpoint = {"host": "127.0.0.1", "port": port, "node": None}
    overlay = {"port": 3306, "kind": "row", "apart": 0.25}
    return {
        CONTAINERS[0]: [
            {"name": f"{WRITER}@{host}", "kind": "row", "apart": 0.1, **endpoint},
            {"name": f"{ACCOUNT}@{host}", "kind": "account", "apart": 0.3, **endpoint},
        ],
        CONTAINERS[1]: [
            {"name": f"{VIP}@{host}", "host": "galera", "node": None, **overlay},
            {"name": f"{NODE}@{host}", "host": "tasks.galera", "node": host, **overlay},
        ],
    }


def command(container: str, stack: Stack) -> str:
    """What starts a client on a host. Its words go nowhere else: the disk with the logs may be the one that
    stands still.
    """
    network = "host" if container == CONTAINERS[0] else stack.network
    return (
        f"docker rm -f {container} >/dev/null 2>&1; exec docker run -i --rm --name {container} "
        f"--network {shlex.quote(network)} --log-driver none --entrypoint python3 {shlex.quote(stack.image)} "
        f"{in_image(CLIENT)}"
    )


class Clients:
    """All of them, from `start` to `stop`."""

    def __init__(self, site: Site, journal: Journal, stack: Stack) -> None:
        self._site, self._journal, self._stack = site, journal, stack
        self._over = threading.Event()
        self._running: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self._threads = [
            threading.Thread(target=self._keep, args=(host, container, doing), daemon=True)
            for host in HOSTS
            for container, doing in ways(host, stack.port).items()
        ]

    def start(self, limit: float = 180) -> None:
        """Until each of them writes. Raises LabFailed."""
        for thread in self._threads:
            thread.start()
        names = [way["name"] for host in HOSTS for doing in self._all(host) for way in doing]
        end = time.monotonic() + limit
        while missing := [name for name in names if len(self._journal.said.times.get(name, ())) < ENOUGH]:
            self._site.goes_on()
            if time.monotonic() > end:
                told = {name: self._journal.said.errors.get(name, [])[-1:] for name in missing}
                raise LabFailed(f"clients do not write: {told}, {self._journal.odd[-3:]}")
            time.sleep(0.5)

    def wait_for(self, name: str, since: float, limit: float) -> bool:
        """Whether that way's clients on all hosts write again after `since`, within so many seconds.

        Raises LabFailed once it was interrupted.
        """
        end = time.monotonic() + limit
        while not all((self._journal.last(f"{name}@{host}") or 0.0) > since for host in HOSTS):
            self._site.goes_on()
            if time.monotonic() > end:
                return False
            time.sleep(0.5)
        return True

    def stop(self) -> None:
        """They write their last, and are gone.

        Raises LabFailed if one may still write: then nodes cannot be compared.
        """
        self._over.set()
        stop = f"timeout {GRACE + 15} docker stop --time {GRACE} {' '.join(CONTAINERS)}"
        with contextlib.suppress(LabFailed):  # one that is gone has been stopped
            self._site.everywhere(f"{stop} 2>/dev/null || true", limit=GRACE + 60)
        for thread in self._threads:
            thread.join(AGAIN + 5)
        for process in list(self._running.values()):
            if process.poll() is None:
                process.kill()
        for thread in self._threads:
            thread.join()
        self._site.everywhere(GONE, limit=90)  # one may have been about to start

    def _all(self, host: str) -> Sequence[list[dict[str, Any]]]:
        return list(ways(host, self._stack.port).values())

    def _keep(self, host: str, container: str, doing: list[dict[str, Any]]) -> None:
        """One container, again and again; each of its lives has a number of its own."""
        life = 0
        while not self._over.is_set():
            life += 1
            known = {
                "life": life,
                "user": "app",
                "database": "app",
                "password": self._stack.password,
                "ways": doing,
            }
            words = self._site.cluster.ssh(host, command(container, self._stack))
            process = subprocess.Popen(
                words,
                cwd=places.CHECKOUT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            self._running[host, container] = process
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(OSError):
                process.stdin.write(json.dumps(known).encode() + b"\n")
                process.stdin.close()
            with process.stdout as lines:
                for line in lines:
                    self._journal.take(line.decode(errors="replace"))
            process.wait()
            self._over.wait(AGAIN)
