"""The lab's daemons as data: what each is started with, and how one tells that it answers.

Owns: their command lines, ports and environments, when one is started anew. Leaves to others: starting and
ending processes (services.py), in which order (lifecycle.py), what the registry and the name servers are told
(registry.py, resolver.py).
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab import apt, ca, environment, network, object_store, paths, registry, resolver, services
from lab.paths import LabPaths
from lab.services import Service
from lab.toolchain import places
from lab.toolchain.stages import Step

API_PORT = 8080
NAMES = ("api", "registry", "apt", "resolver")
NOT_ALWAYS = ("object-store",)
"""Those that a lab has only if something names them."""
GREETING = 2.0  # seconds a daemon may take to take a connection


@dataclass(frozen=True)
class Daemon:
    """One daemon of a lab.

    Attributes:
        name: one of `NAMES` or `NOT_ALWAYS`.
        port: TCP, on which it itself must listen.
        ready: whether it answers.
        configuration: what it is started anew for when it differs.
        environment: on top of what all have.
        runs: what is said of it when it runs already.
    """

    name: str
    argv: Sequence[str]
    port: int
    ready: Callable[[], bool]
    configuration: tuple[object, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    runs: str = "runs"


def service(lab: LabPaths, name: str) -> Service:
    """A lab's daemon as a process, by name."""
    return Service(name, lab.services / f"{name}.json", lab.logs / f"{name}.log")


def present(lab: LabPaths) -> tuple[str, ...]:
    """The names of those that the lab has."""
    return (*NAMES, *(name for name in NOT_ALWAYS if service(lab, name).record.exists()))


def ensure(step: Step, lab: LabPaths, daemon: Daemon) -> None:
    """Start it, unless it runs already as it should; wait until it answers."""
    # A namespace of the same name that came before was another one: daemons of that are of no use.
    generation = network.path(lab.namespace).stat().st_ino
    fresh = services.start(
        service(lab, daemon.name),
        daemon.argv,
        cwd=daemon.folder,
        env={**environment.service(), **daemon.environment},
        port=daemon.port,
        key=hashlib.sha256(repr((*daemon.configuration, generation)).encode()).hexdigest()[:16],
        ready=daemon.ready,
    )
    step.result("started" if fresh else daemon.runs)


def image_registry(lab: LabPaths, authority: ca.Authority) -> Daemon:
    """The registry, with its configuration and certificate written."""
    config = registry.configure(lab, authority, paths.cache("registry"))
    certificate = (lab.registry / "registry.crt").read_text()
    return Daemon(
        "registry",
        registry.argv(lab, config),
        registry.PORT,
        lambda: registry.answers(lab, authority.certificate),
        (config.read_text(encoding="utf-8"), certificate),
        lab.root,
        {"OTEL_TRACES_EXPORTER": "none"},
    )


def objects(lab: LabPaths, authority: ca.Authority, program: Path) -> Daemon:
    """The object store, with its bucket and certificate made. `program`: the S3 server."""
    certificate, key = object_store.prepare(lab, authority)
    argv = object_store.argv(lab, program, certificate, key)
    return Daemon(
        "object-store",
        argv,
        object_store.PORT,
        lambda: object_store.answers(lab, authority.certificate),
        (argv, certificate.read_text()),
        lab.root,
        object_store.environment(),
    )


def name_servers(lab: LabPaths) -> Daemon:
    """What resolves names for the hosts."""
    argv = resolver.argv(lab)
    return Daemon(
        "resolver", argv, resolver.PORT, lambda: resolver.answers(lab), (argv,), lab.root, runs="run"
    )


def apt_repository(lab: LabPaths, repository: Path) -> Daemon:
    """The packages in the folder `repository` (`apt.site`), for the hosts."""
    address = str(network.PRIVATE.ip)
    argv = [
        *network.enter(lab.namespace),
        *(sys.executable, "-m", "http.server", str(apt.PORT), "--bind", address),
        *("--directory", str(repository)),
    ]
    return Daemon("apt", argv, apt.PORT, _connects(lab, address, apt.PORT), (argv,), lab.root)


def api(lab: LabPaths, systems: Sequence[str]) -> Daemon:
    """The SoftLayer API, which sells these operating systems."""
    argv = [
        *network.enter(lab.namespace),
        *(sys.executable, "-m", "lab.api", "--state", str(lab.api), "--lab", str(lab.root)),
        *("--listen", f"127.0.0.1:{API_PORT}", "--backend", "uml"),
    ]
    return Daemon(
        "api", argv, API_PORT, _connects(lab, "127.0.0.1", API_PORT), (argv, *systems), places.CHECKOUT
    )


def _connects(lab: LabPaths, address: str, port: int) -> Callable[[], bool]:
    def ready() -> bool:
        try:
            network.connect(lab.namespace, address, port, GREETING).close()
        except OSError:
            return False
        return True

    return ready
