"""The node's life: gather facts, decide, start mariadbd, watch it, stop in order.

Owns the loop and what the health check hears. Leaves to others: the rules (`decision`), the store
(`membership`), what is done once for the cluster (`formation`), mariadbd itself (`server`, `sql`).
"""

from __future__ import annotations

import subprocess
import time
import uuid as uuid_module
from collections.abc import Callable
from dataclasses import replace

from . import health, local_state, network, transfer
from .config import NodeConfig, render, tune
from .decision import Bootstrap, Discard, Join, Refuse, decide, gives_up, turn
from .first_process import FirstProcess, Stop
from .formation import Formation, FormationError
from .local_state import NO_UUID, Kind, Local
from .membership import Membership
from .server import RecoverError, Server, work
from .settings import Settings
from .sql import ServerStatus, Sql, SqlError
from .store import Facts, Position, Presence, Store
from .transfer import Progress
from .words import Topics, log

LOOK_EVERY = 1.0  # seconds between looks while waiting or starting
WATCH_EVERY = 2.0  # seconds between looks at a node that serves
FAILURES = 5  # starts in a row that fail before the container ends and the engine shows it
STEADY = 60.0  # seconds of being Synced after which former failures are forgotten
APART = 2.0  # seconds between joiners: Galera takes 5 s longer for two that come in the same moment
ALONE = 10.0  # seconds without a group after which mariadbd starts over
LOCKED = 10.0  # seconds of being desynced for nobody after which a node does not count as serving
UNANSWERED = 10.0  # seconds that a mariadbd which has never answered is given to stop in order


