"""A lab's beginning and end: what `up`, `prepare`, `down` and `status` do.

Owned here: the order of the steps and which of them go side by side. Left to others: each step.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
import signal
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from lab import (
    apt,
    ca,
    cuts,
    daemons,
    environment,
    images,
    network,
    object_store,
    packet_filter,
    paths,
    services,
)
from lab.errors import LabError
from lab.hosts import kernel, rootfs
from lab.hosts.backend import PowerState
from lab.hosts.kernel import Kernel
from lab.hosts.uml import UmlBackend
from lab.packet_filter import Cut, Enforcement
from lab.paths import LabPaths
from lab.toolchain import locks, places
from lab.toolchain import object_store as s3_server
from lab.toolchain.stages import Run, Stage, Step, clock

LAST_BREATH = 10.0  # seconds processes in the namespace get to end when the lab goes down


@dataclass
class _Made:
    """What the steps hand to one another."""

    authority: ca.Authority
    kernel: Kernel | None = None
    roots: dict[str, rootfs.RootFs] = field(default_factory=dict)
    """By operating system; and the packages for each."""
    repositories: dict[str, Path] = field(default_factory=dict)


def _changing(lab: LabPaths, command: str) -> contextlib.AbstractContextManager[None]:
    refusal = f"{{holder}} is changing lab {lab.name}: wait for its end, or take another lab with --name."
    return locks.held(lab.lock, f"lab {command}", refusal=refusal)


def up(lab: LabPaths) -> None:
    """Bring the lab up, or complete it: whatever is there already stays as it is."""
    with _changing(lab, "up"):
        begin = time.monotonic()
        for folder in (lab.root, lab.hosts, lab.ssh, lab.pulumi, lab.pulumi_home, lab.logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        steps = Run(_stages(lab), lab.logs / "up").go()
        slowest = max(steps, key=lambda step: step.seconds)
        print(
            f"Lab {lab.name} is up after {clock(time.monotonic() - begin)} "
            f"(longest: {slowest.name}, {clock(slowest.seconds)}). "
            "`lab status` shows it, `lab shell` enters it."
        )


def prepare() -> None:
    """Fill the cache with all that a lab needs, without making one."""
    made = _Made(ca.ensure(paths.cache("ca")))
    Run([_kernel(made), *_root_file_system(made), _images_built()], places.logs("prepare")).go()


def _stages(lab: LabPaths) -> list[Stage]:
    made = _Made(ca.ensure(paths.cache("ca")))
    builder = images.Builder(paths.cache("images"))

    def image_registry(step: Step) -> None:
        daemons.ensure(step, lab, daemons.image_registry(lab, made.authority))

    def name_servers(step: Step) -> None:
        daemons.ensure(step, lab, daemons.name_servers(lab))

    def push(step: Step) -> None:
        builder.push(step, lab, made.authority.certificate, images.named())

    def apt_repository(step: Step) -> None:
        others = dict(made.repositories)
        usual = others.pop(rootfs.USUAL)
        daemons.ensure(step, lab, daemons.apt_repository(lab, apt.site(lab.root / "apt", usual, others)))

    def objects(step: Step) -> None:
        program = s3_server.ensure(step)
        daemons.ensure(step, lab, daemons.objects(lab, made.authority, program))

    return [
        Stage("network", lambda step: _network(step, lab)),
        *([Stage("object store", objects, ("network",))] if object_store.named() else []),
        Stage("registry", image_registry, ("network",)),
        Stage("name servers", name_servers, ("network",)),
        _kernel(made),
        *_root_file_system(made),
        _images_built(),
        Stage("images", push, ("image builds", "registry")),
        Stage("apt repository", apt_repository, ("network", "packages")),
        Stage("api", lambda step: _api(step, lab, made), ("network", "root file system")),
        Stage("hosts", lambda step: _recover(step, lab), ("api", "apt repository", "images", "name servers")),
    ]


def _kernel(made: _Made) -> Stage:
    def ready(step: Step) -> None:
        made.kernel = kernel.ensure(step, paths.cache("kernel"))

    return Stage("kernel", ready)


def _root_file_system(made: _Made) -> list[Stage]:
    def root(step: Step) -> None:
        assert made.kernel is not None
        home, authority = paths.cache("rootfs"), made.authority.certificate
        for system in rootfs.wanted():
            made.roots[system] = rootfs.ensure(step, home, authority, made.kernel, system)

    def packages(step: Step) -> None:
        for system, root in made.roots.items():
            found = apt.ensure(step, paths.cache("apt"), root.packages, root.folder.name)
            made.repositories[system] = found

    return [Stage("root file system", root, ("kernel",)), Stage("packages", packages, ("root file system",))]


def _images_built() -> Stage:
    def build(step: Step) -> None:
        images.Builder(paths.cache("images")).build(step, images.named())

    return Stage("image builds", build)


def _network(step: Step, lab: LabPaths) -> None:
    made = network.up(lab.namespace)
    found = packet_filter.recorded(lab.packet_filter)
    if made or found.tracking is None or not packet_filter.loaded(lab.namespace):
        found = packet_filter.prepare(lab.namespace, lab.packet_filter)
        if found.tracking is not None:
            cuts.reload(lab)
    said = [f"namespace {lab.namespace}"] if made else []
    if found.tracking is None:
        said.append(f"security groups are {found.described()}")
    if said:
        step.result("; ".join(said))


def _api(step: Step, lab: LabPaths, made: _Made) -> None:
    _console_key(lab)
    record = {
        "name": lab.name,
        "namespace": lab.namespace,
        "endpoint": environment.ENDPOINT,
        "systems": {system: str(root.folder) for system, root in made.roots.items()},
        "created": _created(lab),
    }
    fresh_record = lab.record.with_suffix(".new")
    fresh_record.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    fresh_record.replace(lab.record)
    environment.write(lab)
    daemons.ensure(step, lab, daemons.api(lab, tuple(made.roots)))


def _created(lab: LabPaths) -> str:
    try:
        return str(json.loads(lab.record.read_text(encoding="utf-8"))["created"])
    except (OSError, KeyError, ValueError):
        return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _console_key(lab: LabPaths) -> None:
    """The lab's own key pair for `lab ssh`, made once for a lab."""
    private = lab.ssh / "id_ed25519"
    if private.exists() and private.with_suffix(".pub").exists():
        return
    key = ed25519.Ed25519PrivateKey.generate()
    private.unlink(missing_ok=True)
    file = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            )
        )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private.with_suffix(".pub").write_bytes(public + f" lab-{lab.name}-console\n".encode())


