"""How this node speaks TLS: what counts for its next start, and whether its mariadbd runs in another way.

Owns: the way that was used, the node's own memory of what all have agreed on. Leaves to others: the files and
the two ways (`tls`), when a node starts anew for another one (`one_by_one`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from . import local_state, tls
from .settings import Settings
from .store import Details, Facts


class Encryption:
    """Of one container.

    Attributes:
        files: None where the node has none, and speaks without TLS.
        used: the way of the mariadbd that was started last; None without TLS, or before that.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError for files that can't work."""
        self._data_dir, self._run_dir = settings.data_dir, settings.run_dir
        self.files = tls.files(settings.secrets)
        self.used: tls.Way | None = None

    def agreed(self, facts: Facts | None) -> str:
        """On which authority all nodes have agreed, so that each speaks TLS alone; empty for none so far, and
        for a node without files, which has no word in it.
        """
        if self.files is None:
            return ""
        return (facts.tls if facts is not None else None) or local_state.agreed(self._data_dir)

    def prepare(self, facts: Facts | None) -> tls.Way | None:
        """Brings the files of the next start into place, and says how it is to be; None without TLS."""
        if self.files is None:
            return None
        self.used = self.files.way(self.agreed(facts), self._run_dir)
        self.files.put(self.used)
        return self.used

    def first(self, facts: Facts) -> str:
        """On what a new cluster agrees: all its nodes are there. Empty if one is without TLS, or has another
        authority's certificate: nobody would let it in.
        """
        if self.files is None or {facts.about(name).authority for name in facts.present} != {
            self.files.authority
        }:
            return ""
        return self.files.authority

    def behind(self, facts: Facts) -> bool:
        """Whether a start by what all have agreed on since would be another one."""
        if self.files is None or self.used is None or not facts.tls:
            return False
        return self.files.way(facts.tls, self._run_dir) != self.used

    def keep(self, facts: Facts) -> None:
        """Remembers what all have agreed on, for a start while the store is away."""
        if self.files is not None and facts.tls and facts.tls != local_state.agreed(self._data_dir):
            with suppress(OSError):  # a full disk; it is tried again
                local_state.agree(self._data_dir, facts.tls)

    def shown(self, details: Details) -> Details:
        """`details` of this node, with how it speaks TLS, or would."""
        if self.files is None:
            return details
        way = self.used or self.files.way("", self._run_dir)
        trusts = len(tls.CERTIFICATE.findall(way.authorities))
        return replace(details, tls=way.mode, authority=self.files.authority, trusts=trusts)
