"""A donor and a joiner: two mariadbd of the galera image in a cluster, without the node's program and store.

Owns: their option files, the donor's data from the image's system tables, a full copy that is watched from
the joiner's start until it is Synced. Leaves to others: the machinery (`image_containers`), the image
(`image_roots`), what is in the data, what is expected.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.image_containers import Container, Site, wait_for
from images.galera.galera_node import config, seed_data
from images.galera.galera_node.config import NodeConfig, Tuning
from images.galera.galera_node.tls import ONLY, Files, Way

OWN = "galera_node"
"""The image's method; the server's name for it is what follows `wsrep_sst_` in the program's."""
RUN = Path("/etc/galera-node")
"""In the container: the folder of the option file, which the method writes to; else `here/galera-node`."""
SERVER = ("/usr/sbin/mariadbd", f"--defaults-file={RUN}/my.cnf")
USER = 999
PROVIDER = {"gcache.size": "128M"}
SIZES = "innodb_buffer_pool_size = 256M\ninnodb_buffer_pool_size_max = 256M\n"
BEGINS = "Running: 'wsrep_sst_"
"""mariadbd starts the joiner's program."""
ENDS = "joiner: received |completed on joiner"
"""The last words of the program, as the image's method and as Debian's has them."""
READY = "Synchronized with group, ready for connections"


class CopyFailed(Exception):
    """A joiner did not become Synced; the message has both servers' last words."""


@dataclass(frozen=True)
class Watched:
    """Seconds of one full copy.

    `method`: from the start of the joiner's program until it has ended. `synced`: from the joiner's start.
    """

    method: float
    synced: float


class Pair:
    """`donor` and `joiner`, added but not started. Everything goes away at the end."""

    def __init__(self, root: Path, beside: Mapping[str, Path] | None = None) -> None:
        """`root`: of the galera image, perhaps with more in it. `beside`: of other images on the site."""
        self._root = root
        self.site = Site({"galera": root, **(beside or {})})
        self.donor, self.joiner = self._add("donor", 21), self._add("joiner", 22)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        self.site.remove()

    def _add(self, name: str, number: int) -> Container:
        container = self.site.add(
            name,
            "galera",
            number,
            user=f"{USER}:{USER}",
            volume_at="/var/lib/mysql",
            command=SERVER,
            env={},
            secrets={},
            hosts="",
        )
        run = container.here / RUN.name
        run.mkdir()
        os.chown(run, USER, USER)
        (container.here / "90-stack.cnf").write_text(f"[mysqld]\n{SIZES}")
        return container

    def seed(self) -> None:
        """The image's system tables as the donor's data."""
        seed_data.unpack(self._root / "usr/local/lib/galera-node/seed.tar.gz", self.donor.volume)
        for path in (self.donor.volume, *self.donor.volume.rglob("*")):
            os.chown(path, USER, USER)

    def options(self, container: Container, text: str) -> None:
        """The deployment's options of one of them, below `[mysqld]`, for its next start."""
        (container.here / "90-stack.cnf").write_text(f"[mysqld]\n{SIZES}{text}")

    def configure(self, container: Container, files: Files | None, more: str = "") -> None:
        """Its option file for the next start. `files`: with TLS, as all speak it. `more`: at its end."""
        join = () if container is self.donor else (self.donor.address,)
        folder = container.here / RUN.name / "tls"
        shutil.rmtree(folder, ignore_errors=True)
        way = None if files is None else Way(ONLY, "".join(files.authorities), RUN / "tls")
        if files is not None and way is not None:
            files.put(replace(way, folder=folder))
            for path in (folder, *folder.iterdir()):
                os.chown(path, USER, USER)
        node = NodeConfig(
            node=container.name,
            cluster="pair",
            address=container.address,
            weight=int(container is self.donor),  # which goes on alone, whatever happens to the joiner
            join=join,
            tuning=Tuning(PROVIDER),
            way=way,
        )
        (container.here / RUN.name / "my.cnf").write_text(f"{config.render(node)}{more}")

    def start_donor(self, files: Files | None = None, more: str = "") -> None:
        """The donor, alone in the cluster, until it is Synced; those that run are stopped before."""
        for container in (self.joiner, self.donor):  # the last one to leave may begin anew
            if container.running:
                container.stop()
        self.configure(self.donor, files, more)
        before = self.donor.log.count(READY)
        self.donor.start()
        wait_for(lambda: self.donor.log.count(READY) > before, "the donor Synced", 120)

    def copy(self, files: Files | None = None, more: str = "", seconds: float = 3600) -> Watched:
        """A joiner without data, until it is Synced. Raises CopyFailed."""
        if self.joiner.running:
            self.joiner.stop()
        self.joiner.lose_volume()
        self.configure(self.joiner, files, more)
        seen, before = dict[str, float](), len(self.joiner.log)
        began = time.monotonic()
        self.joiner.start()
        while READY not in seen:
            said, now = self.joiner.log[before:], time.monotonic()
            for words in (BEGINS, ENDS, READY):
                if re.search(words, said):
                    seen.setdefault(words, now)
            if not self.joiner.running or now - began > seconds:
                raise CopyFailed(
                    f"the joiner is not Synced after {now - began:.0f} s:\n{said[-3000:]}\nthe donor:\n"
                    f"{self.donor.log[-3000:]}"
                )
            time.sleep(0.02)
        return Watched(seen[ENDS] - seen[BEGINS], seen[READY] - began)


def ask(container: Container, statement: str) -> str:
    """Runs SQL as the system user over the socket; rows as tab-separated lines. Raises OSError."""
    done = container.run("/usr/bin/mariadb", "-N", "-e", statement)
    if done.returncode != 0:
        raise OSError(done.stderr.strip())
    return done.stdout.strip()


def begun(container: Container) -> int:
    """How many processes and threads were ever started in the container."""
    return int(container.run("/bin/cat", "/proc/loadavg").stdout.split()[4])


def method(name: str, options: Mapping[str, str] | None = None) -> str:
    """Text for an option file: this method, with options of its own (group `sst`)."""
    own = "".join(f"{key} = {value}\n" for key, value in (options or {}).items())
    return f"[mysqld]\nwsrep_sst_method = {name}\n[sst]\n{own}"
