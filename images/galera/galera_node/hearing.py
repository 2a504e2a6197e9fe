"""When the writer last said that it can take writes.

It is asked beside the looks of `endpoints`: a host that has died answers nothing, and who waited for that
would see too late that Galera has left it out.
"""

from __future__ import annotations

import threading

from . import neighbours

AT_ONCE = 0.05  # seconds that a look waits for the answer; it is mostly there
PATIENCE = 2.0  # seconds for an answer: on a machine whose processors are all busy it takes one or more
QUESTIONS = 2  # in a row without an answer before a writer is silent: who is busy itself asks less often


class Hearing:
    """One writer's word at a time; one question at a time. Times are of the monotonic clock.

    Attributes:
        unanswered: questions since it was last heard.
    """

    def __init__(self, now: float) -> None:
        self._writer, self._at, self.unanswered = "", now, 0
        self._asking: threading.Thread | None = None

    def of(self, writer: str, address: str, now: float) -> float:
        """When `writer` was last heard; another one than before counts as heard `now`.

        Args:
            address: where it is asked; empty: it cannot be.
        """
        if writer != self._writer:
            self._writer, self._at, self.unanswered = writer, now, 0
        if address and (self._asking is None or not self._asking.is_alive()):
            self._asking = threading.Thread(target=self._ask, args=(writer, address, now), daemon=True)
            self._asking.start()
        if self._asking is not None:
            self._asking.join(AT_ONCE)
        return self._at

    def _ask(self, writer: str, address: str, now: float) -> None:
        able = neighbours.able(address, timeout=PATIENCE)
        if writer != self._writer:
            return
        if able:
            self._at = max(self._at, now)  # the answer may come late, to a question of before
        self.unanswered = 0 if able else self.unanswered + 1
