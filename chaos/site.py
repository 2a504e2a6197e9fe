"""A stack in a lab, as faults act on it: every command in the run's log, and an error where one fails.

Owns: commands on hosts, on the lab, on the account, on the stack, with a limit each. Leaves to others: the
lab and its stack (`harness/lab_cluster.py`), what is done with them.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.lab_cluster import HOSTS, IN_CONTAINER, LabCluster, LabFailed, environment, python
from lab.toolchain import places

POLL = 0.5  # seconds between two looks
SHOWN = 1500  # characters of a command's last words in an error


class Site:
    """One lab. Everything that is done in it is written to `log`, with the seconds since the run began.

    store: `etcd` or `consul`; so are its processes called. stays: the lab is somebody else's, who finds it
    again as it was, also when this is interrupted.
    """

    def __init__(self, cluster: LabCluster, log: Path, store: str = "etcd", *, stays: bool = False) -> None:
        self.cluster, self.log, self.store, self.stays = cluster, log, store, stays
        self._begin, self._lock = time.monotonic(), threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._over, self._healing = False, False
        log.parent.mkdir(parents=True, exist_ok=True)

    def note(self, text: str) -> None:
        """A line in the log."""
        with self._lock, self.log.open("a", encoding="utf-8") as file:
            file.write(f"{time.monotonic() - self._begin:8.1f}  {text.rstrip()}\n")

    def abort(self) -> None:
        """What runs on this machine for it is ended; whatever is asked of it from now on fails."""
        self._over = True
        for process in list(self._running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def goes_on(self) -> None:
        """Raises LabFailed once it was interrupted."""
        if self._over and not self._healing:
            raise LabFailed("it was interrupted")

    @contextlib.contextmanager
    def healing(self) -> Iterator[None]:
        """What is done in it is done to a lab that stays even after an interruption."""
        before, self._healing = self._healing, self.stays
        try:
            yield
        finally:
            self._healing = before

    def sh(self, host: str, script: str, limit: float = 120) -> str:
        """What a shell script prints on a host. Raises LabFailed, also after `limit` seconds."""
        self.goes_on()
        self.note(f"on {host}: {script}")
        try:
            said = self.cluster.on_host(host, f"bash -c {shlex.quote(script)}", limit=limit)
        except LabFailed as error:
            self.note(f"failed: {error}")
            raise
        if said.strip():
            self.note(said)
        return said

    def everywhere(self, script: str, hosts: Sequence[str] = HOSTS, limit: float = 120) -> None:
        """The same script on several hosts at once. Raises LabFailed for the first that failed."""
        self.at_once([lambda host=host: self.sh(host, script, limit) for host in hosts])  # type: ignore[misc]

    def at_once(self, acts: Sequence[Callable[[], object]]) -> None:
        """Several things at the same time. Raises LabFailed for the first that failed, once all ended."""
        failed: list[LabFailed] = []

        def act(what: Callable[[], object]) -> None:
            try:
                what()
            except LabFailed as error:
                failed.append(error)
            except Exception as error:  # of a thread nobody would hear
                failed.append(LabFailed(f"{type(error).__name__}: {error}"))

        threads = [threading.Thread(target=act, args=(each,)) for each in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]

    def sql(self, host: str, statements: str, limit: float = 120) -> str:
        """What the host's own node answers to root. Raises LabFailed."""
        return self.sh(host, f"{IN_CONTAINER} mariadb -NB app -e {shlex.quote(statements)}", limit)

    def lab(self, *words: str) -> None:
        """`python -m lab WORDS`. Raises LabFailed."""
        self.run(python("-m", "lab", *words, "--name", self.cluster.lab), 60)

    def run(self, words: Sequence[str], limit: float) -> str:
        """A command here, in a session of its own. Raises LabFailed, also after `limit` seconds."""
        self.note(f"$ {shlex.join(words)}")
        process = self.start(words)
        self._running.add(process)
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.end(process, signal.SIGKILL)
            raise LabFailed(f"no end within {limit:g} s: {shlex.join(words)[-200:]}") from None
        finally:
            self._running.discard(process)
        self.note(said)
        if process.returncode != 0:
            raise LabFailed(f"{shlex.join(words)[-200:]} ended with {process.returncode}: {said[-SHOWN:]}")
        return said

    def start(self, words: Sequence[str], extra: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """A command whose end is not waited for; `extra` is in its environment."""
        self.goes_on()
        return subprocess.Popen(
            words,
            cwd=places.CHECKOUT,
            env=environment(extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def end(self, process: subprocess.Popen[str], how: signal.Signals) -> None:
        """A signal to the command and to all that it has started; waits for its end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        process.communicate()

    def pulumi(self, *words: str) -> None:
        """`pulumi WORDS` on the stack. Raises LabFailed."""
        self.run(self.cluster.in_lab("pulumi", *words, "--stack", self.cluster.lab), 120)

    def up(self, limit: float = 1800) -> None:
        """`operations up` to its end. Raises LabFailed."""
        self.run(self.cluster.operations("up", "--yes"), limit)

    def power(self, hosts: Sequence[str], *how: str) -> None:
        """The same for several hosts at once, as persons with `slcli` do it. Raises LabFailed."""
        self.note(f"slcli vs {' '.join(how)}: {', '.join(hosts)}")
        self.at_once([lambda host=host: self.cluster.power(host, *how) for host in hosts])  # type: ignore[misc]

    def off(self, hosts: Sequence[str], how: str) -> None:
        """Hosts are switched off, `--hard` or `--soft`, and are off. Raises LabFailed."""
        self.power(hosts, "power-off", how)
        self.until(f"the end of {', '.join(hosts)}", lambda: self._halted(hosts), 300)

    def on(self, hosts: Sequence[str]) -> None:
        """Hosts are switched on, and answer. Raises LabFailed."""
        self.power(hosts, "power-on")
        for host in hosts:
            self.until(f"an answer of {host}", lambda host=host: self.answers(host), 300)  # type: ignore[misc]

    def answers(self, host: str) -> bool:
        """Whether one can log in."""
        try:
            self.cluster.on_host(host, "true", limit=20)
        except LabFailed:
            return False
        return True

    def _halted(self, hosts: Sequence[str]) -> bool:
        words = ("slcli", "--format", "json", "vs", "list", "--columns", "hostname,power_state")
        # Not by `run`, which has what is said on standard error, too: slcli warns there of its own options.
        found = self.cluster.ask("slcli vs list", self.cluster.in_lab(*words))
        states = {guest["hostname"]: str(guest["power_state"]).upper() for guest in found}
        return all(states.get(host) == "HALTED" for host in hosts)

    def until(self, what: str, holds: Callable[[], bool], limit: float) -> None:
        """Waits until it holds. Raises LabFailed with the name of what was waited for."""
        self.note(f"waits for {what}")
        end = time.monotonic() + limit
        while not holds():
            self.goes_on()
            if time.monotonic() > end:
                raise LabFailed(f"{what}: not within {limit:.0f} s")
            time.sleep(POLL)

    def leader(self) -> str:
        """The host of the swarm's leader. Raises LabFailed."""
        told = self.sh(HOSTS[0], "docker node ls --format '{{.Hostname}} {{.ManagerStatus}}'")
        for line in told.splitlines():
            name, _, status = line.partition(" ")
            if status.strip() == "Leader":
                return name
        raise LabFailed(f"the swarm has no leader: {told}")

    @contextlib.contextmanager
    def without_node(self, host: str) -> Iterator[None]:
        """The host's node of the database is stopped as an operator does it, and starts again at the end."""
        label = "docker node update --label-add galera={} " + host
        self.by_any_other(host, label.format("false"))
        try:
            gone = "test -z \"$(docker ps -q --filter name='galera\\.')\""
            self.until(f"no node on {host}", lambda: self.holds(host, gone), 180)
            yield
        finally:
            self.by_any_other(host, label.format("true"))

    def by_any_other(self, host: str, script: str) -> None:
        """The script on the first other host on which it succeeds. Raises LabFailed."""
        first, second = (each for each in HOSTS if each != host)
        try:
            self.sh(first, script, 60)
        except LabFailed:
            self.sh(second, script, 60)

    def holds(self, host: str, test: str) -> bool:
        """Whether a shell test succeeds on a host."""
        try:
            self.sh(host, test, 30)
        except LabFailed:
            return False
        return True
