"""A site that notes what is done to it, and does nothing. Some of it can be made to fail."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chaos.site import Site
from harness.lab_cluster import HOSTS, LabCluster, LabFailed


class FakeSite(Site):
    """done: what was done, a line each. fails: words; whatever has them fails. ups_last: an `up` does not end
    by itself.
    """

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(LabCluster("fake"), tmp_path / "log.txt")
        self.done: list[str] = []
        self.fails: tuple[str, ...] = ()
        self.boots = self.looks = 0
        self.ups_last = True

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
        if "docker node ls" in script and any("iptables -I" in line for line in self.done):
            raise LabFailed("the swarm does not have a leader")
        return self.says(script)

    def says(self, script: str) -> str:
        """What a host prints: it is long past any hour, and a table was locked."""
        self.looks += 1  # each time another process
        told = {"date +%s": "99999999999", "pgrep -x mariadbd || true": str(self.looks // 2)}
        return "held\n" if "LOCK TABLES" in script else told.get(script, "")

    def sql(self, host: str, statements: str, limit: float = 120) -> str:
        self._did(f"{host}: sql {statements}")
        return "wsrep_cluster_size\t2" if "wsrep_cluster_size" in statements else ""

    def lab(self, *words: str) -> None:
        self._did(f"lab {' '.join(words)}")

    def run(self, words: Sequence[str], limit: float) -> str:
        return self._did(f"$ {' '.join(words)}")

    def start(self, words: Sequence[str], extra: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        self._did(f"$ {' '.join(words)} …")
        text = "sleep 600" if self.ups_last else "true"
        return subprocess.Popen(
            ["sh", "-c", text], stdout=subprocess.PIPE, text=True, env={**os.environ, **(extra or {})}
        )

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
