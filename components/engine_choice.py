"""Which manager docker resources go to where the engines' API has TLS: one that answers as a manager.

Owns: asking the engines, the choice among them, the words for what is wrong with all of them. Imports no
Pulumi, changes nothing. Leaves to others: when it is made (docker_host_access.py,
operations/around_run/engine_way.py).

The docker plugin takes one address, and asks there. Unlike `any-manager` (manager_choice.py), which is looked
up for each connection, that address is in the state. So the one of before is kept while it will do.
"""

from __future__ import annotations

import http.client
import json
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from components.manager_choice import LEADS, NO_ENGINE, SILENT, WORDS, rank
from settings.errors import UserError
from settings.ports import ENGINE_PORT

ANSWERED = 10.0
"""Seconds for an engine to answer."""
PATIENCE = 60.0
"""Seconds until the best of those who answer is taken: a leader may be being elected, an engine starting."""
REFUSED = 10.0
"""Seconds until engines that refuse TLS, while no other answers, are an error."""
ENDED = "it ended the connection, most likely for the client's certificate"
"""Of TLS 1.3 a client is told so after it has begun to speak, and what it is told may be lost with that."""
REMEDY = (
    "`verify` says what is amiss; `up` renews certificates in their last year. Where none is good any more, "
    "or this machine does not reach the port: set engine.access: ssh, run `up`, then set it to tls again"
)


class NobodyLetsUsIn(UserError):
    """Engines answer, and TLS with none of them comes about."""


@dataclass(frozen=True)
class Shown:
    """What a client shows, and whom it trusts; PEM."""

    authority: str
    certificate: str
    key: str = field(repr=False)

    def context(self) -> ssl.SSLContext:
        """For connections. Raises ssl.SSLError for what does not go together."""
        with tempfile.TemporaryDirectory(prefix="swarm-galera-tls-") as folder:  # 0700
            file = Path(folder, "client.pem")
            file.write_text(f"{self.certificate}\n{self.key}", encoding="utf-8")
            made = ssl.create_default_context(cadata=self.authority)
            made.load_cert_chain(file)
        return made


@dataclass(frozen=True)
class Said:
    """What an engine is (`manager_choice`: LEADS, …), and why not more; `refused`: TLS did not come about."""

    rank: int
    why: str = ""
    refused: bool = False


def url(address: str) -> str:
    """As docker's programs take it."""
    return f"tcp://{address}:{ENGINE_PORT}"


def address_of(host: object) -> str:
    """The address in what `url` makes; empty for anything else."""
    text = str(host or "")
    return text.removeprefix("tcp://").removesuffix(f":{ENGINE_PORT}") if text.startswith("tcp://") else ""


def asked(address: str, shown: Shown, port: int = ENGINE_PORT) -> Said:
    """Ask the engine at an address what it is in the swarm; never raises."""
    try:
        context = shown.context()
        connection = http.client.HTTPSConnection(address, port, timeout=ANSWERED, context=context)
        try:
            connection.connect()
            try:
                nodes, _ = _get(connection, "/nodes")
            except ConnectionError:
                return Said(SILENT, ENDED, refused=True)
            if nodes == 200:
                return Said(LEADS)
            swarm = json.loads(_get(connection, "/info")[1])["Swarm"]
        finally:
            connection.close()
    except ssl.SSLError as error:
        return Said(SILENT, told(error), refused=True)
    except OSError as error:
        return Said(SILENT, error.strerror or str(error) or "no answer")
    except (http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        return Said(NO_ENGINE, f"an answer that is no engine's ({type(error).__name__})")
    found = rank(f"{swarm.get('LocalNodeState')} {str(bool(swarm.get('ControlAvailable'))).lower()}")
    return Said(found, WORDS[found])


def _get(connection: http.client.HTTPSConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def told(error: ssl.SSLError) -> str:
    """What is wrong with TLS, in its own words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    words = (error.reason or str(error)).replace("_", " ").lower()
    return f"TLS: {words} (of the client's certificate, if it speaks of one)"


def choose(
    managers: Mapping[str, str],
    before: str,
    ask: Callable[[str], Said],
    say: Callable[[str], object] = lambda _text: None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
    patience: float = PATIENCE,
) -> str:
    """The address to go to: that of before while it leads, else the first one that does.

    Where nobody answers at all, that of before: it is the one that is missed.

    Args:
        managers: addresses by the hosts' names, in the order in which they are asked.
        before: which was chosen last; empty, or an address that is no manager's any more, for none.

    Raises NobodyLetsUsIn.
    """
    addresses = list(managers.values())
    order = sorted(addresses, key=lambda address: address != before)
    begun = told_at = clock()
    while True:
        # The one of before is mostly still the right one: then nobody else is disturbed.
        found = {order[0]: ask(order[0])}
        if found[order[0]].rank != LEADS:
            found |= _all(order[1:], ask)
        best = min(found, key=lambda address: found[address].rank)
        if found[best].rank == LEADS:
            return best
        names = {address: name for name, address in managers.items()}
        words = "; ".join(f"{names[each]} ({each}): {found[each].why}" for each in order)
        waited = clock() - begun
        if waited >= REFUSED and found[best].rank == SILENT and any(each.refused for each in found.values()):
            raise NobodyLetsUsIn(f"No manager's engine can be asked with TLS: {words}. Remedy: {REMEDY}")
        if waited >= patience:
            say(f"No manager's engine answers as one of a swarm that has a leader: {words}. Remedy: {REMEDY}")
            return best
        if clock() - told_at >= 10:
            told_at = clock()
            say(f"waiting for a manager's engine: {words}")
        pause(2.0)


def _all(addresses: Sequence[str], ask: Callable[[str], Said]) -> dict[str, Said]:
    if not addresses:
        return {}
    with ThreadPoolExecutor(len(addresses)) as threads:
        return dict(zip(addresses, threads.map(ask, addresses), strict=True))
