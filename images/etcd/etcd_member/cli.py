"""The `etcd-member` command: the container's process, its health check, and what a person tells it.

`run` waits until it can decide safely, then replaces itself with etcd, which handles SIGTERM on its own.
Every decision is one line on stderr.
"""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:  # the health check must not pay for it
    from .formation import Answer, Decision
    from .settings import Settings

RETRY = 2.0  # seconds between tries, while members are waited for or the cluster cannot change its seats
USAGE = """usage: etcd-member run          the container's process
       etcd-member health       exit code 0 when this member serves clients
       etcd-member forget NAME  host NAME leaves for good: take its seat away
       etcd-member force-new-cluster
                                the majority is lost for good: this member goes on alone, with all records. It
                                ends, and the engine starts it anew. The others, should they come back, must
                                come empty"""
STARTING = 30.0  # seconds in which a member that does not answer may only be slow


def log(message: str) -> None:
    """One line for a person."""
    print(f"etcd-member: {message}", file=sys.stderr, flush=True)


def has_member_data(data_dir: Path) -> bool:
    """Whether the directory holds a member: its write-ahead log has at least one file."""
    wal = data_dir / "member" / "wal"
    return wal.is_dir() and any(entry.name.endswith(".wal") for entry in wal.iterdir())


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
        f"--listen-client-urls=http://{listen}:{settings.client_port}",
        f"--advertise-client-urls={settings.client_url}",
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


def take_seat(settings: Settings, peer_url: str) -> str:
    """Takes a seat at `peer_url`, after this member's own former one; returns the `--initial-cluster` text.

    Waits for a quorum.
    """
    from .api import ApiError, ClusterApi
    from .formation import has_free_seat, initial_cluster, seats_of

    api = ClusterApi(settings.client_url)
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
                members = api.add(peer_url)
            return initial_cluster(settings.name, peer_url, members, settings.peers)
        except ApiError as error:
            if str(error) != said:
                said = str(error)
                log(f"waiting until the cluster can change its seats: {said}")
            time.sleep(RETRY)


def decided(settings: Settings) -> list[str]:
    """The command line of etcd, once it is safe to start."""
    has_data = has_member_data(settings.data_dir)
    if not has_data and any(settings.data_dir.glob("member/*")):
        log(f"{settings.data_dir}/member has no log: an earlier start ended before its first write")
    from . import alone
    from .formation import Start, decide

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
            alone.settle(arguments(settings, alone=True), settings.data_dir, settings.client_port, log)
            alone.take_word(settings.data_dir)
        return arguments(settings)
    from .peers import EmptySeat

    seat = EmptySeat(settings)
    while (decision := look(seat.answers(), seat.at_home)).start is Start.WAIT:
        seat.asked.wait(RETRY)
    if decision.start is Start.NEW:
        return arguments(settings, "new", decision.cluster)
    seat.close()
    return arguments(settings, "existing", take_seat(settings, settings.peer_url))


def run() -> NoReturn:
    """Decides how this member starts and becomes etcd."""
    from . import settings as settings_module

    # The first process of a container is not ended by a signal that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    argv = decided(settings_module.load())
    # The listening socket of an empty member closes with this process image.
    os.execve(argv[0], argv, {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "GOMAXPROCS": "2"})


def forget(name: str, environ: Mapping[str, str] = os.environ) -> int:
    """Takes away the seats of a host that leaves for good; 0 when it has none any more.

    To be run in the container of another member, while that host's member still runs: its vote then counts
    for its own removal.
    """
    from .api import ApiError, ClusterApi
    from .formation import seats_to_forget
    from .settings import parse_peers

    if name == environ.get("NODE_NAME"):
        print(f"{name} is this member itself: ask another one", file=sys.stderr)
        return 1
    local = environ.get("LISTEN_ADDRESS", "127.0.0.1").replace("0.0.0.0", "127.0.0.1")
    empty = not has_member_data(Path(environ.get("DATA_DIR", "/var/lib/etcd")))
    # An empty member is in no cluster; should there be one, others answer for it.
    api = ClusterApi(environ.get("CLIENT_URL", "http://etcd:2379") if empty else f"http://{local}:2379")
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


class Undecided(Exception):
    """Whether there is a majority will be seen in a moment."""


def age(process: int) -> float:
    """Seconds since a process has started; a long time if there is none."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return float(Path("/proc/uptime").read_text().split()[0]) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return float("inf")


def has_majority(settings: Settings, up: float) -> bool:
    """Whether a majority answers, or may do so in a moment. This member's word counts if it runs.

    One that has started without a majority serves nobody, and cannot be asked; then the others are. `up`:
    seconds since it has started. Raises Undecided, or ApiError.
    """
    from .api import ClusterApi
    from .peers import ask_all, context

    local = settings.listen.replace("0.0.0.0", "127.0.0.1")
    # A member says after some election time-outs that it has no majority; so long it may take.
    api = ClusterApi(f"http://{local}:{settings.client_port}", timeout=60.0)
    if api.serves():
        return any(api.has_majority() for _ in range(2))
    if up < STARTING:
        raise Undecided(f"this member is {up:.0f} s old and does not answer yet: repeat")
    log("this member serves nobody; asking the others")
    others = {name: url for name, url in settings.peers.items() if name != settings.name}
    answers = ask_all(others, settings.name, context(settings, ssl.PROTOCOL_TLS_CLIENT))
    with_data = [name for name, members in answers.items() if members]
    return 2 * (len(with_data) + 1) > len(settings.peers)


def end_soon(process: int) -> None:
    """Ends a process in a second: that of the container takes all others with it, this command, too."""
    command = f"import os, time; time.sleep(1); os.kill({process}, {int(signal.SIGTERM)})"
    subprocess.Popen(
        [sys.executable, "-ISc", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def force_new_cluster(environ: Mapping[str, str] = os.environ, process: int = 1) -> int:
    """Leaves the word for the next start, and ends this container's first process, which is `process`.

    Refused while a majority answers: there is nothing to force then, and members that live would be cut off.
    """
    from . import settings as settings_module
    from .alone import leave_word
    from .api import ApiError

    settings = settings_module.load(environ)
    if not has_member_data(settings.data_dir):
        print("this member has no data: there is nothing to go on from", file=sys.stderr)
        return 1
    try:
        majority = has_majority(settings, age(process))
    except (Undecided, ApiError) as error:
        print(error, file=sys.stderr)
        return 1
    if majority:
        print("the store has its majority: nothing is to be forced")
        return 0
    leave_word(settings.data_dir)
    end_soon(process)
    print("this member goes on alone with all records once the engine has started it anew.")
    print("If it has not ended in half a minute (it waits for the others): docker kill its container.")
    print("Hosts of former members must come back empty: etcd-data/_data/member removed.")
    return 0


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
    if argv in (["run"], ["force-new-cluster"]):
        from .alone import AloneError
        from .settings import SettingsError

        try:
            return force_new_cluster() if argv == ["force-new-cluster"] else run()
        except SettingsError as error:
            log(str(error))
            return 2
        except AloneError as error:
            log(str(error))
            return 1
    if len(argv) == 2 and argv[0] == "forget":
        return forget(argv[1])
    print(USAGE, file=sys.stderr)
    return 2
