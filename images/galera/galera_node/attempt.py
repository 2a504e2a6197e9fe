"""From a decision to mariadbd's start: looks, has the rules decide, and does what they say.

Leaves to others: the rules (`decision`), the position after a crash (`own_data`), the order of writes to the
store (`membership`), what is prepared for a bootstrap (`formation`), mariadbd once it runs (`watch`).
"""

from __future__ import annotations

import time
import uuid as uuid_module
from collections.abc import Mapping
from dataclasses import replace

from . import epochs, local_state, neighbours, network, transfer
from .decision.decide import decide, wants_told
from .decision.others import Site
from .decision.outcomes import Bootstrap, Carry, Discard, Hold, Join, PutBack, Refuse, SetAside
from .decision.without_data import turn
from .first_process import LOOK_EVERY, Renew
from .local_state import NO_UUID, Kind, Local, Note
from .neighbours import Told
from .own_data import OwnData
from .parts import Parts
from .restore.node import Restoring
from .store import Details, Facts, Presence
from .watch import Watch
from .words import log

APART = 2.0  # seconds between joiners: Galera takes 5 s longer for two that come in the same moment
RECOVER_EVERY = 60.0  # seconds between tries to recover a position that could not be recovered


class Attempt:
    """One start of mariadbd after another, each with a decision of its own."""

    def __init__(self, parts: Parts, own_data: OwnData, watch: Watch) -> None:
        self._settings, self._names, self._address = parts.settings, parts.names, parts.address
        self._topics, self._server, self._first_process = parts.topics, parts.server, parts.first_process
        self._membership, self._component = parts.membership, parts.component
        self._formation, self._option_file = parts.formation, parts.option_file
        self._encryption, self._failed_starts = parts.encryption, parts.failed_starts
        self._observer, self._reports = parts.observer, parts.reports
        self._own_data, self._watch = own_data, watch
        self._restoring = Restoring(parts, own_data)
        self._site = Site(parts.settings.size, parts.settings.members)

    def run(self) -> None:
        """From one decision that starts mariadbd to its end."""
        local, looked = self._own_data.local(), time.monotonic()
        while True:
            if local.kind is Kind.DATA and local.seqno < 0 and time.monotonic() - looked > RECOVER_EVERY:
                # Memory or disk may have been short. Nobody waits for this node meanwhile.
                local, looked = self._own_data.local("stopped"), time.monotonic()
            stopped = self._observer.presence(
                "stopped" if local.kind is Kind.DATA else "empty", local.uuid, local.seqno
            )
            facts = self._membership.look(stopped, self._own_data.details(local))
            self._reports.tell_others(stopped, local.epoch)
            known = [presence.address for presence in facts.present.values()] if facts else []
            candidates = {*self._names.addresses(self._settings.peers), *known} - {self._address}
            live = network.accepting(candidates)
            told = neighbours.ask_all(live) if wants_told(facts, live) else {}
            decision = decide(self._settings.node, self._site, local, facts, live, told)
            decision = self._restoring.instead(decision, facts)
            if isinstance(decision, Join):
                if self._reports.served and facts is not None:
                    # Its failing checks would count by now, and its copy or write-sets may take long.
                    raise Renew
                if not self.too_soon():
                    self._topics.say(
                        "decision", f"joining {', '.join(decision.addresses)}: {decision.reason}"
                    )
                    return self.join(decision, local, facts, told)
            elif isinstance(decision, Bootstrap) and facts is not None:
                uuid, seqno = (str(uuid_module.uuid4()), 0) if decision.first else (local.uuid, local.seqno)
                if self._claim(decision, local, self._observer.presence("starting", uuid, seqno), facts):
                    note = Note(self._component.epoch)
                    begins = Local(Kind.DATA, uuid, seqno, note=note, aside=local.aside)
                    return self._bootstrap(decision, begins, facts)
                self._reports.unhealthy("waiting: the right to bootstrap could not be taken")
                # Should the answer have been lost, the note says whose epoch has begun.
                local = replace(local, note=local_state.read_note(self._settings.data_dir) or Note())
            elif isinstance(decision, Carry):
                log(f"the data here goes over to epoch {decision.epoch}: {decision.reason}")
                local = self._own_data.note(local, replace(local.note, epoch=decision.epoch, begins=""))
                continue
            elif isinstance(decision, Discard):
                if self._membership.abort(decision):
                    log(f"discarding the data of {decision.uuid}: {decision.reason}")
                    return local_state.clear(self._settings.data_dir)
                self._reports.unhealthy("waiting: the end of the formation could not be noted")
            elif isinstance(decision, Hold | SetAside | PutBack):
                local = self._restoring.act(decision, local)
            else:
                verb = "refusing to start" if isinstance(decision, Refuse) else "waiting"
                self._topics.say("decision", f"{verb}: {decision.reason}")
                self._reports.unhealthy(f"{verb}: {decision.reason}")
            self._names.begin(self._settings.peers)  # the next look need not wait for it
            self._first_process.pause(LOOK_EVERY)

    def too_soon(self) -> bool:
        """Whether to wait before the next full copy, because those before have come to nothing."""
        copies = local_state.copies(self._settings.data_dir)
        pause = copies.pause(time.time())
        if pause > 0:
            self._reports.problem = (
                f"{copies.begun} full copies have begun, and none has led to a Synced node; the log says why"
            )
            self._topics.say("copies", f"{self._reports.problem}. The next one begins in {pause:.0f} s")
            self._reports.unhealthy(f"waiting: {self._reports.problem}. The next one begins in {pause:.0f} s")
            return True
        self._topics.end("copies")
        return False

    def _claim(self, decision: Bootstrap, local: Local, starting: Presence, facts: Facts) -> bool:
        """Takes the right to bootstrap. False if the facts have changed.

        A new epoch is noted before the store is told: should the answer be lost, the note says whose it is.
        """
        if decision.first:
            self._component.epoch = ""
            details = self._encryption.shown(Details(votes=self._settings.size))
            return self._membership.claim(
                decision, starting, facts, "", details, self._encryption.first(facts)
            )
        epoch = facts.cluster.epoch if facts.cluster is not None else local.epoch
        note = local.note
        if decision.epoch is not None:
            epoch = epochs.following(decision.epoch.after)
            note = replace(note, begins=epoch)
            local = self._own_data.note(local, note)
        shown = replace(self._own_data.details(local), epoch=epoch, votes=self._settings.size)
        if not self._membership.claim(decision, starting, facts, epoch, shown):
            return False
        if decision.epoch is not None:
            left = ", ".join(decision.epoch.left_out) or "nobody"
            log(
                f"epoch {epoch} begins. Left out: {left}. What they alone have is lost: they take a full copy"
            )
        self._own_data.note(local, Note(epoch, start=f"{local.uuid}:{local.seqno}", component=note.component))
        self._component.epoch = epoch
        return True

    def join(self, decision: Join, local: Local, facts: Facts | None, told: Mapping[str, Told]) -> None:
        """Starts against live members and serves."""
        has_data = local.kind is Kind.DATA and not decision.full
        if facts is not None and not has_data:
            self._first_process.pause(APART * turn(self._settings.node, facts))
        uuid = local.uuid if local.kind is Kind.DATA else NO_UUID
        if decision.full:
            local_state.distrust(self._settings.data_dir)
            local = Local(Kind.PARTIAL, aside=local.aside)
        elif self._watch.failures >= 2:
            # Two starts have failed: a view that Galera cannot use ends each of them.
            local_state.forget_view(self._settings.data_dir)
        if facts is not None and facts.cluster is not None:
            self._component.epoch = facts.cluster.epoch
        else:
            self._component.epoch = next(
                (told[a].epoch for a in decision.addresses if a in told), local.epoch
            )
            if has_data and local.epoch != self._component.epoch:  # the one that it was about to begin
                local = self._own_data.note(
                    local, replace(local.note, epoch=self._component.epoch, begins="")
                )
        self._formation.weigh(starts=False)
        self._option_file.write(self._formation.weight, decision.addresses, self._encryption.prepare(facts))
        transfer.remember_history(self._settings.run_dir, uuid, self._component.epoch)
        known = has_data and local.seqno >= 0
        self._failed_starts.before(local)
        self._server.start([f"--wsrep-start-position={local.uuid}:{local.seqno}"] if known else [])
        self._watch.serve(local)

    def _bootstrap(self, decision: Bootstrap, local: Local, facts: Facts) -> None:
        """Starts a cluster from `local` (a new one's data is made), with the right to, and serves."""
        position = f"{local.uuid}:{local.seqno}"
        self._topics.say("decision", f"bootstrapping {position}: {decision.reason}")
        self._reports.unhealthy("bootstrapping")
        self._formation.prepare(decision, local.uuid, local.seqno)
        self._formation.weigh(starts=True)
        if decision.first:
            facts = replace(facts, tls=self._encryption.first(facts) or None)
        self._option_file.write(self._formation.weight, (), self._encryption.prepare(facts))
        self._failed_starts.before(local)
        self._server.start(["--wsrep-new-cluster", f"--wsrep-start-position={position}"])
        self._watch.serve(local, bootstrap=True, forming=decision.first)
