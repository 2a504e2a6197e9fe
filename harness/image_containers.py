"""Containers without an engine: an image's root file system, namespaces, and what swarm would mount.

Owns starting, killing and removing processes inside an image's root: network namespace with an address on a
bridge of its own, private mounts (volume, secrets, memory), a process-id namespace whose first process is
the image's entrypoint. Leaves building the root to `image_roots`, what is expected of the processes to tests
and benches.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")
SUBNET = "10.77.0.0/24"
ENDED = -1
"""In place of a process id, of a container that has none any more."""
INIT = r"""
set -e
root=$1; here=$2; volume=$3; user=$4; shift 4
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
[ ! -d "$root/run/mysqld" ] || mount -t tmpfs -o mode=0777 tmpfs "$root/run/mysqld"
mkdir -p "$root/run/secrets"
mount --bind "$here/secrets" "$root/run/secrets"
mount --bind "$here/volume" "$root$volume"
mount --bind "$here/hosts" "$root/etc/hosts"
[ ! -d "$here/initdb" ] || mount --bind "$here/initdb" "$root/docker-entrypoint-initdb.d"
[ ! -d "$here/galera-node" ] || mount --bind "$here/galera-node" "$root/etc/galera-node"
[ ! -f "$here/90-stack.cnf" ] || {
  mount -t tmpfs tmpfs "$root/mnt"; cp "$root"/etc/mysql/mariadb.conf.d/* "$here/90-stack.cnf" "$root/mnt"
  mount --bind "$root/mnt" "$root/etc/mysql/mariadb.conf.d"; }
exec chroot --userspec="$user" "$root" "$@"
"""


def run(*argv: str) -> str:
    """Runs a command of the machine; its output. Raises with its words if it fails."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


class Network:
    """A bridge in a namespace of its own; `attach` gives a container its namespace with one address."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.namespaces: list[str] = []
        self.switch = self._namespace("switch")
        run("ip", "-n", self.switch, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self.switch, "link", "set", "br0", "up")

    def _namespace(self, name: str) -> str:
        full = f"{self.tag}-{name}"
        run("ip", "netns", "add", full)
        self.namespaces.append(full)
        run("ip", "-n", full, "link", "set", "lo", "up")
        return full

    def attach(self, name: str, address: str) -> str:
        """A new namespace whose eth0 has `address`/24 on the bridge."""
        namespace, port = self._namespace(name), f"p{len(self.namespaces)}"
        run(
            "ip",
            "-n",
            self.switch,
            "link",
            "add",
            port,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            namespace,
        )
        run("ip", "-n", self.switch, "link", "set", port, "master", "br0", "up")
        run("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        run("ip", "-n", namespace, "link", "set", "eth0", "up")
        return namespace

    def cut(self, namespace: str) -> None:
        """Takes a container off the network."""
        run("ip", "-n", namespace, "link", "set", "eth0", "down")

    def mend(self, namespace: str) -> None:
        """Brings it back."""
        run("ip", "-n", namespace, "link", "set", "eth0", "up")

    def remove(self) -> None:
        for namespace in self.namespaces:
            subprocess.run(["ip", "netns", "del", namespace], check=False)


@dataclass
class Container:
    """One container. Its volume and log outlive its processes, as on a host."""

    name: str
    root: Path
    here: Path
    namespace: str
    address: str
    volume_at: str
    user: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def volume(self) -> Path:
        return self.here / "volume"

    @property
    def log(self) -> str:
        path = self.here / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        environment = [f"{key}={value}" for key, value in self.env.items()]
        with open(self.here / "log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self.namespace),
                    *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
                    *(
                        "sh",
                        "-c",
                        INIT,
                        "container",
                        str(self.root),
                        str(self.here),
                        self.volume_at,
                        self.user,
                    ),
                    *("/usr/bin/env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                    *environment,
                    *self.command,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def init_pid(self) -> int:
        """The entrypoint's process id, as the machine sees it. Waits until it is there, in its own root.

        Before that nothing is mounted: what ran inside would write into the root that all containers share.
        Raises ProcessLookupError if the container has ended.
        """
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")

        def there() -> int:
            if not self.running:
                return ENDED
            pid = int((children.read_text().split() or ["0"])[0])
            return pid if pid and os.readlink(f"/proc/{pid}/root") == str(self.root.resolve()) else 0

        if (pid := wait_for(there, f"{self.name}'s first process")) == ENDED:
            raise ProcessLookupError(f"{self.name} has ended")
        return pid

    def kill(self) -> None:
        """The sudden death of all its processes."""
        if self.process is not None:
            os.kill(self.init_pid(), signal.SIGKILL) if self.running else None
            self.process.wait()

    def stop(self) -> int:
        """An orderly stop, as an engine does it; the exit code."""
        assert self.process is not None
        os.kill(self.init_pid(), signal.SIGTERM)
        return self.process.wait(timeout=60)

    def run(
        self, *argv: str, pid: int | None = None, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command inside, as `docker exec` does. `pid`: of its first process, not to wait for it."""
        given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        return subprocess.run(
            self.inside(*argv, pid=pid), capture_output=True, text=True, check=False, **given
        )

    def inside(self, *argv: str, pid: int | None = None) -> list[str]:
        """The command line by which the machine runs a command inside."""
        target = str(self.init_pid() if pid is None else pid)
        return [
            *("nsenter", "--target", target, "--mount", "--pid", "--net"),
            *("chroot", f"--userspec={self.user}", str(self.root), "/usr/bin/env", "-i"),
            "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            *(f"{key}={value}" for key, value in self.env.items()),
            *argv,
        ]

    def lose_volume(self) -> None:
        """What a replaced disk does."""
        owner = self.volume.stat()
        shutil.rmtree(self.volume)
        self.volume.mkdir()
        os.chown(self.volume, owner.st_uid, owner.st_gid)


def wait_for(probe: Callable[[], T], what: str, seconds: float = 240) -> T:
    """Polls until `probe` gives something true; raises with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := probe():
                return found
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not within {seconds:.0f} s")


class Site:
    """Containers on one network, with one folder; everything goes away at the end."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self.roots = roots
        self.folder = Path(tempfile.mkdtemp(prefix="sgimg-"))
        self.network = Network(self.folder.name)
        self.containers: dict[str, Container] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for container in self.containers.values():
            print(f"==== {container.name}\n{container.log[-6000:]}")  # shown when a test fails
        self.remove()

    def add(
        self,
        name: str,
        image: str,
        number: int,
        *,
        user: str,
        volume_at: str,
        command: tuple[str, ...],
        env: Mapping[str, str],
        secrets: Mapping[str, str],
        hosts: str,
    ) -> Container:
        """A container, not yet started, at 10.77.0.`number`."""
        here = self.folder / name
        (here / "volume").mkdir(parents=True)
        uid, _, gid = user.partition(":")
        os.chown(here / "volume", int(uid), int(gid))
        (here / "secrets").mkdir()
        for secret, value in secrets.items():
            (here / "secrets" / secret).write_text(value)
        (here / "hosts").write_text("127.0.0.1 localhost\n" + hosts)
        address = f"10.77.0.{number}"
        namespace = self.network.attach(name, address)
        container = Container(
            name, self.roots[image], here, namespace, address, volume_at, user, command, env
        )
        self.containers[name] = container
        return container

    def remove(self) -> None:
        for container in self.containers.values():
            container.kill()
        self.network.remove()
        shutil.rmtree(self.folder, ignore_errors=True)
