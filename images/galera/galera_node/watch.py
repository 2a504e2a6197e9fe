"""mariadbd from its start to its end: what it is, is published and told, and when it is not to go on.

Owns the patience with one that fails, hangs, or stays outside. Leaves to others: how long outside a Primary
component is too long (`decision.lost_quorum`), what it is now (`observer`), the words (`reports`), how it is
stopped (`orderly_stop`).
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

from . import data_version, health, local_state, transfer
from .decision.lost_quorum import gives_up
from .decision.restoring import ends
from .desynced import Holder
from .first_process import LOOK_EVERY
from .formation import FormationError
from .local_state import Kind, Local
from .orderly_stop import OrderlyStop
from .orphan import Orphan
from .parts import Parts
from .restore import node as restored
from .sql import ServerStatus
from .standstill import Standstill
from .store import Details, Facts, Position, Presence
from .words import log

WATCH_EVERY = 2.0  # seconds between looks at a node that serves
FAILURES = 5  # starts in a row that fail before the container ends and the engine shows it
STEADY = 60.0  # seconds of being Synced after which former failures are forgotten
ALONE = 10.0  # seconds without a group after which mariadbd starts over


class Watch:
    """Watches each mariadbd that is started.

    Attributes:
        failures: how many have ended in a row without having served for a while.
    """

    def __init__(self, parts: Parts, stop: OrderlyStop) -> None:
        self._settings, self._topics, self._sql = parts.settings, parts.topics, parts.sql
        self._server, self._first_process, self._stop = parts.server, parts.first_process, stop
        self._membership, self._component = parts.membership, parts.component
        self._formation, self._observer, self._reports = parts.formation, parts.observer, parts.reports
        self._encryption, self._one_by_one = parts.encryption, parts.one_by_one
        self._departures, self._address = parts.departures, parts.address
        self._archiving, self._failed_starts = parts.archiving, parts.failed_starts
        self.failures = 0

    def serve(self, local: Local, bootstrap: bool = False, forming: bool = False) -> None:
        """Watches mariadbd until it ends, and cleans up after it. Arguments as for `watch`."""
        # One that comes back with the cluster's data is a member already, should the store be away just now.
        self._membership.begin(Position(local.uuid, local.seqno), local.kind is Kind.DATA and not forming)
        self._observer.begin()
        self._component.begin()
        made_way, failed = False, ""
        try:
            made_way = self.watch(local, bootstrap, forming)
        except FormationError as error:
            failed = str(error)
            log(failed)
            self._server.kill()
        self._tell_of_the_end()
        self._failed_starts.ended(
            self._server.exit_code, self._server.ended_by_itself, self._observer.answered
        )
        transfer.end(self._settings.run_dir)
        self._sql.close()
        self._topics.end("decision")
        # If neither the cluster is open nor the recovery finished, whoever can may try.
        self._membership.release()
        if made_way:
            return
        self.failures += 1
        code = self._server.exit_code
        log(f"mariadbd has ended with {code}; starting over ({self.failures} of {FAILURES})")
        self._reports.unhealthy(failed or self._failed_starts.problem or f"mariadbd has ended with {code}")
        self._first_process.rest(min(2.0 * self.failures, 10.0))

    def _tell_of_the_end(self) -> None:
        """Has the group go on without a mariadbd that did not end in order, as which it would have left."""
        if self._observer.life and self._server.exit_code:
            self._reports.departed(self._observer.life)
            self._departures.tell(self._address)

    def watch(self, local: Local, bootstrap: bool, forming: bool) -> bool:
        """Publishes and reports what mariadbd is, until it ends. True if it was ended to make way.

        `bootstrap`: it starts a Primary component. `forming`: the first one, its initial SQL still to run.
        Raises FormationError when that fails, mariadbd still running.
        """
        synced_since: float | None = None
        in_primary = in_group = time.monotonic()
        advance = health.Advance(in_primary)
        standstill = Standstill(self._settings.node, self._settings.members, in_primary)
        orphan = Orphan(self._settings.node, in_primary)
        while self._server.running:
            progress = transfer.read(self._settings.run_dir)
            self._failed_starts.see(progress)
            presence, detail, status = self._observer.observe(local, progress)
            if synced_since is None and presence.state == "synced" and not self._up_to_date(presence, local):
                log("ending mariadbd: its system tables could not be brought up to date")
                self._stop.end_server()
                return False
            self._archiving.look(time.monotonic())
            shown = replace(presence, state="starting") if forming else presence
            facts = self._membership.look(shown, self._details(local))
            self._reports.tell_others(presence, self._component.epoch, heard=status is not None)
            if self._is_restored(presence, facts):
                return True
            if forming and not self._membership.session:
                raise FormationError("the right to bootstrap is lost before the cluster was open")
            if forming and presence.state == "synced":
                self._formation.open(presence.uuid)
                forming = False
                continue
            if status is not None and status.primary and not self._component.belongs(status, facts):
                log("ending mariadbd: what it runs in is not the cluster's present epoch")
                self._stop.end_server()
                return False
            synced_since = self._act(synced_since, presence, status, facts)
            idle = self._reports.report(presence, detail, status, progress, advance, facts)
            silent = idle if not self._observer.answered and progress is None else 0.0
            alone = orphan.lasts(progress, facts, time.monotonic())
            if why := _hangs(silent, standstill, alone, status):
                log(f"{why}: killing mariadbd, to start it over")
                self._server.kill()
                return False
            if status is None or status.connected:
                in_group = time.monotonic()
            if why := self._starts_over(time.monotonic() - in_group):
                log(f"{why}: starting mariadbd over")
                self._stop.start_over()
                return False
            bootstrap = bootstrap and status is None  # until it answers, it has no component to be in
            if bootstrap or progress is not None or (status is not None and status.primary):
                in_primary = time.monotonic()
            else:
                self._component.outside(facts, answers=status is not None)
                if gives_up(self._settings.node, outside := time.monotonic() - in_primary, facts):
                    self._make_way(outside)
                    return True
            serves = synced_since is not None and self._membership.recorded
            self._first_process.pause(WATCH_EVERY if serves else LOOK_EVERY / 2)
        return False

    def _is_restored(self, presence: Presence, facts: Facts | None) -> bool:
        """Stops a mariadbd whose data a restore of the cluster replaces, or has replaced; whether it did."""
        if facts is None or not (why := ends(presence.uuid, facts)):
            return False
        log(f"ending mariadbd: {why}")
        # What it knows, and its connections, are of the cluster that ends here.
        self._archiving.stop()
        self._stop.end_server()
        return True

    def _up_to_date(self, presence: Presence, local: Local) -> bool:
        """Brings system tables of an older version up to date, before the node serves. False if it failed."""
        settings = self._settings
        if (data := data_version.outdated(settings)) is None:
            return True
        what = f"bringing the system tables from MariaDB {data} to {settings.version}"
        log(f"{what}; this node serves once that is done")
        starting = replace(presence, state="starting")
        code = self._reports.attend(
            data_version.upgrade(settings),
            what,
            lambda: self._membership.look(starting, self._details(local)),
        )
        if code == 0 and data_version.outdated(settings) is None:
            log(f"the system tables are those of MariaDB {settings.version}")
            return True
        said = data_version.words(settings).read_text(errors="replace").strip().splitlines()
        log(f"mariadb-upgrade ended with {code}: {' / '.join(said[-5:])}")
        return False

    def _act(
        self, since: float | None, presence: Presence, status: ServerStatus | None, facts: Facts | None
    ) -> float | None:
        """Does what a Synced node does for the cluster; since when it is Synced, None if it is not.

        One that is in a component, but not Synced (`primary`: a donor, say), stays what it was.
        """
        if status is not None and presence.state == "synced" and self._component.confirmed:
            since = self._steady(since, status)
            self._component.look(status, facts)
            if facts is not None:
                self._membership.publish(Position(presence.uuid, status.committed), facts)
                self._formation.settle(facts, self._component.epoch, presence.uuid)
                self._encryption.keep(facts)
                self._one_by_one.look(facts)
                restored.end(self._settings, self._membership.store, facts)
            return since
        return since if presence.state in ("primary", "synced") else None

    def _starts_over(self, alone: float) -> str:
        """Why this mariadbd is stopped in order and started again; empty while it is not.

        `alone`: seconds since it was last seen connected to its group.
        """
        if alone > ALONE:
            # Galera does this when a transfer lacks write-sets, or when the data differ from the others'.
            return "mariadbd has left its group, for which it gives the reason above"
        if self._observer.holder is Holder.GALERA:
            return "Galera has not noticed that this donor is done, and never will"
        return ""

    def _details(self, local: Local) -> Details:
        """What this node shows of itself while mariadbd runs."""
        component = self._component
        epoch = component.epoch if component.confirmed else local.epoch
        trusted = component.confirmed or local.trusted
        shown = Details(epoch, trusted, self._reports.problem, self._formation.weight, component.view)
        aside = local.aside and local_state.kept_from(self._settings.data_dir)  # perhaps removed since
        return self._encryption.shown(replace(shown, aside=aside))

    def _steady(self, since: float | None, status: ServerStatus) -> float:
        """Notes since when the node is Synced; forgives former failures after a while."""
        now = time.monotonic()
        if since is None:
            log(f"Synced after {now - self._reports.began:.1f} s")
            with suppress(OSError):
                local_state.copy_succeeded(self._settings.data_dir)
            self._reports.problem = ""
            return now
        if now - since > STEADY:
            self.failures = 0
        return since

    def _make_way(self, outside: float) -> None:
        """Ends mariadbd for good: without its view it won't wait for the old component again."""
        log(
            f"outside the Primary component for {outside:.0f} s, and nobody is in one: stopping, so that the "
            "most advanced node can restart the cluster"
        )
        self._stop.end_server()
        local_state.forget_view(self._settings.data_dir)


def _hangs(silent: float, standstill: Standstill, alone: bool, status: ServerStatus | None) -> str:
    """Why nothing will come of this mariadbd any more; empty while something may.

    `silent`: seconds in which one that has never answered has done nothing. `alone`: it waits for a copy in a
    group that has gone.
    """
    if alone:
        return "mariadbd waits for a donor, and is in no component with one"
    if silent > health.STALL:
        # It may wait for addresses that have gone, without a limit; nothing is lost by starting over.
        return f"mariadbd has neither answered nor done anything for {silent:.0f} s"
    if standstill.lasts(status, time.monotonic()):
        # The others form a new component without it.
        return f"the group stands still: for {standstill.patience:.0f} s what is to be sent waits, in vain"
    return ""
