"""A site that notes what is done to it, and does nothing. Some of it can be made to fail."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chaos.site import Site
from harness.lab_cluster import HOSTS, LabCluster, LabFailed


class FakeSite(Site):
    """done: what was done, a line each. fails: words; whatever has them fails."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(LabCluster("fake"), tmp_path / "log.txt")
        self.done: list[str] = []
        self.fails: tuple[str, ...] = ()
        self.boots = 0

    def _did(self, text: str) -> str:
        self.done.append(text)
        if any(words in text for words in self.fails):
            raise LabFailed(f"made to fail: {text}")
        return ""

    def sh(self, host: str, script: str, limit: float = 120) -> str:
        if "boot_id" in script:
            self.boots += 1
            return f"boot {self.boots}"
        self._did(f"{host}: {script}")
        return self.says(script)

    def says(self, script: str) -> str:
        """What a host prints: it is long past any hour, and a table was locked."""
        return "99999999999\n" if script == "date +%s" else "held\n" if "LOCK TABLES" in script else ""

    def sql(self, host: str, statements: str, limit: float = 120) -> str:
        self._did(f"{host}: sql {statements}")
        return "wsrep_cluster_size\t2" if "wsrep_cluster_size" in statements else ""

    def lab(self, *words: str) -> None:
        self._did(f"lab {' '.join(words)}")

    def run(self, words: Sequence[str], limit: float) -> str:
        return self._did(f"$ {' '.join(words)}")

    def start(self, words: Sequence[str], extra: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        self._did(f"$ {' '.join(words)} …")
        return subprocess.Popen(["true"], stdout=subprocess.PIPE, text=True)

    def power(self, hosts: Sequence[str], *how: str) -> None:
        for host in hosts:
            self._did(f"{host}: {' '.join(how)}")

    def answers(self, host: str) -> bool:
        return True

    def leader(self) -> str:
        return HOSTS[2]

    def until(self, what: str, holds: Callable[[], bool], limit: float) -> None:
        """Nothing is waited for; what is looked at is."""
        if not what.startswith("the end of"):
            assert holds()
