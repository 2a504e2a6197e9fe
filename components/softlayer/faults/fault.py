"""One line of the table of faults: what it is about, and what it says to people."""

from __future__ import annotations

import re
from dataclasses import dataclass

ANY = ".*"
"""A code or text that does not matter."""


@dataclass(frozen=True)
class Fault:
    """One line of the table.

    Attributes:
        code: pattern of the whole fault code; HTTP errors have their status as the code, lost connections 0.
        text: pattern found in the fault's text.
        why, remedy: for people.
    """

    code: str
    text: str
    why: str
    remedy: str

    def matches(self, code: str, text: str) -> bool:
        """Whether this line is about such a fault."""
        return bool(re.fullmatch(self.code, code) and re.search(self.text, text, re.IGNORECASE))
