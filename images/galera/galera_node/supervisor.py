"""The node's life: gather facts, decide, start mariadbd, watch it, stop in order.

Owns the loop and what the health check hears. Leaves to others: the rules (`decision`), the store
(`membership`), what is done once for the cluster (`formation`), mariadbd itself (`server`, `sql`).
"""

from __future__ import annotations

import json
import subprocess
import time
import traceback
import uuid as uuid_module
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from . import epochs, health, local_state, neighbours, network, transfer
from .component import Component
from .config import NodeConfig, render, tune
from .decision import (
    IN_PRIMARY,
    Bootstrap,
    Carry,
    Discard,
    Join,
    Refuse,
    Site,
    decide,
    gives_up,
    turn,
    wants_told,
)
from .first_process import FirstProcess, Stop
from .formation import Formation, FormationError
from .local_state import NO_UUID, Kind, Local, Note
from .membership import Membership
from .neighbours import Teller, Told
from .server import RecoverError, Server, work
from .settings import Settings
from .sql import ServerStatus, Sql, SqlError
from .standstill import Standstill
from .store import Details, Facts, Position, Presence, Store
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
LAST_WORDS = 5.0  # seconds before the end of the stop's grace in which the store hears that this node goes
RECOVER_EVERY = 60.0  # seconds between tries to recover a position that could not be recovered


