"""The agent's life, as the first process of the container sees it.

Owns: starting the agent, what is told to the health check, the leader's duties (rights, abandoned votes), the
entry of a host whose data was lost, and an orderly end. Leaves to others: the configuration (`config`), the
rules (`rights`, `seats`).
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from . import health
from .api import AgentApi, ApiError
from .config import RPC
from .rights import ensure
from .seats import abandoned
from .settings import Settings

PROGRAM = "/usr/local/bin/consul"
EVERY = 2.0  # seconds between looks at an agent that has been seen with a leader
SOON = 0.3  # the same before that
SLOW = 10.0  # seconds after which an agent that does not answer is worth a word
TIDY = 20.0  # seconds between looks at the votes; abandoned at two of them, they are taken away
RIGHTS = 300.0  # seconds between looks at the rights of a server that leads
PATIENCE = 90.0  # seconds for which a member without a leader is told to be unwell: no restart brings one
TURNED_AWAY = "no leader has been found, though enough other servers run to have one"
LED = "led"  # in the data directory, from the first leader on
KILL = 8.0  # seconds that an agent is given to end
ALONE = (
    "no leader has been found. Either too few servers run, or the others turn this member away, for an "
    "expired certificate, one of another authority, or another gossip key, as the words above (or theirs) "
    "say. Remedy for those: `pulumi up` gives all members the same"
)


def answers(address: str) -> bool:
    """Whether a server's port lets somebody connect; nothing is said there, so any certificate will do."""
    try:
        socket.create_connection((address, RPC), timeout=1.0).close()
    except OSError:
        return False
    return True


