"""The container's log: one line a decision, with the time as mariadbd writes it. Never a secret."""

from __future__ import annotations

import sys
import time


def log(message: str) -> None:
    """One line for a person."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} galera-node: {message}", file=sys.stderr, flush=True)


class Topics:
    """Lines that are not repeated while there is nothing new to say on their topic."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def say(self, topic: str, text: str) -> None:
        """Logs a line unless it is what was last said on this topic."""
        if self._said.get(topic) != text:
            self._said[topic] = text
            log(text)

    def end(self, topic: str) -> bool:
        """The topic is over: the same line would be news again. Whether anything was said on it."""
        return self._said.pop(topic, None) is not None
