"""Where a lab keeps its things: names and folders, nothing else.

Owned here: the layout of a lab's state folder and of the shared cache, and which names a lab may have. Left
to others: what is in the files. The base folders are the toolchain's (`lab/toolchain/places.py`).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.toolchain import places

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True)
class LabPaths:
    """The folders and files of one lab. `name` is also part of its network namespace's name."""

    name: str
    root: Path

    @property
    def namespace(self) -> str:
        """The network namespace, e.g. `swarm-galera-dev`."""
        return f"swarm-galera-{self.name}"

    @property
    def record(self) -> Path:
        """What the lab was made from (JSON): its root file system image, above all."""
        return self.root / "lab.json"

    @property
    def lock(self) -> Path:
        """Held by whoever changes the lab. Outside its folder, which `down` removes."""
        return self.root.parent.parent / "locks" / f"lab-{self.name}-change.lock"

    @property
    def credentials(self) -> Path:
        """The API's user name and key (JSON, 0600)."""
        return self.root / "credentials.json"

    @property
    def softlayer_conf(self) -> Path:
        """The same for slcli, with the endpoint (0600)."""
        return self.root / "softlayer.conf"

    @property
    def bin(self) -> Path:
        """First on PATH inside the lab: the wrapper that points slcli to the lab's API."""
        return self.root / "bin"

    @property
    def api(self) -> Path:
        """The API's state."""
        return self.root / "api"

    @property
    def hosts(self) -> Path:
        """One folder a host, named by its id."""
        return self.root / "hosts"

    @property
    def packet_filter(self) -> Path:
        """Whether security groups are enforced, and how (JSON)."""
        return self.root / "packet-filter.json"

    @property
    def cuts(self) -> Path:
        """Which hosts are cut from which (JSON)."""
        return self.root / "cuts.json"

    @property
    def registry(self) -> Path:
        """The registry's configuration, certificate and key."""
        return self.root / "registry"

    @property
    def object_store(self) -> Path:
        """The object store's buckets, what it notes of objects, certificate and key."""
        return self.root / "object-store"

    @property
    def ssh(self) -> Path:
        """The lab's own key pair for `lab ssh`, and the hosts' public keys."""
        return self.root / "ssh"

    @property
    def stack_ssh(self) -> Path:
        """The SSH files of the stacks of this lab, as Pulumi's docker provider reads them."""
        return self.root / "stack-ssh"

    @property
    def logs(self) -> Path:
        """Logs of the lab's services and of the steps of `lab up`."""
        return self.root / "logs"

    @property
    def services(self) -> Path:
        """One file a service: which process it is."""
        return self.root / "services"

    @property
    def pulumi(self) -> Path:
        """Pulumi's file back end: the stacks' states."""
        return self.root / "pulumi"

    @property
    def pulumi_home(self) -> Path:
        """Pulumi's home: plugins and workspaces."""
        return self.root / "pulumi-home"

    def exists(self) -> bool:
        """Whether the lab was ever brought up and not taken down since."""
        return self.record.is_file()


def lab(name: str) -> LabPaths:
    """The paths of the lab of that name; LabError for a name that no namespace could have."""
    if not NAME.fullmatch(name):
        raise LabError(
            f"“{name}” cannot be a lab's name: use 1 to 32 lower-case letters, "
            "digits and inner hyphens, e.g. dev."
        )
    return LabPaths(name, places.lab_folder(name))


def at(folder: Path) -> LabPaths:
    """The paths of the lab whose state folder that is."""
    return LabPaths(folder.name, folder)


def default_name() -> str:
    """`$LAB`, or `dev`."""
    return os.environ.get("LAB") or "dev"


def cache(*parts: str) -> Path:
    """A folder in the cache that all labs share."""
    return places.cache().joinpath(*parts)