class Supervisor:
    """One agent, from its start to its end; `run` returns the container's exit code."""

    def __init__(self, settings: Settings, config: Path, api: AgentApi, log: Callable[[str], None]) -> None:
        self._settings, self._config, self._api, self._log = settings, config, api, log
        self._told_to_stop = False
        self._led_by = ""
        self._seen_leader = self._settled = self._known = False
        self._abandoned: set[str] = set()  # ids of servers, at the last look
        self._tidied = self._asked_others = self._righted = float("-inf")
        self._turned_away = False
        self._led_before = (settings.data_dir / LED).exists()
        self._said = ""

    def run(self) -> int:
        """Runs the agent until it ends, or this process is told to."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        argv = [PROGRAM, "agent", f"-config-file={self._config}"]
        path = os.environ.get("PATH", "/usr/bin:/bin")
        self._process = os.posix_spawn(PROGRAM, argv, {"PATH": path, "GOMAXPROCS": "2", "HOME": "/"})
        began = time.monotonic()
        while (code := self._ended()) is None:
            if self._told_to_stop:
                self._end()
                return 0
            self.look(time.monotonic() - began)
            self._wait(EVERY if self._seen_leader and self._settled else SOON)
        self._log(f"consul has ended with {code}; its words above say why")
        return 0 if self._told_to_stop else 1

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._told_to_stop = True

    def _wait(self, seconds: float) -> None:
        """Sleeps; a signal to stop ends that at once."""
        until = time.monotonic() + seconds
        while not self._told_to_stop and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))

    def _ended(self) -> int | None:
        """The agent's exit code once it has ended. Whatever else has ended here is taken away, too."""
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 1
            if process == self._process:
                return os.waitstatus_to_exitcode(status)
            if process == 0:
                return None

    def _end(self) -> None:
        """Ends the agent. One that leads hands over first: the others need not find out by waiting."""
        if self._settings.is_server and self._leads():
            with suppress(ApiError):
                self._api.ask("POST", "/v1/operator/raft/transfer-leader")
        os.kill(self._process, signal.SIGTERM)
        until = time.monotonic() + KILL
        while self._ended() is None:
            if time.monotonic() > until:
                os.kill(self._process, signal.SIGKILL)
            time.sleep(0.05)

    def _leads(self) -> bool:
        return self._led_by == f"{self._settings.address}:{RPC}"

    # ---- while it runs

    def look(self, up: float) -> None:
        """Looks once, does what is due and tells the health check. `up`: seconds since the start."""
        try:
            led_by = self._api.leader()
        except ApiError as error:
            self._led_by = ""
            self._tell(False, str(error))
            if up > SLOW:  # before that it only starts
                self._say(str(error))
            return
        if led_by != self._led_by:
            self._log(
                f"led by {led_by}" if led_by else "no leader: without a majority nothing can be written"
            )
            self._settled = False
        self._led_by = led_by
        if led_by and not self._seen_leader:
            self._seen_leader = True
            self._note_leader()
        if led_by:
            self._tell(True, f"serving, led by {led_by}")
            self._do_duties()
        elif self._seen_leader or (up > PATIENCE and not self._is_turned_away(up)):
            self._tell(True, "serving, without a leader")
        elif up > PATIENCE:
            self._tell(False, TURNED_AWAY)
            self._say(ALONE)
        else:
            self._tell(False, "not yet: no leader has been found")
            if up > SLOW:
                self._say(ALONE)

    def _is_turned_away(self, up: float) -> bool:
        """Whether the others have what this member lacks: it stays unwell, and a change goes no further.

        A majority of the servers has a leader without this one. But the first leader of all needs every
        server: as long as one is missing (they are being made), waiting is all that any of them can do. Who
        has never had one counts all of them.
        """
        if up - self._asked_others > SLOW:
            self._asked_others = up
            names = (name for name in self._settings.server_names if name != self._settings.name)
            others = [self._settings.hosts[name] for name in names]
            needed = self._settings.servers // 2 + 1 if self._led_before else len(others)
            self._turned_away = bool(others) and sum(map(answers, others)) >= needed
        return self._turned_away

    def _note_leader(self) -> None:
        """For later starts: there was a leader once, so the servers need not all be there to have one."""
        try:
            (self._settings.data_dir / LED).touch()
        except OSError as error:
            self._log(f"{self._settings.data_dir} cannot be written: {error}")

    def _do_duties(self) -> None:
        """What is to be done once for each leader, and what the leader does now and then."""
        try:
            # Somebody may have changed a policy, or taken a token away; nothing is said where all is right.
            if self._leads() and (not self._settled or time.monotonic() - self._righted > RIGHTS):
                ensure(self._api, self._settings, self._log)
                self._righted = time.monotonic()
            if not self._settled:
                if not self._known:
                    self._forget_predecessor()
                    self._known = True
                self._settled = True
            if self._leads() and time.monotonic() - self._tidied > TIDY:
                self._tidied = time.monotonic()
                self._take_abandoned_votes()
        except ApiError as error:
            self._say(f"not yet: {error}")

    def _take_abandoned_votes(self) -> None:
        found = abandoned(self._api.servers(), self._api.members(), self._settings)
        for server, address in found:
            if server in self._abandoned:
                self._log(f"the server that was at {address} will not come back: its vote is taken away")
                self._api.ask("DELETE", f"/v1/operator/raft/peer?id={server}")
        self._abandoned = {server for server, _ in found}

    def _say(self, text: str) -> None:
        """Logs a line unless it is the last one again."""
        if text != self._said:
            self._said = text
            self._log(text)

    def _forget_predecessor(self) -> None:
        """Takes this host's former entry out of the catalog, which would bar the present one for its name."""
        own = str(self._api.ask("GET", "/v1/agent/self")["Config"]["NodeID"])
        entry = self._api.ask("GET", f"/v1/catalog/node/{self._settings.name}?consistent")
        if entry and entry["Node"]["ID"] not in ("", own):
            self._log("this host's data is new: its former entry in the catalog is taken away")
            self._api.ask("PUT", "/v1/catalog/deregister", {"Node": self._settings.name})

    def _tell(self, healthy: bool, text: str) -> None:
        try:
            health.write(self._settings.run_dir, healthy, text)
        except OSError as error:
            self._log(f"{self._settings.run_dir} cannot be written: {error}")