class Node:
    """One node of the cluster; `run` returns when it has been told to stop."""

    def __init__(self, settings: Settings, store: Store, names: network.Names) -> None:
        self.settings, self.names = settings, names
        self.began = time.monotonic()
        self.address = network.own_address(settings.subnet)
        self.tuning = tune(settings.data_dir)
        self.topics = Topics()
        self.server = Server(settings.run_dir / "my.cnf")
        self.sql = Sql(settings.socket)
        self.first_process = FirstProcess(self.server)
        self.membership = Membership(settings, store, self.topics)
        self.formation = Formation(settings, self.membership, self.sql, self.attend, self.topics)
        self.answered = False  # this mariadbd has answered a question
        self.locked_since: float | None = None  # when it was first seen desynced for nobody
        self.failures = 0

    def run(self) -> int:
        """Runs until SIGTERM (exit code 0) or until starting has failed too often (1)."""
        settings = self.settings
        settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        transfer.end(settings.run_dir)
        self.first_process.take_signals()
        log(f"node {settings.node} of {settings.cluster} at {self.address}, {settings.size} nodes expected")
        log(self.tuning.words)
        self.unhealthy("starting")
        try:
            while self.failures < FAILURES:
                self.attempt()
            log(f"mariadbd has failed {FAILURES} times in a row; ending so that the engine shows it")
            self.membership.leave(None)
            return 1
        except Stop:
            self.shut_down()
            return 0

    # ---- what is here

    def presence(self, state: str, uuid: str, seqno: int) -> Presence:
        return Presence(state, uuid, seqno, self.address)

    def local(self) -> Local:
        """The data directory's state with a certain position; recovers it from InnoDB after a crash."""
        state = local_state.read(self.settings.data_dir)
        if state.kind is not Kind.DATA or state.seqno >= 0:
            return state
        log("the last stop was not orderly: recovering the position from InnoDB")
        self.configure(())
        shown = self.presence("starting", state.uuid, -1)
        code = self.attend(
            self.server.recover(),
            "recovering the position from InnoDB",
            lambda: self.membership.look(shown),
        )
        try:
            uuid, seqno = self.server.recovered(code)
        except RecoverError as error:
            log(f"{error}")
            return state
        log(f"recovered position {uuid}:{seqno}")
        if state.uuid not in (NO_UUID, uuid):
            log(f"grastate.dat says {state.uuid}, InnoDB says {uuid}: not trusting the position")
            return state
        return replace(state, uuid=uuid, seqno=seqno)

    # ---- from a decision to mariadbd's end

    def attempt(self) -> None:
        """From one decision that starts mariadbd to its end."""
        local = self.local()
        stopped = self.presence("stopped" if local.kind is Kind.DATA else "empty", local.uuid, local.seqno)
        while True:
            facts = self.membership.look(stopped)
            known = [presence.address for presence in facts.present.values()] if facts else []
            candidates = {*self.names.addresses(self.settings.peers), *known} - {self.address}
            live = network.accepting(candidates)
            decision = decide(self.settings.node, self.settings.size, local, facts, live)
            if isinstance(decision, Join):
                self.topics.say("decision", f"joining {', '.join(decision.addresses)}: {decision.reason}")
                return self.join(decision, local, facts)
            if isinstance(decision, Bootstrap) and facts is not None:
                uuid, seqno = (str(uuid_module.uuid4()), 0) if decision.first else (local.uuid, local.seqno)
                if self.membership.claim(decision, self.presence("starting", uuid, seqno), facts):
                    return self.bootstrap(decision, Local(Kind.DATA, uuid, seqno), facts)
                self.unhealthy("waiting: the right to bootstrap could not be taken")
            elif isinstance(decision, Discard):
                if self.membership.abort(decision):
                    log(f"discarding the data of {decision.uuid}: {decision.reason}")
                    return local_state.clear(self.settings.data_dir)
                self.unhealthy("waiting: the end of the formation could not be noted")
            else:
                verb = "refusing to start" if isinstance(decision, Refuse) else "waiting"
                self.topics.say("decision", f"{verb}: {decision.reason}")
                self.unhealthy(f"{verb}: {decision.reason}")
            self.names.begin(self.settings.peers)  # the next look need not wait for it
            self.first_process.pause(LOOK_EVERY)

    def configure(self, join: tuple[str, ...]) -> None:
        """Writes mariadbd's option file for this start."""
        settings = self.settings
        weight = self.formation.weight
        config = NodeConfig(settings.node, settings.cluster, self.address, weight, join, self.tuning)
        self.server.defaults.write_text(render(config))

    def join(self, decision: Join, local: Local, facts: Facts | None) -> None:
        """Starts against live members and serves."""
        has_data = local.kind is Kind.DATA
        if facts is not None and not has_data:
            self.first_process.pause(APART * turn(self.settings.node, facts))
        self.formation.weigh(facts)
        self.configure(decision.addresses)
        transfer.remember_history(self.settings.run_dir, local.uuid if has_data else NO_UUID)
        known = has_data and local.seqno >= 0
        self.server.start([f"--wsrep-start-position={local.uuid}:{local.seqno}"] if known else [])
        self.serve(local)

    def bootstrap(self, decision: Bootstrap, local: Local, facts: Facts) -> None:
        """Starts a cluster from `local` (a new one's data is made), with the right to, and serves."""
        position = f"{local.uuid}:{local.seqno}"
        self.topics.say("decision", f"bootstrapping {position}: {decision.reason}")
        self.unhealthy("bootstrapping")
        self.formation.prepare(decision, local.uuid, local.seqno)
        self.formation.weigh(facts, decision.first)
        self.configure(())
        self.server.start(["--wsrep-new-cluster", f"--wsrep-start-position={position}"])
        self.serve(local, bootstrap=True, forming=decision.first)

    def serve(self, local: Local, bootstrap: bool = False, forming: bool = False) -> None:
        """Watches mariadbd until it ends, and cleans up after it. Arguments as for `watch`."""
        # One that comes back with the cluster's data is a member already, should the store be away just now.
        self.membership.begin(Position(local.uuid, local.seqno), local.kind is Kind.DATA and not forming)
        self.answered = False
        made_way, failed = False, ""
        try:
            made_way = self.watch(local, bootstrap, forming)
        except FormationError as error:
            failed = str(error)
            log(failed)
            self.server.kill()
        transfer.end(self.settings.run_dir)
        self.sql.close()
        self.topics.end("decision")
        # If neither the cluster is open nor the recovery finished, whoever can may try.
        self.membership.release()
        if made_way:
            return
        self.failures += 1
        code = self.server.exit_code
        log(f"mariadbd has ended with {code}; starting over ({self.failures} of {FAILURES})")
        self.unhealthy(failed or f"mariadbd has ended with {code}")
        self.first_process.rest(min(2.0 * self.failures, 10.0))

    # ---- while mariadbd runs

    def watch(self, local: Local, bootstrap: bool, forming: bool) -> bool:
        """Publishes and reports what mariadbd is, until it ends. True if it was ended to make way.

        `bootstrap`: it starts a Primary component. `forming`: the first one, its initial SQL still to run.
        Raises FormationError when that fails, mariadbd still running.
        """
        synced_since: float | None = None
        in_primary = in_group = time.monotonic()
        advance = health.Advance(in_primary)
        while self.server.running:
            progress = transfer.read(self.settings.run_dir)
            presence, detail, status = self.observe(local, progress)
            facts = self.membership.look(replace(presence, state="starting") if forming else presence)
            if forming and not self.membership.session:
                raise FormationError("the right to bootstrap is lost before the cluster was open")
            if forming and presence.state == "synced":
                self.formation.open(presence.uuid)
                forming = False
                continue
            if status is not None and presence.state == "synced":
                synced_since = self.steady(synced_since)
                if facts is not None:
                    self.membership.publish(Position(presence.uuid, status.committed), facts)
                    self.formation.settle(facts)
            elif presence.state != "primary":
                synced_since = None
            self.report(presence, detail, status, progress, advance)
            if status is None or status.connected:
                in_group = time.monotonic()
            elif time.monotonic() - in_group > ALONE:
                # Galera does this when a transfer lacks write-sets, or when the data differ from the others'.
                log("mariadbd has left its group, for which it gives the reason above: starting it over")
                self.end_server()
                return False
            bootstrap = bootstrap and status is None  # until it answers, it has no component to be in
            if bootstrap or progress is not None or (status is not None and status.primary):
                in_primary = time.monotonic()
            elif gives_up(self.settings.node, outside := time.monotonic() - in_primary, facts):
                self.make_way(outside)
                return True
            self.first_process.pause(WATCH_EVERY if synced_since is not None else LOOK_EVERY / 2)
        return False

    def observe(self, local: Local, progress: Progress | None) -> tuple[Presence, str, ServerStatus | None]:
        """What mariadbd is now: presence, words for the health check, its status if it answers."""
        try:
            status = self.sql.status()
        except SqlError as error:
            detail = str(progress) if progress is not None else f"mariadbd does not answer yet: {error}"
            return self.presence("starting", local.uuid, local.seqno), detail, None
        self.answered = True
        state = "synced" if status.synced else "primary" if status.primary else "running"
        if state == "primary" and status.state not in ("Joined", "Synced", "Donor/Desynced"):
            state = "starting"  # a joiner: in the component, but without the data yet
        uuid = status.uuid if state != "starting" and status.uuid != NO_UUID else local.uuid
        # The position is published apart (`nodes/`): here it would change with every look.
        detail = f"{status.state}, {'Primary' if status.primary else 'not Primary'}, {status.size} nodes"
        if state == "synced" and self.locked(status, progress):
            state = "primary"
            detail = (
                f"all tables are locked (FLUSH TABLES WITH READ LOCK?), so that clients hang here: {detail}"
            )
        return self.presence(state, uuid, local.seqno), detail, status

    def locked(self, status: ServerStatus, progress: Progress | None) -> bool:
        """Whether Galera is paused by a lock of all tables: desynced, and neither a donor nor by a
        setting.
        """
        if not status.desynced or progress is not None:
            self.locked_since = None
            return False
        self.locked_since = self.locked_since or time.monotonic()
        return time.monotonic() - self.locked_since > LOCKED

    def steady(self, since: float | None) -> float:
        """Notes since when the node is Synced; forgives former failures after a while."""
        now = time.monotonic()
        if since is None:
            log(f"Synced after {now - self.began:.1f} s")
            return now
        if now - since > STEADY:
            self.failures = 0
        return since

    def make_way(self, outside: float) -> None:
        """Ends mariadbd for good: without its view it won't wait for the old component again."""
        log(
            f"outside the Primary component for {outside:.0f} s, and nobody is in one: stopping, so that the "
            "most advanced node can restart the cluster"
        )
        self.end_server()
        local_state.forget_view(self.settings.data_dir)

    # ---- the health check

    def unhealthy(self, text: str) -> None:
        health.write(self.settings.run_dir, False, text)

    def tell(self, state: str, detail: str, idle: float | None) -> str:
        """Tells the health check; returns the verdict for the log. `idle` as in `health.Status`."""
        healthy, text = health.verdict(
            health.Status(
                state=state,
                detail=detail,
                uptime=time.monotonic() - self.began,
                start_period=self.settings.start_period,
                recorded=self.membership.recorded,
                idle=idle,
            )
        )
        health.write(self.settings.run_dir, healthy, text)
        return f"{'healthy' if healthy else 'not healthy'}: {text if idle is None else detail}"

    def report(
        self,
        presence: Presence,
        detail: str,
        status: ServerStatus | None,
        progress: Progress | None,
        advance: health.Advance,
    ) -> None:
        """Tells the health check, and the log when it changes."""
        # A transfer advances by its own word, one of write-sets alone by the seqno, the rest by its work.
        committed = status.committed if status is not None else -1
        idle = advance.idle((progress, committed, self.server.work()), time.monotonic())
        text = self.tell(presence.state, detail, idle if presence.state == "starting" else None)
        if self.answered and progress is None:
            self.topics.say("health", text)

    def attend(self, child: subprocess.Popen[bytes], what: str, meanwhile: Callable[[], object]) -> int:
        """Waits for a child that may take long; its exit code. What `meanwhile` or a stop raises ends it.

        The health check hears how long it takes, and whether it advances: mariadbd, if it is for that.
        """
        pid = self.server.pid if self.server.running else None
        began = time.monotonic()
        advance = health.Advance(began)

        def tell() -> None:
            now = time.monotonic()
            self.tell("starting", f"{what}, {now - began:.0f} s", advance.idle(work(pid or child.pid), now))
            meanwhile()

        return self.first_process.attend(child, LOOK_EVERY, tell)

    # ---- the end

    def shut_down(self) -> None:
        """Stops mariadbd in order, publishes where it ended."""
        self.unhealthy("stopping")
        self.end_server()
        state = local_state.read(self.settings.data_dir)
        clean = state.kind is Kind.DATA and state.seqno >= 0
        if clean:
            log(f"stopped at {state.uuid}:{state.seqno}")
        self.membership.leave(Position(state.uuid, state.seqno) if clean else None)

    def end_server(self) -> None:
        """Stops mariadbd in order. Kills one that has never answered: it hears no signal.

        That is one that waits for its group, receives a copy (which is marked as unfinished), or opens its
        tables (InnoDB recovers them as after any crash).
        """
        self.sql.close()
        if not self.server.running:
            return
        log("stopping mariadbd")
        self.server.stop()
        deadline = time.monotonic() + UNANSWERED
        while self.server.running:
            if not self.answered and time.monotonic() > deadline:
                log("mariadbd has not answered since its start and does not stop: killing it")
                self.server.kill()
            self.first_process.nap(LOOK_EVERY)
