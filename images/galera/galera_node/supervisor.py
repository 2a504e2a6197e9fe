"""The node's life: gather facts, decide, start mariadbd, watch it, publish, stop in order.

Owns the loop and the order of writes to the store. The rules are in `decision`, the wire in `etcd`, mariadbd
in `server` and `sql`.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
import uuid as uuid_module
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from . import accounts, health, local_state, network, seed_data, transfer
from .config import NodeConfig, render
from .decision import Bootstrap, Discard, Join, Refuse, decide, gives_up, turn
from .local_state import NO_UUID, TRANSFER_MARK, Kind, Local
from .server import RecoverError, Server, work
from .settings import Settings
from .sql import ServerStatus, Sql, SqlError, load_file
from .store import Cluster, Facts, Position, Presence, Put, SessionLost, Store, StoreError, dumps, parse
from .words import log

SESSION_TTL = 45  # seconds without renewal until the store forgets what this node is
RENEW_EVERY = 5.0  # seconds
PUBLISH_EVERY = 10.0  # seconds between published positions
LOOK_EVERY = 1.0  # seconds between looks while waiting or starting
WATCH_EVERY = 2.0  # seconds between looks at a node that serves
FAILURES = 5  # starts in a row that fail before the container ends and the engine shows it
STEADY = 60.0  # seconds of being Synced after which former failures are forgotten
APART = 2.0  # seconds between joiners: Galera takes 5 s longer for two that come in the same moment
UNANSWERED = 10.0  # seconds that a mariadbd which has never answered is given to stop in order


class Stop(Exception):
    """SIGTERM has come."""


class Node:
    """One node of the cluster; `run` returns when it has been told to stop."""

    def __init__(self, settings: Settings, store: Store, names: network.Names) -> None:
        self.settings, self.store, self.names = settings, store, names
        self.began = time.monotonic()
        self.address = network.own_address(settings.subnet)
        self.defaults = settings.run_dir / "my.cnf"
        self.server = Server(self.defaults)
        self.sql = Sql(settings.socket)
        self.session = False
        self.renewed = 0.0
        self.presence: Presence | None = None  # as the store has it
        self.holding = False  # this session has the right to bootstrap
        self.passwords = accounts.fingerprint(settings)
        self.passwords_kept = False  # the accounts have been seen to have them
        self.recorded = False  # the store lists this node as a member
        self.sample, self.published = Position(NO_UUID, -1), 0.0
        self.weight = 1
        self.answered = False  # this mariadbd has answered a question
        self.said: dict[str, str] = {}
        self.failures = 0
        self.attended: int | None = None  # the child that `attend` waits for
        self.stopping = False
        self.wake_read, self.wake_write = os.pipe()

    # ---- waiting and words

    def pause(self, seconds: float) -> None:
        """Waits, but no longer than until a signal or a child's end. Raises Stop after SIGTERM."""
        if not self.stopping:
            self.nap(seconds)
        if self.stopping:
            raise Stop
        self.reap()

    def nap(self, seconds: float) -> None:
        """Waits, but no longer than until a signal or a child's end."""
        if select.select([self.wake_read], [], [], seconds)[0]:
            os.read(self.wake_read, 4096)

    def attend(
        self, child: subprocess.Popen[bytes], what: str, pid: int, meanwhile: Callable[[], object]
    ) -> int:
        """Waits for a child that may take long; its exit code. What `meanwhile` or a stop raises ends it.

        The health check hears how long it takes, and whether process `pid`, which does the work, advances.
        """
        began = time.monotonic()
        advance = health.Advance(began)
        self.attended = child.pid
        try:
            while child.poll() is None:
                now = time.monotonic()
                self.tell("starting", f"{what}, {now - began:.0f} s", advance.idle(work(pid), now))
                meanwhile()
                self.pause(LOOK_EVERY)
            return child.returncode
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            self.attended = None

    def reap(self) -> None:
        """As the container's first process: takes in children of others that were left behind.

        The node's own are left to those who wait for them.
        """
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None or info.si_pid in (self.server.pid, self.attended):
                return
            os.waitpid(info.si_pid, 0)

    def say(self, topic: str, text: str) -> None:
        """Logs a line unless it is what was last said on this topic."""
        if self.said.get(topic) != text:
            self.said[topic] = text
            log(text)

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
                recorded=self.recorded,
                idle=idle,
            )
        )
        health.write(self.settings.run_dir, healthy, text)
        return f"{'healthy' if healthy else 'not healthy'}: {text if idle is None else detail}"

    # ---- the store

    def look(self, presence: Presence) -> Facts | None:
        """Publishes what this node is and reads everything. None while the store does not answer."""
        try:
            if not self.session:
                self.store.open_session(SESSION_TTL)
                self.session, self.presence, self.renewed = True, None, time.monotonic()
            elif time.monotonic() - self.renewed >= RENEW_EVERY:
                self.store.renew()
                self.renewed = time.monotonic()
            if presence != self.presence:
                node = self.settings.node
                puts = {f"present/{node}": dumps(presence), f"passwords/{node}": self.passwords}
                self.store.commit({}, {key: Put(value, bound=True) for key, value in puts.items()})
                self.presence = presence
            facts = parse(self.store.read())
        except SessionLost as error:
            self.session = self.holding = False
            self.say("store", f"{error}; opening a new one")
            return None
        except StoreError as error:
            self.say("store", str(error))
            return None
        if "store" in self.said:
            del self.said["store"]
            log("the store answers again")
        return facts

    def leave(self, position: Position | None) -> None:
        """Last words to the store: the final position, and the end of the session."""
        try:
            if position is not None and self.recorded:
                self.store.commit({}, {f"nodes/{self.settings.node}": Put(dumps(position))})
            if self.session:
                self.store.close_session()
        except StoreError as error:
            log(f"the final position is not published: {error}")

    # ---- the data directory

    def local(self) -> Local:
        """The data directory's state with a certain position; recovers it from InnoDB after a crash."""
        state = local_state.read(self.settings.data_dir)
        if state.kind is not Kind.DATA or state.seqno >= 0:
            return state
        log("the last stop was not orderly: recovering the position from InnoDB")
        self.configure(())
        recovering = Presence("starting", state.uuid, -1, self.address)
        child = self.server.recover()
        code = self.attend(
            child, "recovering the position from InnoDB", child.pid, lambda: self.look(recovering)
        )
        try:
            uuid, seqno = self.server.recovered(code)
        except RecoverError as error:
            log(f"{error}")
            return state
        log(f"recovered position {uuid}:{seqno}")
        if state.uuid not in (NO_UUID, uuid):
            log(f"grastate.dat says {state.uuid}, InnoDB says {uuid}: not trusting the position")
            return replace(state, seqno=-1)
        return Local(Kind.DATA, uuid, seqno)

    def configure(self, join: tuple[str, ...]) -> None:
        """Writes mariadbd's option file for this start."""
        self.defaults.write_text(
            render(NodeConfig(self.settings.node, self.settings.cluster, self.address, self.weight, join))
        )

    # ---- the life

    def run(self) -> int:
        """Runs until SIGTERM (exit code 0) or until starting has failed too often (1)."""
        settings = self.settings
        settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        transfer.end(settings.run_dir)
        os.set_blocking(self.wake_write, False)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        log(f"node {settings.node} of {settings.cluster} at {self.address}, {settings.size} nodes expected")
        self.unhealthy("starting")
        try:
            while self.failures < FAILURES:
                self.attempt()
            log(f"mariadbd has failed {FAILURES} times in a row; ending so that the engine shows it")
            self.leave(None)
            return 1
        except Stop:
            self.shut_down()
            return 0

    def _on_stop(self, *_: object) -> None:
        self.stopping = True

    def attempt(self) -> None:
        """From one decision that starts mariadbd to its end."""
        local = self.local()
        stopped = Presence(
            "stopped" if local.kind is Kind.DATA else "empty", local.uuid, local.seqno, self.address
        )
        while True:
            facts = self.look(stopped)
            known = [presence.address for presence in facts.present.values()] if facts else []
            candidates = {*self.names.addresses(self.settings.peers), *known} - {self.address}
            decision = decide(
                self.settings.node, self.settings.size, local, facts, network.accepting(candidates)
            )
            if isinstance(decision, Join):
                self.say("decision", f"joining {', '.join(decision.addresses)}: {decision.reason}")
                return self.join(decision, local, facts)
            if isinstance(decision, Bootstrap) and facts is not None:
                if self.bootstrap(decision, local, facts):
                    return None
                self.pause(LOOK_EVERY)  # somebody was faster, or nobody knows: look again
                continue
            if isinstance(decision, Discard) and facts is not None:
                self.discard(decision)
                return None
            verb = "refusing to start" if isinstance(decision, Refuse) else "waiting"
            self.say("decision", f"{verb}: {decision.reason}")
            self.unhealthy(f"{verb}: {decision.reason}")
            self.names.begin(self.settings.peers)  # the next look need not wait for it
            self.pause(LOOK_EVERY)

    def discard(self, decision: Discard) -> None:
        """Empties the own directory, once the store has noted that its formation is over."""
        key = f"aborted/{decision.uuid}"
        try:
            if not self.store.commit(decision.expect, {key: Put(self.settings.node)}):
                self.pause(LOOK_EVERY)
                return
        except StoreError as error:
            self.say("store", str(error))
            self.pause(LOOK_EVERY)
            return
        log(f"discarding the data of {decision.uuid}: {decision.reason}")
        local_state.clear(self.settings.data_dir)

    def join(self, decision: Join, local: Local, facts: Facts | None) -> None:
        """Starts against live members and serves."""
        if local.kind is not Kind.DATA and facts is not None:
            self.pause(APART * turn(self.settings.node, facts))
        seed = facts is not None and facts.cluster is not None and facts.cluster.seed == self.settings.node
        formed = facts is None or facts.cluster is None or facts.cluster.phase == "formed"
        self.weight = self.settings.size if seed and not formed else 1
        self.configure(decision.addresses)
        transfer.remember_history(self.settings.run_dir, local.uuid if local.kind is Kind.DATA else NO_UUID)
        options = []
        if local.kind is Kind.DATA and local.seqno >= 0:
            options = [f"--wsrep-start-position={local.uuid}:{local.seqno}"]
        self.server.start(options)
        self.serve(local)

    def bootstrap(self, decision: Bootstrap, local: Local, facts: Facts) -> bool:
        """Takes the right to bootstrap and starts a cluster. False if the facts have changed meanwhile."""
        node, data_dir = self.settings.node, self.settings.data_dir
        puts = {"bootstrap": Put(node, bound=True)}
        if decision.first:
            uuid, seqno = str(uuid_module.uuid4()), 0
            puts["cluster"] = Put(dumps(Cluster(uuid, "forming", node)))
            if decision.abort is not None:
                puts[f"aborted/{decision.abort}"] = Put(node)
        else:
            uuid, seqno = local.uuid, local.seqno
            if facts.cluster is None:
                puts["cluster"] = Put(dumps(Cluster(uuid, "formed", node)))
        starting = Presence("starting", uuid, seqno, self.address)
        puts[f"present/{node}"] = Put(dumps(starting), bound=True)
        try:
            if not self.store.commit(decision.expect, puts):
                return False
        except SessionLost:
            self.session = False
            return False
        except StoreError as error:
            # Whether the write happened is not known: the next look shows it, as a right of this session.
            self.say("store", str(error))
            return False
        self.presence, self.holding = starting, True
        self.say("decision", f"bootstrapping {uuid} at {seqno}: {decision.reason}")
        self.unhealthy("bootstrapping")
        if decision.first:
            local_state.clear(data_dir)
            (data_dir / TRANSFER_MARK).touch()
            seed_data.unpack(self.settings.seed_archive, data_dir)
        local_state.forget_view(data_dir)
        local_state.write_grastate(data_dir, uuid, seqno, safe_to_bootstrap=True)
        (data_dir / TRANSFER_MARK).unlink(missing_ok=True)
        formed = facts.cluster is not None and facts.cluster.phase == "formed"
        self.weight = 1 if formed or not (decision.first or self._is_seed(facts)) else self.settings.size
        self.configure(())
        self.server.start(["--wsrep-new-cluster", f"--wsrep-start-position={uuid}:{seqno}"])
        self.serve(Local(Kind.DATA, uuid, seqno), bootstrap=True, forming=decision.first)
        return True

    def _is_seed(self, facts: Facts) -> bool:
        return facts.cluster is not None and facts.cluster.seed == self.settings.node

    # ---- serving

    def serve(self, local: Local, bootstrap: bool = False, forming: bool = False) -> None:
        """Watches mariadbd until it ends.

        `bootstrap`: it starts a Primary component. `forming`: the first one, its initial SQL still to run.
        """
        synced_since: float | None = None
        # One that comes back with the cluster's data is a member already, should the store be away just now.
        self.recorded = local.kind is Kind.DATA and not forming
        self.sample, self.published = Position(local.uuid, local.seqno), 0.0
        self.answered = False
        advance = health.Advance(time.monotonic())
        in_primary = time.monotonic()
        while self.server.running:
            presence, detail, status = self.observe(local)
            facts = self.look(replace(presence, state="starting") if forming else presence)
            if forming and not self.session:
                log("the right to bootstrap is lost before the cluster was open: mariadbd is ended")
                self.server.kill()
                break
            if presence.state == "synced" and forming:
                if not self.open_cluster(presence.uuid):
                    break
                forming = False
                continue
            if status is not None and presence.state == "synced":
                synced_since = self.steady(synced_since)
                if facts is not None:
                    self.publish(Position(presence.uuid, status.committed), facts)
                    self.settle(facts)
            elif presence.state != "primary":
                synced_since = None
            self.report(presence, detail, status, advance)
            progress = transfer.read(self.settings.run_dir)
            if (status is not None and status.primary) or progress is not None or bootstrap:
                in_primary = time.monotonic()
                bootstrap = bootstrap and status is None
            elif gives_up(self.settings.node, outside := time.monotonic() - in_primary, facts):
                log(
                    f"outside the Primary component for {outside:.0f} s, and nobody is in one: stopping, so "
                    "that the most advanced node can restart the cluster"
                )
                self.end_server()
                local_state.forget_view(self.settings.data_dir)
                return
            self.pause(WATCH_EVERY if synced_since is not None else LOOK_EVERY / 2)
        transfer.end(self.settings.run_dir)
        self.sql.close()
        if self.holding:
            self.release()  # neither is the cluster open nor the recovery finished: whoever can may try
        self.failures += 1
        code = self.server.exit_code
        log(f"mariadbd has ended with {code}; starting over ({self.failures} of {FAILURES})")
        self.unhealthy(f"mariadbd has ended with {code}")
        self.said.pop("decision", None)
        self.pause(min(2.0 * self.failures, 10.0))

    def steady(self, since: float | None) -> float:
        """Notes since when the node is Synced; forgives former failures after a while."""
        now = time.monotonic()
        if since is None:
            log(f"Synced after {now - self.began:.1f} s")
            return now
        if now - since > STEADY:
            self.failures = 0
        return since

    def observe(self, local: Local) -> tuple[Presence, str, ServerStatus | None]:
        """What mariadbd is now: presence, words for the health check, its status if it answers."""
        try:
            status = self.sql.status()
        except SqlError as error:
            progress = transfer.read(self.settings.run_dir)
            detail = str(progress) if progress is not None else f"mariadbd does not answer yet: {error}"
            return Presence("starting", local.uuid, local.seqno, self.address), detail, None
        self.answered = True
        state = "synced" if status.synced else "primary" if status.primary else "running"
        if state == "primary" and status.state not in ("Joined", "Synced", "Donor/Desynced"):
            state = "starting"  # a joiner: in the component, but without the data yet
        uuid = status.uuid if state != "starting" and status.uuid != NO_UUID else local.uuid
        # The position is published apart (`nodes/`): here it would change with every look.
        detail = f"{status.state}, {'Primary' if status.primary else 'not Primary'}, {status.size} nodes"
        return Presence(state, uuid, local.seqno, self.address), detail, status

    def report(
        self, presence: Presence, detail: str, status: ServerStatus | None, advance: health.Advance
    ) -> None:
        """Tells the health check, and the log when it changes."""
        progress = transfer.read(self.settings.run_dir)
        now = time.monotonic()
        # A transfer advances by its own word, one of write-sets alone by the seqno, the rest by its work.
        committed = status.committed if status is not None else -1
        idle = advance.idle((progress, committed, self.server.work()), now)
        text = self.tell(presence.state, detail, idle if presence.state == "starting" else None)
        if self.answered and progress is None:
            self.say("health", text)

    def publish(self, position: Position, facts: Facts) -> None:
        """Publishes where the node is; the first time, this makes it a member in the store.

        What is published is the sample before: its transactions are on disk by now, so that a position
        recovered after a power cut is never behind the published one.
        """
        before = facts.nodes.get(self.settings.node)
        if before is not None and time.monotonic() - self.published < PUBLISH_EVERY:
            return
        durable = self.sample if self.sample.seqno >= 0 else Position(position.uuid, 0)
        try:
            if before is None or before.uuid != durable.uuid or before.seqno < durable.seqno:
                node = self.settings.node
                self.store.commit({}, {f"nodes/{node}": Put(dumps(durable))}, (f"forgotten/{node}",))
            self.recorded = True
            self.sample, self.published = position, time.monotonic()
        except StoreError as error:
            self.say("store", str(error))

    def open_cluster(self, uuid: str) -> bool:
        """The first bootstrap's last steps: accounts, initial SQL, then the word that joiners may come.

        Everything is replicated like any other statement: no node differs. False (and no mariadbd) if a step
        fails or the right to bootstrap is gone: the directory is then discarded, the formation starts anew.
        """
        settings = self.settings
        try:
            for statement, parameters in accounts.accounts(settings):
                self.sql.run(statement, parameters)
            for path in sorted(settings.initdb.glob("*.sql")):
                self.load(path)
            for statement, parameters in accounts.application(settings):
                self.sql.run(statement, parameters)
            # The unpacked tables must be on disk before anybody relies on them.
            local_state.flush(settings.data_dir)
            facts = parse(self.store.read())
            mine = facts.cluster == Cluster(uuid, "forming", settings.node) and facts.mine
            expect = {key: facts.revision(key) for key in ("cluster", "bootstrap")}
            opened = Put(dumps(Cluster(uuid, "open", settings.node)))
            if not mine or not self.store.commit(expect, {"cluster": opened}, ("bootstrap",)):
                raise SessionLost("the right to bootstrap is lost")
        except (SqlError, StoreError, OSError) as error:
            log(f"the formation of {uuid} fails before any client is served: {error}")
            self.server.kill()
            return False
        self.holding = False
        log(f"cluster {uuid} is open: accounts and initial SQL are in, joiners are welcome")
        return True

    def load(self, path: Path) -> None:
        """Runs one file of initial SQL. Raises SqlError with the client's words, SessionLost."""
        log(f"running {path.name}")
        words = self.settings.run_dir / "initdb.log"
        client = load_file(self.settings, path, words)
        code = self.attend(client, f"running {path.name}", self.server.pid or client.pid, self.keep_right)
        if code != 0:
            raise SqlError(f"{path.name}: {words.read_text(errors='replace').strip()}")

    def keep_right(self) -> None:
        """Asks now and then whether the session still lives. Raises SessionLost; another failure may pass."""
        if time.monotonic() - self.renewed < RENEW_EVERY:
            return
        self.renewed = time.monotonic()
        try:
            self.store.renew()
        except SessionLost:
            raise
        except StoreError as error:
            self.say("store", str(error))

    def release(self) -> None:
        """Gives the right to bootstrap back, with the whole session."""
        with suppress(StoreError):  # it expires by itself
            self.store.close_session()
        self.session = self.holding = False

    def settle(self, facts: Facts) -> None:
        """What a serving node does for all: ends a recovery, completes the formation, lowers its vote."""
        settings, cluster = self.settings, facts.cluster
        try:
            if facts.mine:
                self.store.commit({"bootstrap": facts.revision("bootstrap")}, {}, ("bootstrap",))
                self.holding = False
            if cluster is None:
                return
            synced = sorted(name for name, presence in facts.present.items() if presence.state == "synced")
            if synced[:1] == [settings.node] and facts.all_have_the_passwords(self.passwords):
                self.keep_passwords()
            if cluster.phase == "open":
                actor = cluster.seed if cluster.seed in facts.present else synced[0] if synced else ""
                if len(synced) >= settings.size and actor == settings.node:
                    self.lower_weight()
                    formed = Put(dumps(replace(cluster, phase="formed")))
                    if self.store.commit({"cluster": facts.revision("cluster")}, {"cluster": formed}):
                        log(f"the cluster is formed: {', '.join(synced)} are Synced")
            elif cluster.phase == "formed":
                self.lower_weight()
        except (SqlError, StoreError) as error:
            self.say("store", str(error))

    def keep_passwords(self) -> None:
        """Gives the accounts the passwords of the secrets, once in the life of a container.

        Not before every node has these secrets: while old and new ones are there, clients have the old ones.
        """
        if self.passwords_kept:
            return
        others = accounts.outdated(self.settings, self.sql.run(accounts.STORED))
        for account in others:
            self.sql.run(*account.statement("ALTER USER"))
        if others:
            log(f"new passwords for {', '.join(sorted({account.user for account in others}))}")
        self.passwords_kept = True

    def lower_weight(self) -> None:
        """From the formation's vote to an ordinary one."""
        if self.weight != 1:
            self.sql.set_weight(1)
            self.weight = 1

    # ---- the end

    def shut_down(self) -> None:
        """Stops mariadbd in order, publishes where it ended."""
        self.unhealthy("stopping")
        self.end_server()
        state = local_state.read(self.settings.data_dir)
        clean = state.kind is Kind.DATA and state.seqno >= 0
        if clean:
            log(f"stopped at {state.uuid}:{state.seqno}")
        self.leave(Position(state.uuid, state.seqno) if clean else None)

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
            self.nap(LOOK_EVERY)
            self.reap()
