"""The node's own data as a decision needs it: with a certain position, recovered from InnoDB after a crash.

Owns the recovery and the node's note while mariadbd does not run. Leaves to others: what the directory says
(`local_state`), mariadbd's part of the recovery (`server`), what follows from it (`decision`).
"""

from __future__ import annotations

from dataclasses import replace

from . import local_state
from .first_process import Renew
from .local_state import NO_UUID, Kind, Local, Note
from .parts import Parts
from .server import RecoverError
from .store import Details
from .words import log


class OwnData:
    """The data directory, of which this process is the only user."""

    def __init__(self, parts: Parts) -> None:
        self._settings, self._topics, self._server = parts.settings, parts.topics, parts.server
        self._membership, self._formation = parts.membership, parts.formation
        self._encryption, self._failed_starts = parts.encryption, parts.failed_starts
        self._observer, self._reports, self._option_file = parts.observer, parts.reports, parts.option_file

    def local(self, shown: str = "starting") -> Local:
        """The data directory's state with a certain position; recovers it from InnoDB after a crash.

        `shown`: what the node shows itself as meanwhile.
        """
        self._reports.problem = self._failed_starts.problem
        if local_state.drop_empty_log(self._settings.data_dir):
            log("removed an empty tc.log: a start of the server had ended without room on the disk")
        state = local_state.read(self._settings.data_dir)
        if state.kind is not Kind.DATA or state.seqno >= 0:
            return state
        presence = self._observer.presence(shown, state.uuid, -1)
        if self._reports.served and self._membership.look(presence, self.details(state)) is not None:
            raise Renew  # for the same reason as before joining: see `attempt`
        log("the last stop was not orderly: recovering the position from InnoDB")
        self._option_file.write(self._formation.weight, ())
        code = self._reports.attend(
            self._server.recover(),
            "recovering the position from InnoDB",
            lambda: self._membership.look(presence, self.details(state)),
        )
        try:
            uuid, seqno = self._server.recovered(code)
        except RecoverError as error:
            self._topics.say("recovery", f"{error}")
            self._reports.problem = "the position could not be recovered from InnoDB; the log says why"
            return replace(state, unrecovered=error.brief)
        self._topics.end("recovery")
        log(f"recovered position {uuid}:{seqno}")
        started, _, position = state.note.start.partition(":")
        if uuid == NO_UUID and started == state.uuid != NO_UUID and position.isdigit():
            # A bootstrap clears InnoDB's position, and sets it anew before anything is done at it.
            log(f"a bootstrap from {state.note.start} had just begun: that is the position")
            return replace(state, seqno=int(position))
        if state.uuid not in (NO_UUID, uuid):
            self._reports.problem = (
                f"grastate.dat says {state.uuid}, InnoDB says {uuid}: not trusting the position"
            )
            self._topics.say("recovery", self._reports.problem)
            return state
        if state.uuid == NO_UUID != uuid:
            # Galera writes zeros over the position of data that it has found to differ from the others'.
            self._reports.problem = "Galera has marked the data as unusable"
            return replace(state, uuid=uuid, seqno=seqno, trusted=False)
        return replace(state, uuid=uuid, seqno=seqno)

    def again(self, local: Local) -> Local:
        """The same, looked at again while others may have changed the directory; recovered only if so."""
        state = local_state.read(self._settings.data_dir)
        same = (state.kind, state.uuid, state.note, state.aside) == (
            local.kind,
            local.uuid,
            local.note,
            local.aside,
        )
        return local if same else self.local()

    def details(self, local: Local) -> Details:
        """What this node shows of itself while mariadbd does not run."""
        view, problem = local.note.component, self._reports.problem
        aside = local.aside and local_state.kept_from(self._settings.data_dir)  # perhaps removed since
        shown = Details(local.epoch, local.trusted, problem, view=view, aside=aside)
        return self._encryption.shown(shown)

    def note(self, local: Local, note: Note) -> Local:
        """Writes the node's note, unless it says so already; the directory's state with it."""
        if note != local.note:
            local_state.write_note(self._settings.data_dir, note)
        return replace(local, note=note)
