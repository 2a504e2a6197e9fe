"""etcdctl as root: what only root may do, once the store has users.

Root has no password. It is whoever shows the certificate that is in the members' containers, and only over
gRPC: the JSON gateway knows nobody by a certificate. So etcd's own client is called, and its words are read.

A store of before, which takes clients without TLS, is asked in the same way: see `plain` in `Etcdctl`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PROGRAM = "/usr/bin/etcdctl"


class ApiError(Exception):
    """The cluster refused or did not answer; the message is for the log."""


class Etcdctl:
    """Calls of etcdctl to one or more URLs, of which the first that answers counts.

    Args:
        urls: `https://…`, or `http://…` of members that an older version of this image runs.
        secrets: the folder of the certificates. timeout: seconds for one call.
    """

    def __init__(self, urls: Sequence[str], secrets: Path, timeout: float = 5.0) -> None:
        self.urls, self._secrets, self._timeout = tuple(urls), secrets, timeout

    def ask(self, *words: str) -> dict[str, Any]:
        """What a call says in JSON. Raises ApiError."""
        text = self.tell(*words, "--write-out=json")
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ApiError(f"{' '.join(words[:2])}: etcdctl answers with no record: {text[:80]!r}")
        return answer

    def tell(self, *words: str, line: str = "") -> str:
        """What a call prints; `line`: for its standard input. Raises ApiError."""
        for number, url in enumerate(self.urls, 1):
            done = self._call(url, words, line)
            if done.returncode == 0:
                return done.stdout
            error = f"{' '.join(words[:2])} at {urlsplit(url).netloc}: {_why(done.stderr)}"
            # Only nobody's answer leads to the next one: what a member refuses, it refuses.
            if "etcdserver:" in error or number == len(self.urls):
                break
        raise ApiError(error)

    def _call(self, url: str, words: Sequence[str], line: str) -> subprocess.CompletedProcess[str]:
        patience = f"{self._timeout:.0f}s"
        options = [f"--endpoints={url}", f"--command-timeout={patience}", f"--dial-timeout={patience}"]
        if url.startswith("https:"):
            options += [
                f"--cacert={self._secrets / 'etcd-client-ca.crt'}",
                f"--cert={self._secrets / 'etcd-root.crt'}",
                f"--key={self._secrets / 'etcd-root.key'}",
            ]
        try:
            return subprocess.run(
                [PROGRAM, *options, *words],
                env={"ETCDCTL_API": "3"},
                input=f"{line}\n" if line else "",
                capture_output=True,
                text=True,
                timeout=self._timeout + 10,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return subprocess.CompletedProcess(PROGRAM, 1, "", str(error))


def _why(said: str) -> str:
    """The error among what etcdctl says on standard error, where its library's log is, too."""
    lines = said.strip().splitlines() or ["no reason given"]
    found = next((line for line in reversed(lines) if line.startswith("Error: ")), lines[-1])
    return _with_reason(found.removeprefix("Error: "), said)


def _with_reason(error: str, said: str) -> str:
    """etcdctl says `context deadline exceeded` where a certificate is refused, and why only in its log."""
    for sign, meaning in (
        ("certificate has expired", "a certificate has expired"),
        ("signed by unknown authority", "another authority has signed the member's certificate"),
        ("bad certificate", "the member refuses the certificate of root"),
        ("connection refused", "nobody answers there"),
    ):
        if sign in said and sign not in error:
            return f"{error}: {meaning}"
    return error
