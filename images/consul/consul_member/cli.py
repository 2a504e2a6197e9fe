"""The `consul-member` command: the container's process, its health check, and what a person tells it.

Every decision is one line on stderr. Imports are inside the commands: the health check must not pay for the
others.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the health check must not pay for it
    from .api import AgentApi
    from .settings import Settings

RETRY = 2.0  # seconds between tries
STARTING = 30.0  # seconds in which a member that does not answer may only be slow
ELECTION = 15.0  # seconds in which a leader may be found; longer, and there is none
ALIVE = 1  # of a member's status
USAGE = """usage: consul-member run          the container's process
       consul-member health       exit code 0 when this member serves clients
       consul-member certificates until when this member's certificates last
       consul-member forget NAME  host NAME leaves for good: take away its vote and its entry
       consul-member force-new-cluster
                                  the majority is lost for good: this server goes on alone, with all records.
                                  It ends, and the engine starts it anew. The others, should they come back,
                                  must come empty"""


def log(message: str) -> None:
    """One line for a person."""
    print(f"consul-member: {message}", file=sys.stderr, flush=True)


def gateway(settings: Settings) -> str | None:
    """The address at which containers reach this host, once there is one; None if none is asked for."""
    from .config import bridge_address

    said = False
    while settings.bridge and (found := bridge_address(settings.bridge)) is None:
        if not said:
            said = True
            log(f"waiting: the interface {settings.bridge} has no address. Swarm makes it when a host joins")
        time.sleep(RETRY)
    return found if settings.bridge else None


def run() -> int:
    """Starts the agent and stays with it; the container's exit code."""
    from . import alone, config
    from . import settings as settings_module
    from .api import AgentApi
    from .certificate import valid_until
    from .supervise import Supervisor

    # The first process of a container is not ended by a signal that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    settings = settings_module.load()
    for name in settings_module.CERTIFICATES:
        end = valid_until(settings.secrets / name)
        if end is not None and end.timestamp() < time.time():
            log(f"{name} expired on {end:%Y-%m-%d}: nobody accepts it. Remedy: `pulumi up` brings a new one")
    written = config.write(settings, gateway(settings))
    if settings.is_server:
        alone.take_word(settings.data_dir, settings.address, log)
    return Supervisor(settings, written, AgentApi(settings), log).run()


def certificates(environ: Mapping[str, str] = os.environ) -> int:
    """For `verify`: until when the first of this member's certificates lasts, or which has expired."""
    from . import settings as settings_module
    from .certificate import valid_until

    settings = settings_module.load(environ)
    ends = {name: valid_until(settings.secrets / name) for name in settings_module.CERTIFICATES}
    unknown = [name for name, end in ends.items() if end is None]
    if unknown:
        print(f"{unknown[0]} can't be read")
        return 1
    name, first = min(((name, end) for name, end in ends.items() if end), key=lambda each: each[1])
    print(
        f"{name} expired on {first:%Y-%m-%d}"
        if first.timestamp() < time.time()
        else f"until {first:%Y-%m-%d}"
    )
    return 0


def forget(name: str, environ: Mapping[str, str] = os.environ) -> int:
    """Takes away the vote of a host that leaves for good, and its entry once it is dead; 0 without either.

    To be run in the container of another server. A server that still runs loses its vote alone: it counts for
    its own removal, and would contradict whoever calls it dead.
    """
    from . import settings as settings_module
    from .api import AgentApi, ApiError

    settings = settings_module.load(environ)
    if name == settings.name:
        print(f"{name} is this member itself: ask another one", file=sys.stderr)
        return 1
    try:
        done = _forget(AgentApi(settings, timeout=20.0), name, settings.hosts.get(name, ""))
    except ApiError as error:
        print(f"{name} cannot be forgotten: {error}", file=sys.stderr)
        return 1
    print(f"{name} has {' and '.join(done)}" if done else f"{name} has no seat")
    return 0


