"""The `etcd-member` command: `run` (the container's process) and `health` (its check).

`run` decides once, then replaces itself with etcd, which handles SIGTERM on its own. Every decision is one
line on stderr.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:  # the health check must not pay for it
    from .settings import Settings

RETRY = 2.0  # seconds between tries while the cluster has no quorum to change its seats


def log(message: str) -> None:
    """One line for a person."""
    print(f"etcd-member: {message}", file=sys.stderr, flush=True)


def has_member_data(data_dir: Path) -> bool:
    """Whether the directory holds a member: its write-ahead log has at least one file."""
    wal = data_dir / "member" / "wal"
    return wal.is_dir() and any(entry.name.endswith(".wal") for entry in wal.iterdir())


def arguments(settings: Settings, state: str, cluster: str) -> list[str]:
    """The complete command line of etcd; nothing is taken from the environment."""
    port = settings.peer_url.rsplit(":", 1)[1].rstrip("/")
    return [
        "/usr/bin/etcd",
        f"--name={settings.name}",
        f"--data-dir={settings.data_dir}",
        f"--initial-cluster={cluster}",
        f"--initial-cluster-state={state}",
        f"--initial-cluster-token={settings.token}",
        f"--initial-advertise-peer-urls={settings.peer_url}",
        f"--listen-peer-urls=https://{settings.listen}:{port}",
        f"--listen-client-urls=http://{settings.listen}:{settings.client_port}",
        f"--advertise-client-urls={settings.client_url}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={settings.ca_file}",
        f"--peer-cert-file={settings.cert_file}",
        f"--peer-key-file={settings.key_file}",
        # A published port may show another source address than the certificate names.
        "--experimental-peer-skip-client-san-verification",
        f"--heartbeat-interval={settings.heartbeat_ms}",
        f"--election-timeout={settings.election_ms}",
        "--pre-vote",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=1h",
        f"--quota-backend-bytes={256 << 20}",
        "--snapshot-count=10000",
        "--logger=zap",
        "--log-outputs=stderr",
        "--log-level=warn",
        *settings.extra,
    ]


def rejoin(settings: Settings) -> str:
    """Takes this member's own seat anew; returns the `--initial-cluster` text. Waits for a quorum."""
    from .api import ApiError, ClusterApi
    from .formation import has_free_seat, initial_cluster, seats_to_remove

    api = ClusterApi(settings.client_url)
    said = ""
    while True:
        try:
            members = api.members()
            for member_id in seats_to_remove(settings.name, settings.peer_url, members):
                log(f"removing the own former seat {member_id:x}: its data is lost")
                api.remove(member_id)
            if not has_free_seat(settings.peer_url, api.members()):
                log(f"adding a seat for {settings.name} at {settings.peer_url}")
                api.add(settings.peer_url)
            return initial_cluster(settings.name, settings.peer_url, api.members(), settings.peers)
        except ApiError as error:
            if str(error) != said:
                said = str(error)
                log(f"waiting until the cluster can change its seats: {said}")
            time.sleep(RETRY)


def run() -> NoReturn:
    """Decides how this member starts and becomes etcd."""
    from . import settings as settings_module
    from .api import members_at, tls
    from .formation import Start, decide

    settings = settings_module.load()
    if (has_data := has_member_data(settings.data_dir)) is False and any(settings.data_dir.glob("member/*")):
        log(f"{settings.data_dir}/member has no log: an earlier start ended before its first write")
    answers = []
    if not has_data:
        context = tls(settings)
        others = [url for name, url in settings.peers.items() if name != settings.name]
        answers = [found for url in others if (found := members_at(url, context)) is not None]
    start, reason = decide(has_data, settings.name, settings.peer_url, answers)
    log(f"{start.value}: {reason}")
    if start is Start.REJOIN:
        argv = arguments(settings, "existing", rejoin(settings))
    else:
        static = ",".join(f"{name}={url}" for name, url in sorted(settings.peers.items()))
        argv = arguments(settings, "new", static)
    os.execve(argv[0], argv, {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "GOMAXPROCS": "2"})


def health(port: int = 2379) -> int:
    """0 when this member serves clients, 1 otherwise.

    A member without a leader is not ended for it: a restart brings no quorum back. Plain sockets: this runs
    every few seconds on slow hosts.
    """
    import socket

    host = os.environ.get("LISTEN_ADDRESS", "127.0.0.1").replace("0.0.0.0", "127.0.0.1")
    try:
        with socket.create_connection((host, port), timeout=4) as connection:
            connection.sendall(b"GET /version HTTP/1.0\r\nHost: localhost\r\n\r\n")
            answer = connection.recv(64)
    except OSError as error:
        print(f"the client port does not answer: {error}")
        return 1
    if b" 200 " not in answer:
        print(f"the client port answers {answer[:40]!r}")
        return 1
    print("serving")
    return 0


def main(argv: list[str]) -> int:
    """Runs one command; returns the exit code."""
    if argv == ["health"]:
        return health()
    if argv == ["run"]:
        from .settings import SettingsError

        try:
            run()
        except SettingsError as error:
            log(str(error))
            return 2
    print("usage: etcd-member run | health", file=sys.stderr)
    return 2
