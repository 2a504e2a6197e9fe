"""What one node does for the whole cluster: the first bootstrap's steps, the end of formation and recovery.

Owns the initial data, the accounts and their passwords, the votes, and the phases of the cluster's record.
Leaves to others: whether to bootstrap (`decision`), the right to (`membership`), mariadbd (`attempt`,
`watch`).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace

from . import accounts, initial_sql, local_state, local_tables, seed_data
from .decision.outcomes import Bootstrap
from .decision.votes import ENOUGH, enough
from .local_state import TRANSFER_MARK
from .membership import Membership
from .settings import Settings
from .sql import Sql, SqlError, load_file
from .store import Cluster, Facts, Put, SessionLost, StoreError, dumps, parse
from .words import Topics, log

INITIAL_SQL_FAILED = "the initial SQL fails, and no client was served:"
"""How the line begins that tells so: who waits for the cluster looks for it in the log."""
Attend = Callable[[subprocess.Popen[bytes], str, Callable[[], object]], int]
"""Waits for a client of mariadbd: the child, what it does in words, what to do meanwhile; its exit code."""


class FormationError(Exception):
    """The first bootstrap has failed before any client was served; the message names the step."""


class InitialSqlError(Exception):
    """A file of initial SQL has failed: it will fail again until somebody corrects it."""


class Formation:
    """Makes a new cluster, and looks after the things that are one node's to do.

    Attributes:
        weight: this node's vote; see docs/adr/0002-bootstrap-and-formation.md.
    """

    def __init__(
        self, settings: Settings, membership: Membership, sql: Sql, attend: Attend, topics: Topics
    ) -> None:
        self._settings, self._membership, self._sql = settings, membership, sql
        self._attend, self._topics = attend, topics
        self._passwords_kept = False  # the accounts have been seen to have them
        self._agreed_since: float | None = None  # when all present nodes were first seen to have them
        self._tables_seen: float | None = None  # when tables that are not replicated were last looked for
        self.weight = 1

    # ---- before mariadbd starts

    def weigh(self, starts: bool) -> None:
        """The vote for this start: that of the node which starts a component counts for all, at first.

        `starts`: it bootstraps, be it for the first time or after a full outage. Whoever joins has one vote,
        also the one that formed the cluster: two nodes that count for all would stop with either.
        """
        self.weight = self._settings.size if starts else 1

    def prepare(self, decision: Bootstrap, uuid: str, seqno: int) -> None:
        """The data directory for a bootstrap: the prepared system tables for the first one, else as it is."""
        data_dir = self._settings.data_dir
        if decision.first:
            local_state.clear(data_dir)
            (data_dir / TRANSFER_MARK).touch()
            seed_data.unpack(self._settings.seed_archive, data_dir)
        local_state.forget_view(data_dir)
        local_state.write_grastate(data_dir, uuid, seqno, safe_to_bootstrap=True)
        local_state.remove_mark(data_dir)

    # ---- the first node, Synced and alone

    def open(self, uuid: str) -> None:
        """The first bootstrap's last steps: accounts, initial SQL, then the word that joiners may come.

        Everything is replicated like any other statement: no node differs. Raises FormationError if a step
        fails or the right to bootstrap is gone: the directory is then to be discarded, and formed anew.
        """
        settings, store = self._settings, self._membership.store
        try:
            for statement, parameters in accounts.accounts(settings):
                self._sql.run(statement, parameters)
            for script in initial_sql.scripts(settings.initdb, settings.bundle):
                self._load(script)
            for statement, parameters in accounts.application(settings):
                self._sql.run(statement, parameters)
            # The unpacked tables must be on disk before anybody relies on them.
            local_state.flush(settings.data_dir)
            facts = parse(store.read())
            mine = facts.cluster == Cluster(uuid, "forming", settings.node) and facts.mine
            # Data of a formation that is marked as ended would be discarded by every node.
            expect = {key: facts.revision(key) for key in ("cluster", "bootstrap")} | {f"aborted/{uuid}": 0}
            opened = Put(dumps(Cluster(uuid, "open", settings.node)))
            if not mine or not store.commit(expect, {"cluster": opened}, ("bootstrap",)):
                raise SessionLost("the right to bootstrap is lost")
        except InitialSqlError as error:
            raise FormationError(f"{INITIAL_SQL_FAILED} {error}") from error
        except (SqlError, StoreError, OSError, initial_sql.BundleError) as error:
            raise FormationError(
                f"the formation of {uuid} fails before any client is served: {error}"
            ) from error
        self._membership.holding = False
        log(f"cluster {uuid} is open: accounts and initial SQL are in, joiners are welcome")

    def _load(self, script: initial_sql.Script) -> None:
        """Runs one file of initial SQL. Raises InitialSqlError with the client's words, SessionLost."""
        log(f"running {script.name}")
        words = self._settings.run_dir / "initdb.log"
        with script.opened() as text:
            client = load_file(self._settings, text, words)
        if self._attend(client, f"running {script.name}", self._membership.keep) != 0:
            said = words.read_text(errors="replace").strip()
            # The client repeats the statement, which may hold what belongs in no log.
            errors = [line for line in said.splitlines() if line.startswith("ERROR")]
            raise InitialSqlError(f"{script.name}: {initial_sql.explained(' '.join(errors) or said)}")

    # ---- any Synced node

    def settle(self, facts: Facts, epoch: str, uuid: str) -> None:
        """What a serving node does for all: ends a recovery and the formation, keeps passwords and votes.

        Args:
            epoch, uuid: of the component that this node is in.
        """
        cluster, node, store = facts.cluster, self._settings.node, self._membership.store
        synced = sorted(name for name, presence in facts.present.items() if presence.state == "synced")
        first = synced[:1] == [node]
        complete = len(synced) >= self._settings.size
        try:
            if facts.mine:
                store.commit({"bootstrap": facts.revision("bootstrap")}, {}, ("bootstrap",))
                self._membership.holding = False
            self._name_local_tables()
            if first and not self._passwords_kept:
                self._keep_passwords(facts)
            if first:
                self._withdraw_decisions(facts, complete)
            if cluster is None and first:
                # The store has lost its data while the cluster ran.
                record = Put(dumps(Cluster(uuid, "formed", node, epoch)))
                if store.commit({"cluster": 0}, {"cluster": record}):
                    log(f"the store had no record of the cluster: entered {uuid} anew")
            if cluster is not None and cluster.phase == "open" and complete:
                acts = cluster.seed == node if cluster.seed in facts.present else first
                if acts:
                    self._end_formation(cluster, facts, synced)
            self._settle_votes(synced)
        except (SqlError, StoreError) as error:
            self._topics.say("store", str(error))

    def _withdraw_decisions(self, facts: Facts, complete: bool) -> None:
        """Takes away what a person has decided for a restart: the cluster runs, `complete`ly or not."""
        store = self._membership.store
        if complete and facts.forgotten:
            store.commit({}, {}, tuple(f"forgotten/{name}" for name in facts.forgotten))
        if facts.chosen is not None:  # there is nothing to restart
            store.commit({"chosen": facts.revision("chosen")}, {}, ("chosen",))

    def _end_formation(self, cluster: Cluster, facts: Facts, synced: list[str]) -> None:
        """All nodes are Synced: the record says so, and no vote counts for more than one any longer."""
        self._lower_weight(synced)
        formed = Put(dumps(replace(cluster, phase="formed")))
        if self._membership.store.commit({"cluster": facts.revision("cluster")}, {"cluster": formed}):
            log(f"the cluster is formed: {', '.join(synced)} are Synced")

    def _settle_votes(self, synced: list[str]) -> None:
        """One vote as soon as enough are Synced; says so while it is more."""
        if enough(len(synced), self._settings.size):
            self._lower_weight(synced)
        elif self.weight != 1:
            self._topics.say(
                "votes",
                f"this node counts {self.weight} votes until {min(ENOUGH, self._settings.size)} nodes are "
                "Synced: none that is still to come can take it down, but its own loss stops the others",
            )

    def _name_local_tables(self) -> None:
        """Says now and then which tables' rows stay on this node."""
        now = time.monotonic()
        if self._tables_seen is not None and now - self._tables_seen < local_tables.EVERY:
            return
        self._tables_seen = now
        try:
            rows = self._sql.run(local_tables.QUERY)
        except SqlError as error:
            self._topics.say("tables", f"whether all tables are replicated could not be seen: {error}")
            return
        if rows:
            self._topics.say("tables", local_tables.words(rows))
        else:
            self._topics.end("tables")

    def _keep_passwords(self, facts: Facts) -> None:
        """Gives the accounts the passwords of the secrets, once in the life of a container."""
        now, mine = time.monotonic(), self._membership.passwords
        if not accounts.agreed(mine, facts):
            self._agreed_since = None
            return
        self._agreed_since = self._agreed_since or now
        if not accounts.may_change(facts, now - self._agreed_since):
            return
        if (move := accounts.moved(self._settings, self._sql.run(accounts.STORED))) is not None:
            self._sql.run(*move)
            log(f"root's account of {move[1][1]} is now the one of {move[1][3]}")
        others = accounts.outdated(self._settings, self._sql.run(accounts.STORED))
        for account in others:
            self._sql.run(*account.statement("ALTER USER"))
        if others:
            tls = "; root needs TLS from elsewhere" if self._settings.encrypted else ""
            also = "; the former ones count as well" if any(account.former for account in others) else ""
            log(f"new passwords for {', '.join(sorted({account.user for account in others}))}{also}{tls}")
        self._passwords_kept = True

    def _lower_weight(self, synced: list[str]) -> None:
        """From the vote that counts for all to an ordinary one."""
        if self.weight != 1:
            self._sql.set_weight(1)
            self.weight = 1
            log(f"this node's vote counts once from now on: {', '.join(synced)} are Synced")
            self._topics.end("votes")
