"""The engine's API with TLS on a port of the host, for whoever has a certificate; and the way back.

Owns: these scripts, the files' places on the host. Leaves to others: the rest of the engine's configuration
and the restart in turn (engine.py), who signs (components/engine_tls.py).

The engine's unit says where it listens (`-H fd://`), so daemon.json must not: with both it does not start. A
drop-in starts it as the unit does, with one more address. What has the engine listen and what has it ask for
certificates is one line, so there is never the one without the other. An engine reads its certificates when
it starts: others than before need a restart, as a changed daemon.json does.
"""

from __future__ import annotations

from dataclasses import dataclass

from components.host_scripts.shell import assign, body
from settings.ports import ENGINE_PORT

END = "."
"""Line that ends each of the texts on standard input."""


@dataclass(frozen=True)
class Places:
    """Where things are on the host; other values are for tests."""

    folder: str = "/etc/docker/swarm-galera-tls"
    dropin: str = "/etc/systemd/system/docker.service.d/20-swarm-galera-tls.conf"


def listen(hostname: str, state: str, places: Places | None = None) -> str:
    """Shell text for before the engine's start: it listens there from that on, or after its next restart.
    Like `gone`, it calls the function of `engine.START`.

    Standard input: `values`. An engine without containers is restarted at once; else the restart is noted for
    `engine.settle`. Fails, and changes nothing, on a host that does not have the address.

    Args:
        state: folder of the note.
    """
    return f"{_facts(hostname, state, places)}\n{assign(tls_port=ENGINE_PORT)}\n{_RENEWED}\n{_LISTEN}"


def values(address: str, authority: str, certificate: str, key: str) -> str:
    """What `listen` reads: the address to listen on, whose clients come in, certificate and key, as PEM."""
    return f"{address}\n" + "".join(f"{text.rstrip()}\n{END}\n" for text in (authority, certificate, key))


def gone(hostname: str, state: str, places: Places | None = None) -> str:
    """Shell text that takes back what `listen` did, where it did anything; restarts as that does."""
    return f"{_facts(hostname, state, places)}\n{_RENEWED}\n{_GONE}"


def _facts(hostname: str, state: str, places: Places | None) -> str:
    at = places or Places()
    return assign(hostname=hostname, state=state, tls_folder=at.folder, tls_dropin=at.dropin)


_RENEWED = body("engine_renewed")

_LISTEN = body("engine_tls")

_GONE = body("engine_tls_gone")