class Renew(Exception):
    """The container is to end, so that the engine starts a new one, with a start period of its own."""


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
        self.component = Component(settings, self.address, names, self.membership, self.sql, self.topics)
        self.formation = Formation(settings, self.membership, self.sql, self.attend, self.topics)
        self.answered = False  # this mariadbd has answered a question
        self.locked_since: float | None = None  # when it was first seen desynced for nobody
        self.failures = 0
        self.committed = -1
        self.served = False  # the health check has been told that all is well
        self.problem = ""  # what a person should know of this node
        self.teller: Teller | None = None
        self.site = Site(settings.size, settings.members)

    def run(self) -> int:
        """Runs until SIGTERM or the time for a new container (exit code 0), or until it can't go on (1)."""
        try:
            self.prepare()
            while self.failures < FAILURES:
                self.attempt()
            log(f"mariadbd has failed {FAILURES} times in a row; ending so that the engine shows it")
            self.membership.leave(None)
            return 1
        except Renew:
            log("ending: the engine starts this node anew, so that it sends no clients here while data comes")
            self.membership.leave(None)
            return 0
        except Stop:
            self.shut_down()
            return 0
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            log(f"unexpected {type(error).__name__}: {error} ({where.filename}, line {where.lineno})")
            self.end_in_order()
            return 1

    def prepare(self) -> None:
        """What a container does once."""
        settings = self.settings
        settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        transfer.end(settings.run_dir)
        self.first_process.take_signals()
        log(f"node {settings.node} of {settings.cluster} at {self.address}, {settings.size} nodes expected")
        log(self.tuning.words)
        self.unhealthy("starting")
        while local_state.own(settings.data_dir) is None:
            # A predecessor that is slow to stop: two nodes on one directory would destroy it.
            self.topics.say("volume", "waiting: another container uses this volume")
            self.unhealthy("waiting: another container uses this volume")
            self.first_process.pause(LOOK_EVERY)
        self.topics.end("volume")
        try:
            self.teller = Teller(self.address)
        except OSError as error:
            log(f"other nodes cannot ask this one when the store is away: port {neighbours.PORT}: {error}")

    def end_in_order(self) -> None:
        """Stops mariadbd although something is badly wrong: this process's end would be its sudden death."""
        with suppress(Exception):
            self.shut_down()
        deadline = time.monotonic() + self.settings.stop_grace
        self.server.stop()
        while self.server.running and time.monotonic() < deadline:
            time.sleep(0.1)

    # ---- what is here

    def presence(self, state: str, uuid: str, seqno: int) -> Presence:
        return Presence(state, uuid, seqno, self.address)

    def local(self, shown: str = "starting") -> Local:
        """The data directory's state with a certain position; recovers it from InnoDB after a crash.

        `shown`: what the node shows itself as meanwhile.
        """
        self.problem = ""
        if local_state.drop_empty_log(self.settings.data_dir):
            log("removed an empty tc.log: a start of the server had ended without room on the disk")
        state = local_state.read(self.settings.data_dir)
        if state.kind is not Kind.DATA or state.seqno >= 0:
            return state
        presence = self.presence(shown, state.uuid, -1)
        if self.served and self.membership.look(presence, self.details(state)) is not None:
            raise Renew  # for the same reason as before joining: see `attempt`
        log("the last stop was not orderly: recovering the position from InnoDB")
        self.configure(())
        code = self.attend(
            self.server.recover(),
            "recovering the position from InnoDB",
            lambda: self.membership.look(presence, self.details(state)),
        )
        try:
            uuid, seqno = self.server.recovered(code)
        except RecoverError as error:
            self.topics.say("recovery", f"{error}")
            self.problem = "the position could not be recovered from InnoDB; the log says why"
            return state
        self.topics.end("recovery")
        log(f"recovered position {uuid}:{seqno}")
        started, _, position = state.note.start.partition(":")
        if uuid == NO_UUID and started == state.uuid != NO_UUID and position.isdigit():
            # A bootstrap clears InnoDB's position, and sets it anew before anything is done at it.
            log(f"a bootstrap from {state.note.start} had just begun: that is the position")
            return replace(state, seqno=int(position))
        if state.uuid not in (NO_UUID, uuid):
            self.problem = f"grastate.dat says {state.uuid}, InnoDB says {uuid}: not trusting the position"
            self.topics.say("recovery", self.problem)
            return state
        if state.uuid == NO_UUID != uuid:
            # Galera writes zeros over the position of data that it has found to differ from the others'.
            self.problem = "Galera has marked the data as unusable"
            return replace(state, uuid=uuid, seqno=seqno, trusted=False)
        return replace(state, uuid=uuid, seqno=seqno)

    def details(self, local: Local) -> Details:
        """What this node shows of itself while mariadbd does not run."""
        return Details(local.epoch, local.trusted, self.problem, view=local.note.component)

    # ---- from a decision to mariadbd's end

    def attempt(self) -> None:
        """From one decision that starts mariadbd to its end."""
        local, looked = self.local(), time.monotonic()
        while True:
            if local.kind is Kind.DATA and local.seqno < 0 and time.monotonic() - looked > RECOVER_EVERY:
                # Memory or disk may have been short. Nobody waits for this node meanwhile.
                local, looked = self.local("stopped"), time.monotonic()
            stopped = self.presence(
                "stopped" if local.kind is Kind.DATA else "empty", local.uuid, local.seqno
            )
            facts = self.membership.look(stopped, self.details(local))
            self.tell_others(stopped, local.epoch)
            known = [presence.address for presence in facts.present.values()] if facts else []
            candidates = {*self.names.addresses(self.settings.peers), *known} - {self.address}
            live = network.accepting(candidates)
            told = neighbours.ask_all(live) if wants_told(facts, live) else {}
            decision = decide(self.settings.node, self.site, local, facts, live, told)
            if isinstance(decision, Join):
                if self.served and facts is not None:
                    # Its failing checks would count by now, and its copy or write-sets may take long.
                    raise Renew
                if not self.too_soon():
                    self.topics.say("decision", f"joining {', '.join(decision.addresses)}: {decision.reason}")
                    return self.join(decision, local, facts, told)
            elif isinstance(decision, Bootstrap) and facts is not None:
                uuid, seqno = (str(uuid_module.uuid4()), 0) if decision.first else (local.uuid, local.seqno)
                if self.claim(decision, local, self.presence("starting", uuid, seqno), facts):
                    note = Note(self.component.epoch)
                    return self.bootstrap(decision, Local(Kind.DATA, uuid, seqno, note=note), facts)
                self.unhealthy("waiting: the right to bootstrap could not be taken")
                # Should the answer have been lost, the note says whose epoch has begun.
                local = replace(local, note=local_state.read_note(self.settings.data_dir) or Note())
            elif isinstance(decision, Carry):
                log(f"the data here goes over to epoch {decision.epoch}: {decision.reason}")
                local = self.note(local, replace(local.note, epoch=decision.epoch, begins=""))
                continue
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

    def too_soon(self) -> bool:
        """Whether to wait before the next full copy, because those before have come to nothing."""
        copies = local_state.copies(self.settings.data_dir)
        pause = copies.pause(time.time())
        if pause > 0:
            self.problem = (
                f"{copies.begun} full copies have begun, and none has led to a Synced node; the log says why"
            )
            self.topics.say("copies", f"{self.problem}. The next one begins in {pause:.0f} s")
            self.unhealthy(f"waiting: {self.problem}. The next one begins in {pause:.0f} s")
            return True
        self.topics.end("copies")
        return False

    def note(self, local: Local, note: Note) -> Local:
        """Writes the node's note, unless it says so already; the directory's state with it."""
        if note != local.note:
            local_state.write_note(self.settings.data_dir, note)
        return replace(local, note=note)

    def claim(self, decision: Bootstrap, local: Local, starting: Presence, facts: Facts) -> bool:
        """Takes the right to bootstrap. False if the facts have changed.

        A new epoch is noted before the store is told: should the answer be lost, the note says whose it is.
        """
        if decision.first:
            self.component.epoch = ""
            return self.membership.claim(decision, starting, facts, "", Details(votes=self.settings.size))
        epoch = facts.cluster.epoch if facts.cluster is not None else local.epoch
        note = local.note
        if decision.epoch is not None:
            epoch = epochs.following(decision.epoch.after)
            note = replace(note, begins=epoch)
            local = self.note(local, note)
        shown = replace(self.details(local), epoch=epoch, votes=self.settings.size)
        if not self.membership.claim(decision, starting, facts, epoch, shown):
            return False
        if decision.epoch is not None:
            left = ", ".join(decision.epoch.left_out) or "nobody"
            log(
                f"epoch {epoch} begins. Left out: {left}. What they alone have is lost: they take a full copy"
            )
        self.note(local, Note(epoch, start=f"{local.uuid}:{local.seqno}", component=note.component))
        self.component.epoch = epoch
        return True

    def configure(self, join: tuple[str, ...]) -> None:
        """Writes mariadbd's option file for this start."""
        settings = self.settings
        weight = self.formation.weight
        config = NodeConfig(settings.node, settings.cluster, self.address, weight, join, self.tuning)
        self.server.defaults.write_text(render(config))

    def join(self, decision: Join, local: Local, facts: Facts | None, told: Mapping[str, Told]) -> None:
        """Starts against live members and serves."""
        has_data = local.kind is Kind.DATA and not decision.full
        if facts is not None and not has_data:
            self.first_process.pause(APART * turn(self.settings.node, facts))
        uuid = local.uuid if local.kind is Kind.DATA else NO_UUID
        if decision.full:
            local_state.distrust(self.settings.data_dir)
            local = Local(Kind.PARTIAL)
        elif self.failures >= 2:
            # Two starts have failed: a view that Galera cannot use ends each of them.
            local_state.forget_view(self.settings.data_dir)
        if facts is not None and facts.cluster is not None:
            self.component.epoch = facts.cluster.epoch
        else:
            self.component.epoch = next((told[a].epoch for a in decision.addresses if a in told), local.epoch)
            if has_data and local.epoch != self.component.epoch:  # the one that it was about to begin
                local = self.note(local, replace(local.note, epoch=self.component.epoch, begins=""))
        self.formation.weigh(starts=False)
        self.configure(decision.addresses)
        transfer.remember_history(self.settings.run_dir, uuid, self.component.epoch)
        known = has_data and local.seqno >= 0
        self.server.start([f"--wsrep-start-position={local.uuid}:{local.seqno}"] if known else [])
        self.serve(local)

    def bootstrap(self, decision: Bootstrap, local: Local, facts: Facts) -> None:
        """Starts a cluster from `local` (a new one's data is made), with the right to, and serves."""
        position = f"{local.uuid}:{local.seqno}"
        self.topics.say("decision", f"bootstrapping {position}: {decision.reason}")
        self.unhealthy("bootstrapping")
        self.formation.prepare(decision, local.uuid, local.seqno)
        self.formation.weigh(starts=True)
        self.configure(())
        self.server.start(["--wsrep-new-cluster", f"--wsrep-start-position={position}"])
        self.serve(local, bootstrap=True, forming=decision.first)

    def serve(self, local: Local, bootstrap: bool = False, forming: bool = False) -> None:
        """Watches mariadbd until it ends, and cleans up after it. Arguments as for `watch`."""
        # One that comes back with the cluster's data is a member already, should the store be away just now.
        self.membership.begin(Position(local.uuid, local.seqno), local.kind is Kind.DATA and not forming)
        self.answered = False
        self.component.begin()
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
        standstill = Standstill(self.settings.node, self.settings.members, in_primary)
        while self.server.running:
            progress = transfer.read(self.settings.run_dir)
            presence, detail, status = self.observe(local, progress)
            shown = replace(presence, state="starting") if forming else presence
            facts = self.membership.look(shown, self.running_details(local))
            self.tell_others(presence, self.component.epoch)
            if forming and not self.membership.session:
                raise FormationError("the right to bootstrap is lost before the cluster was open")
            if forming and presence.state == "synced":
                self.formation.open(presence.uuid)
                forming = False
                continue
            if status is not None and status.primary and not self.component.belongs(status, facts):
                log("ending mariadbd: what it runs in is not the cluster's present epoch")
                self.end_server()
                return False
            if status is not None and presence.state == "synced" and self.component.confirmed:
                synced_since = self.steady(synced_since, status)
                self.component.look(status, facts)
                if facts is not None:
                    self.membership.publish(Position(presence.uuid, status.committed), facts)
                    self.formation.settle(facts, self.component.epoch, presence.uuid)
            elif presence.state not in ("primary", "synced"):
                synced_since = None
            idle = self.report(presence, detail, status, progress, advance, facts)
            if not self.answered and progress is None and idle > health.STALL:
                # It may wait for addresses that have gone, without a limit; nothing is lost by starting over.
                log(
                    f"mariadbd has neither answered nor done anything for {idle:.0f} s: killing it, to "
                    "start it over"
                )
                self.server.kill()
                return False
            if standstill.lasts(status, time.monotonic()):
                log(
                    f"the group stands still: what is to be sent has waited for {standstill.patience:.0f} s, "
                    "and nothing was committed. Killing mariadbd, so that the others form a new component"
                )
                self.server.kill()
                return False
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
            else:
                self.component.outside(facts, answers=status is not None)
                if gives_up(self.settings.node, outside := time.monotonic() - in_primary, facts):
                    self.make_way(outside)
                    return True
            serves = synced_since is not None and self.membership.recorded
            self.first_process.pause(WATCH_EVERY if serves else LOOK_EVERY / 2)
        return False

    def running_details(self, local: Local) -> Details:
        """What this node shows of itself while mariadbd runs."""
        component = self.component
        epoch = component.epoch if component.confirmed else local.epoch
        trusted = component.confirmed or local.trusted
        return Details(epoch, trusted, self.problem, self.formation.weight, component.view)

    def observe(self, local: Local, progress: Progress | None) -> tuple[Presence, str, ServerStatus | None]:
        """What mariadbd is now: presence, words for the health check, its status if it answers."""
        try:
            status = self.sql.status()
        except SqlError as error:
            detail = str(progress) if progress is not None else f"mariadbd does not answer yet: {error}"
            return self.presence("starting", local.uuid, local.seqno), detail, None
        self.answered, self.committed = True, status.committed
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

    def steady(self, since: float | None, status: ServerStatus) -> float:
        """Notes since when the node is Synced; forgives former failures after a while."""
        now = time.monotonic()
        if since is None:
            log(f"Synced after {now - self.began:.1f} s")
            with suppress(OSError):
                local_state.copy_succeeded(self.settings.data_dir)
            self.problem = ""
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
        self.write_health(False, text)

    def write_health(self, healthy: bool, text: str) -> None:
        """Tells the health check. If the memory is full, that hears nothing: no reason to end a database."""
        self.served = self.served or healthy
        try:
            health.write(self.settings.run_dir, healthy, text)
        except OSError as error:
            self.topics.say("memory", f"{self.settings.run_dir} cannot be written: {error}")

    def tell_others(self, presence: Presence, epoch: str) -> None:
        """What other nodes are told when they ask, and `galera-node status`."""
        serves = presence.state == "synced" and self.component.confirmed and self.membership.recorded
        told = Told(self.settings.node, presence.uuid, epoch, presence.state, serves)
        if self.teller is not None:
            self.teller.told = told
        has_data = presence.state != "empty" and presence.uuid != NO_UUID
        values = {
            "node": told.node,
            "epoch": epoch if has_data else None,
            "uuid": told.uuid if has_data else None,
            "seqno": self.committed if presence.state in IN_PRIMARY else presence.seqno,
        }
        try:
            new = self.settings.run_dir / f"{health.SELF}.new"
            new.write_text(json.dumps(values))
            new.rename(self.settings.run_dir / health.SELF)
        except OSError as error:
            self.topics.say("memory", f"{self.settings.run_dir} cannot be written: {error}")

    def tell(self, state: str, detail: str, idle: float | None, alone: bool = False) -> str:
        """Tells the health check; returns the verdict for the log. `idle`, `alone` as in `health.Status`."""
        healthy, text = health.verdict(
            health.Status(
                state=state,
                detail=detail,
                uptime=time.monotonic() - self.began,
                start_period=self.settings.start_period,
                recorded=self.membership.recorded and self.component.confirmed,
                idle=idle,
                alone=alone,
                served=self.served,
            )
        )
        self.write_health(healthy, text)
        return f"{'healthy' if healthy else 'not healthy'}: {text if idle is None else detail}"

    def report(
        self,
        presence: Presence,
        detail: str,
        status: ServerStatus | None,
        progress: Progress | None,
        advance: health.Advance,
        facts: Facts | None,
    ) -> float:
        """Tells the health check, and the log what is new; seconds since the work under way last advanced."""
        # A transfer advances by its own word, one of write-sets alone by the seqno, the rest by its work.
        committed = status.committed if status is not None else -1
        idle = advance.idle((progress, committed, self.server.work()), time.monotonic())
        # Joined: it has its data, and applies what was written meanwhile, which may take as long as the copy.
        works = presence.state == "starting" or (status is not None and status.state == "Joined")
        alone = presence.state == "running" and facts is None
        text = self.tell(presence.state, detail, idle if works else None, alone)
        if self.answered and progress is None:
            self.topics.say("health", text)
        return idle

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
        if self.component.confirmed and self.server.running:
            # Who is here to the last is whom the next start waits for.
            with suppress(SqlError):
                self.component.look(self.sql.status(), None)
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
        began = time.monotonic()
        deadline, warned = began + UNANSWERED, False
        while self.server.running:
            if not warned and time.monotonic() - began > self.settings.stop_grace - LAST_WORDS:
                warned = True
                log(
                    f"mariadbd still writes what it holds in memory; the engine kills a container that stops "
                    f"{self.settings.stop_grace:.0f} s after it was told to. Nothing is lost by that, but "
                    "the next "
                    "start has to recover. Remedy: a longer galera.stopGrace"
                )
                self.membership.leave(None)
            if not self.answered and time.monotonic() > deadline:
                log("mariadbd has not answered since its start and does not stop: killing it")
                self.server.kill()
            self.first_process.nap(LOOK_EVERY)