def _recover(step: Step, lab: LabPaths) -> None:
    recovered = UmlBackend(lab.root).recover()
    if recovered:
        names = ", ".join(spec.hostname for spec in recovered)
        step.result(f"booting again what ran when the machine went down: {names}")


def down(lab: LabPaths) -> None:
    """Take the lab away: hosts, services, namespace, state. Other labs and the cache stay.

    LabError while `make up` is at work on it: Pulumi would go on with hosts that vanish.
    """
    with locks.for_job(lab.name, "lab down"), _changing(lab, "down"):
        if not lab.root.exists() and not network.exists(lab.namespace):
            print(f"There is no lab {lab.name}.")
            return
        services.stop(daemons.service(lab, "api"))  # first: it would boot what goes away
        backend = UmlBackend(lab.root)
        for folder in sorted(lab.hosts.glob("*")) if lab.hosts.is_dir() else []:
            if folder.name.isdecimal():
                backend.destroy(int(folder.name))
        for name in (*daemons.NAMES, *daemons.NOT_ALWAYS):
            services.stop(daemons.service(lab, name))
        _end_all_inside(lab)
        network.down(lab.namespace)
        if lab.root.exists():
            shutil.rmtree(lab.root)
        print(f"Lab {lab.name} is gone; the cache of downloads and builds stays ({places.cache()}).")


def _end_all_inside(lab: LabPaths) -> None:
    """End what else runs in the namespace, a shell, say: it would keep the namespace alive."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        present = [pid for pid in network.processes(lab.namespace) if pid != os.getpid()]
        for pid in present:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        deadline = time.monotonic() + LAST_BREATH
        while any(services.start_time(pid) is not None for pid in present) and time.monotonic() < deadline:
            time.sleep(services.POLL)


@dataclass(frozen=True)
class HostStatus:
    """What `status` says of one host; `memory` in MB, `disks` in GB.

    `deaths`: how often its kernel has died since it was switched on. `paused`: it stands still.
    """

    id: int
    hostname: str
    private_ip: str
    public_ip: str | None
    power: str
    ssh: bool
    memory: int
    disks: tuple[int, ...]
    deaths: int
    paused: bool = False


@dataclass(frozen=True)
class Status:
    """What `status` says; `services` maps a name to its process or None."""

    name: str
    exists: bool
    network: bool
    services: dict[str, int | None]
    hosts: list[HostStatus]
    security_groups: Enforcement
    cuts: tuple[Cut, ...]

    def healthy(self) -> bool:
        """Whether network and services are all there."""
        return self.exists and self.network and all(self.services.values())

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), "healthy": self.healthy()}


def status(lab: LabPaths) -> Status:
    """What there is of the lab now."""
    backend = UmlBackend(lab.root)
    hosts = []
    for spec in backend.hosts() if lab.hosts.is_dir() else []:
        power = backend.state(spec.id)
        paused = backend.paused(spec.id)
        ssh = power is PowerState.RUNNING and not paused and backend.answers(spec.id)
        public = spec.public.address if spec.public else None
        hosts.append(
            HostStatus(
                spec.id,
                spec.hostname,
                spec.private.address,
                public,
                power.value,
                ssh,
                spec.memory,
                spec.disks,
                backend.deaths(spec.id),
                paused,
            )
        )
    there = lab.exists()
    processes = {name: services.pid(daemons.service(lab, name)) for name in daemons.present(lab)}
    connected = network.exists(lab.namespace)
    groups = packet_filter.recorded(lab.packet_filter)
    if connected and groups.tracking is not None and not packet_filter.loaded(lab.namespace):
        groups = Enforcement(problem="the filters are gone from the namespace: run `lab up`")
    return Status(lab.name, there, connected, processes, hosts, groups, tuple(cuts.present(lab)))


def require(lab: LabPaths) -> None:
    """LabError unless the lab is there with its network."""
    if not lab.exists():
        raise LabError(f"There is no lab {lab.name}: `python -m lab up --name {lab.name}` makes it.")
    if not network.exists(lab.namespace):
        raise LabError(
            f"Lab {lab.name} was not taken down, but its network is gone (did the machine reboot?): "
            f"`python -m lab up --name {lab.name}` brings it back, hosts included."
        )