def _forget(api: AgentApi, name: str, address: str) -> list[str]:
    """What `name`, whose address is or was this, has lost. Raises ApiError."""
    from .api import ApiError
    from .seats import votes_of

    done = []
    for server in votes_of(name, address, api.servers()):
        if server["Leader"]:
            api.ask("POST", "/v1/operator/raft/transfer-leader")
        api.ask("DELETE", f"/v1/operator/raft/peer?id={server['ID']}")
        done.append("lost its seat")
    known = [each for each in api.members() if each["Name"] == name]
    if known and known[0]["Status"] != ALIVE:
        api.ask("PUT", f"/v1/agent/force-leave/{name}?prune=1")
        done.append("left the members")
    if not any(each["Status"] == ALIVE for each in known):
        try:
            entry = api.ask("GET", f"/v1/catalog/node/{name}?consistent")
        except ApiError as error:
            if error.status != 404:
                raise
            entry = None
        if entry:
            api.ask("PUT", "/v1/catalog/deregister", {"Node": name})
            done.append("lost its entry")
    return done


class Undecided(Exception):
    """Whether there is a majority will be seen in a moment."""


def age(process: int) -> float:
    """Seconds since a process has started; a long time if there is none."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return float(Path("/proc/uptime").read_text().split()[0]) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return float("inf")


def has_majority(settings: Settings, up: float, election: float = ELECTION) -> bool:
    """Whether a majority answers, or may do so in a moment.

    `up`: seconds since this member has started. `election`: seconds until having no leader counts. Raises
    Undecided.
    """
    from .api import AgentApi, ApiError

    api, answered = AgentApi(settings), False
    until = time.monotonic() + election
    while True:
        try:
            api.leader()
            answered = True
            # Not what this server remembers: the leader itself has to answer, which a majority must let it.
            api.ask("GET", "/v1/kv/swarm-galera/?keys&consistent")
            return True
        except ApiError as error:
            if error.status in (
                403,
                404,
            ):  # an answer of the leader's: no such key, or a token of another stack
                return True
            reason = error
        if time.monotonic() >= until:
            break
        time.sleep(min(1.0, election))
    if not answered and up < STARTING:
        raise Undecided(f"this member is {up:.0f} s old and does not answer yet: repeat")
    log(f"no leader for {election:.0f} s: {reason}")
    return False


def end_soon(process: int) -> None:
    """Ends a process in a second: that of the container takes all others with it, this command, too."""
    command = f"import os, time; time.sleep(1); os.kill({process}, {int(signal.SIGTERM)})"
    quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    subprocess.Popen([sys.executable, "-ISc", command], start_new_session=True, **quiet)


def force_new_cluster(environ: Mapping[str, str] = os.environ, process: int = 1) -> int:
    """Leaves the word for the next start, and ends this container's first process, which is `process`.

    Refused while a majority answers: there is nothing to force then, and servers that live would be cut off.
    """
    from . import settings as settings_module
    from .alone import has_records, leave_word

    settings = settings_module.load(environ)
    if not settings.is_server or not has_records(settings.data_dir):
        print("this member keeps no records: there is nothing to go on from", file=sys.stderr)
        return 1
    try:
        majority = has_majority(settings, age(process))
    except Undecided as error:
        print(error, file=sys.stderr)
        return 1
    if majority:
        print("the store has its majority: nothing is to be forced")
        return 0
    leave_word(settings.data_dir)
    end_soon(process)
    print("this server goes on alone with all records once the engine has started it anew.")
    print("If it has not ended in half a minute: docker kill its container.")
    print("Hosts of former servers must come back empty: what is in consul-data/_data removed.")
    return 0


def health(environ: Mapping[str, str] = os.environ) -> int:
    """What the engine asks every few seconds: 0 while this member serves, with the reason."""
    from .health import check

    code, text = check(Path(environ.get("RUN_DIR", "/dev/shm/consul-member")))
    print(text)
    return code


def main(argv: list[str]) -> int:
    """Runs one command; returns the exit code."""
    if argv == ["health"]:
        return health()
    from .alone import AloneError
    from .settings import SettingsError

    try:
        if argv == ["run"]:
            return run()
        if argv == ["certificates"]:
            return certificates()
        if argv == ["force-new-cluster"]:
            return force_new_cluster()
        if len(argv) == 2 and argv[0] == "forget":
            return forget(argv[1])
    except SettingsError as error:
        log(str(error))
        return 2
    except AloneError as error:
        log(str(error))
        return 1
    print(USAGE, file=sys.stderr)
    return 2
