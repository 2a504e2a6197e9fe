"""The `etcd-member` command: the container's process, its health check, and what a person tells it.

`run` waits until it can decide safely, then replaces itself with etcd, which handles SIGTERM on its own.
Every decision is one line on stderr.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:  # the health check must not pay for it
    from .formation import Answer, Decision, Start
    from .settings import Settings

RETRY = 2.0  # seconds between tries, while members are waited for or the cluster cannot change its seats
USAGE = """usage: etcd-member run          the container's process
       etcd-member health       exit code 0 when this member serves clients
       etcd-member clients      whom it lets in, in one line: `users`, or what is wrong
       etcd-member secure       no client of the version before is left: all must be users from now on
       etcd-member forget NAME  host NAME leaves for good: take its seat away
       etcd-member force-new-cluster
                                the majority is lost for good: this member goes on alone, with all records. It
                                ends, and the engine starts it anew. The others, should they come back, must
                                come empty"""
PROGRAM = "/usr/local/bin/etcd-member"  # this one, in the image
CLIENT_URL = "https://etcd:2381"  # any member
LOOPBACK = "https://127.0.0.1:2381"  # this container's member, for root


def log(message: str) -> None:
    """One line for a person."""
    print(f"etcd-member: {message}", file=sys.stderr, flush=True)


def arguments(
    settings: Settings, state: str | None = None, cluster: str = "", alone: bool = False
) -> list[str]:
    """The complete command line of etcd; nothing is taken from the environment.

    Args:
        state: `--initial-cluster-state`, and `cluster` the list that goes with it; without, a member goes on
            with its data, which knows better.
        alone: go on from the own data as the only member, whoever else has been one, and where nobody can
            join (`alone.settle`).
    """
    listen = "127.0.0.1" if alone else settings.listen
    initial = [] if state is None else [
        f"--initial-cluster={cluster}",
        f"--initial-cluster-state={state}",
        f"--initial-cluster-token={settings.token}",
        f"--initial-advertise-peer-urls={settings.peer_url}",
    ]  # fmt: skip
    return [
        "/usr/bin/etcd",
        f"--name={settings.name}",
        f"--data-dir={settings.data_dir}",
        *initial,
        *(["--force-new-cluster"] if alone else []),
        f"--listen-peer-urls=https://{listen}:{settings.peer_port}",
        # With TLS; and for this container itself without.
        f"--listen-client-urls=https://{listen}:{settings.client_port},{_local(settings)}",
        f"--advertise-client-urls={settings.client_url}",
        "--client-cert-auth",
        f"--trusted-ca-file={settings.secrets / 'etcd-client-ca.crt'}",
        f"--cert-file={settings.secrets / 'etcd-server.crt'}",
        f"--key-file={settings.secrets / 'etcd-server.key'}",
        # Passwords are drawn, 32 characters long: to guess one is not made harder by slow checks.
        "--bcrypt-cost=4",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={settings.ca_file}",
        f"--peer-cert-file={settings.cert_file}",
        f"--peer-key-file={settings.key_file}",
        # A published port may show another source address than the certificate names.
        "--experimental-peer-skip-client-san-verification",
        f"--heartbeat-interval={settings.heartbeat_ms}",
        f"--election-timeout={settings.election_ms}",
        # A member that starts need not wait out an election time-out before it asks for votes.
        "--initial-election-tick-advance=true",
        "--pre-vote",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=1h",
        f"--quota-backend-bytes={256 << 20}",
        f"--snapshot-count={1 if alone else 10000}",
        "--logger=zap",
        "--log-outputs=stderr",
        "--log-level=warn",
        *settings.extra,
    ]


def _local(settings: Settings) -> str:
    return f"http://{settings.loopback}:{settings.local_port}"


def take_seat(settings: Settings, peer_url: str, urls: Sequence[str] = ()) -> str:
    """Takes a seat at `peer_url`, after this member's own former one; returns the `--initial-cluster` text.

    Waits for a quorum.

    Args:
        urls: where clients of the live members go, as these say; among members of the version before that is
            a port without TLS.
    """
    from .api import ClusterApi
    from .ctl import ApiError
    from .formation import has_free_seat, initial_cluster, seats_of

    api = ClusterApi(urls or [settings.client_url], settings.secrets)
    said = ""
    while True:
        try:
            # Each question may go to another member, and one may be behind: who changed the list knows it.
            members = api.members()
            for member_id in seats_of(settings.name, peer_url, members):
                log(f"removing the own former seat {member_id:x}: its data is lost")
                members = api.remove(member_id)
            if not has_free_seat(peer_url, members):
                log(f"adding a seat for {settings.name} at {peer_url}")
                members = api.add(settings.name, peer_url)
            return initial_cluster(settings.name, peer_url, members, settings.peers)
        except ApiError as error:
            if str(error) != said:
                said = str(error)
                log(f"waiting until the cluster can change its seats: {said}")
            time.sleep(RETRY)


def decided(settings: Settings) -> tuple[Start, list[str]]:
    """How to start, and the command line of etcd, once it is safe."""
    from . import alone, clients
    from .api import ClusterApi, LocalMember
    from .formation import Start, client_urls, decide
    from .member_data import has_member_data

    has_data = has_member_data(settings.data_dir)
    if not has_data and any(settings.data_dir.glob("member/*")):
        log(f"{settings.data_dir}/member has no log: an earlier start ended before its first write")

    said = ""

    def look(answers: Mapping[str, Answer], at_home: bool = True) -> Decision:
        nonlocal said
        decision = decide(has_data, settings.name, settings.peers, answers, at_home)
        if decision.reason != said:
            said = decision.reason
            log(f"{decision.start.value}: {said}")
        return decision

    if has_data or settings.peer_url is None:
        while look({}).start is Start.WAIT:
            time.sleep(RETRY)  # for the service's next version, which ends this process
        if has_data and alone.has_word(settings.data_dir):
            member, api = LocalMember(settings.local_port), ClusterApi([LOOPBACK], settings.secrets)
            alone.settle(arguments(settings, alone=True), settings.data_dir, member, api, log)
            alone.take_word(settings.data_dir)
        return Start.RESUME, arguments(settings)
    from .peers import EmptySeat

    seat = EmptySeat(settings)
    while (decision := look(answers := seat.answers(), seat.at_home)).start is Start.WAIT:
        seat.asked.wait(RETRY)
    if decision.start is Start.NEW:
        clients.leave_mark(settings.data_dir)
        return Start.NEW, arguments(settings, "new", decision.cluster)
    seat.close()
    clients.take_mark(settings.data_dir)
    cluster = take_seat(settings, settings.peer_url, client_urls(answers))
    return Start.REJOIN, arguments(settings, "existing", cluster)


def run() -> NoReturn:
    """Decides how this member starts and becomes etcd, with a process beside it that sees to its clients.

    When that ends, etcd leaves its entry in the process table: it takes no notice of children.
    """
    from . import settings as settings_module
    from .certificate import valid_until

    # The first process of a container is not ended by a signal that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    settings = settings_module.load()
    for name in settings_module.CERTIFICATES:
        end = valid_until(settings.secrets / name)
        if end is not None and end.timestamp() < time.time():
            log(f"{name} expired on {end:%Y-%m-%d}: nobody accepts it. Remedy: `pulumi up` brings a new one")
    start, argv = decided(settings)
    subprocess.Popen([PROGRAM, "keep", start.value], stdin=subprocess.DEVNULL)
    # The listening socket of an empty member closes with this process image.
    os.execve(argv[0], argv, {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "GOMAXPROCS": "2"})


def forget(name: str, environ: Mapping[str, str] = os.environ) -> int:
    """Takes away the seats of a host that leaves for good; 0 when it has none any more.

    To be run in the container of another member, while that host's member still runs: its vote then counts
    for its own removal.
    """
    from .api import ClusterApi
    from .ctl import ApiError
    from .formation import seats_to_forget
    from .member_data import has_member_data
    from .settings import parse_peers

    if name == environ.get("NODE_NAME"):
        print(f"{name} is this member itself: ask another one", file=sys.stderr)
        return 1
    secrets = Path(environ.get("SECRETS_DIR", "/run/secrets"))
    empty = not has_member_data(Path(environ.get("DATA_DIR", "/var/lib/etcd")))
    # An empty member is in no cluster; should there be one, others answer for it.
    api = ClusterApi([environ.get("CLIENT_URL", CLIENT_URL) if empty else LOOPBACK], secrets)
    url = parse_peers(environ.get("ETCD_INITIAL_CLUSTER", "")).get(name)
    try:
        seats = seats_to_forget(name, url, api.members())
        for member_id in seats:
            api.remove(member_id)
    except ApiError as error:
        if empty:
            print(f"{name} has no seat that is known here: no cluster answers ({error})")
            return 0
        print(f"the seat of {name} cannot be taken away: {error}", file=sys.stderr)
        return 1
    print(f"{name} has {'lost its seat' if seats else 'no seat'}")
    return 0


def health(port: int = 2382) -> int:
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
    if len(argv) == 2 and argv[0] == "forget":
        return forget(argv[1])
    if argv not in (["run"], ["force-new-cluster"], ["clients"], ["secure"]) and argv[:1] != ["keep"]:
        print(USAGE, file=sys.stderr)
        return 2
    from .alone import AloneError
    from .ctl import ApiError
    from .settings import SettingsError

    try:
        return _with_settings(argv)
    except SettingsError as error:
        log(str(error))
        return 2
    except (AloneError, ApiError) as error:
        log(str(error))
        return 1


def _with_settings(argv: list[str]) -> int:
    """Those commands that need all of the container's settings."""
    from . import clients, force
    from .formation import Start
    from .settings import load

    match argv:
        case ["run"]:
            run()
        case ["force-new-cluster"]:
            return force.force_new_cluster(log)
        case ["clients"]:
            print(clients.told(load()))
        case ["secure"]:
            print(clients.secure(load(), log))
        case ["keep", start]:
            clients.keep(load(), Start(start), log)
    return 0
