"""Sizes that follow from the machine: buffer pool, write-set cache and applier threads, unless they are set.

Pure but for `machine`, which reads what the container sees. The node shares its host with the engine, etcd,
and for the time of a state transfer mariadb-backup; what is set in the deployment's options counts instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MB = 1 << 20
STEP = 128 * MB  # what sizes are rounded down to, and the least of each: what they are without a setting
OTHERS = 1024 * MB  # of the host's memory: system, engine, etcd, mariadb-backup
OVERHEAD = 256 * MB  # of a limit that is the container's own: mariadbd beside its buffer pool, mariadb-backup
POOL_SHARE = 0.6  # of what is left; connections, write-sets and the file system's cache have the rest
CACHE_SHARE = 0.04  # of the data's file system; the file has its full size from the first start on
CACHE_MOST = 4096 * MB
CACHE_ROOM = 4  # times its size that must be free beside it, else the least counts
THREADS = (4, 32)  # least and most


@dataclass(frozen=True)
class Machine:
    """What a container sees. All in bytes but `cores`.

    `limit`: the container's own memory limit, None without one. `cache`: the write-set cache that is there
    already.
    """

    memory: int
    limit: int | None
    cores: int
    disk: int
    free: int
    cache: int = 0


@dataclass(frozen=True)
class Sizes:
    """The defaults for this machine. Bytes, and a number of threads."""

    pool: int
    cache: int
    threads: int


def sizes(machine: Machine, options: Mapping[str, str]) -> Sizes:
    """Defaults for `machine`; `options` are the server's as configured, with _ in their names.

    Of the memory, what the others on the host need is left out first. A configured maximum of the buffer pool
    is kept. The cache's size depends on the disk's size and hardly on what is free, so that it stays from
    start to start: a cache that grows keeps its write-sets (Galera 26.4.23), one that shrinks may lose what
    no longer fits.
    """
    left = machine.memory - OTHERS
    if machine.limit is not None:
        left = min(left, machine.limit - OVERHEAD)
    pool = rounded(int(left * POOL_SHARE))
    if (most := number(options.get("innodb_buffer_pool_size_max", ""))) is not None:
        pool = min(pool, most)
    cache = min(rounded(int(machine.disk * CACHE_SHARE)), CACHE_MOST)
    if machine.free + machine.cache < (1 + CACHE_ROOM) * cache:
        cache = STEP
    least, most_threads = THREADS
    return Sizes(pool, cache, max(least, min(2 * machine.cores, most_threads)))


def rounded(size: int) -> int:
    """Down to a whole step, at least one."""
    return max(size // STEP, 1) * STEP


def number(text: str) -> int | None:
    """A size as option files have it (`256M`), in bytes. None for what is none, and for 0, which means no
    size.
    """
    found = re.fullmatch(r"(\d+)([KMGTPE]?)", text.strip().strip("'\"").upper())
    if found is None:
        return None
    return int(found[1]) * 1024 ** (" KMGTPE".index(found[2] or " ")) or None


def machine(data_dir: Path, root: Path = Path("/")) -> Machine:
    """What this container sees; `root` is for tests."""
    file_system = os.statvfs(data_dir)
    cache = data_dir / "galera.cache"
    memory = re.search(r"^MemTotal:\s+(\d+) kB$", (root / "proc/meminfo").read_text(), re.MULTILINE)
    return Machine(
        memory=int(memory[1]) * 1024 if memory else 2 * OTHERS,
        limit=_memory_limit(root / "sys/fs/cgroup"),
        cores=min(len(os.sched_getaffinity(0)), _cpu_limit(root / "sys/fs/cgroup")),
        disk=file_system.f_blocks * file_system.f_frsize,
        free=file_system.f_bavail * file_system.f_frsize,
        cache=cache.stat().st_size if cache.exists() else 0,
    )


def _memory_limit(cgroup: Path) -> int | None:
    """The container's memory limit by cgroup version 2 or 1."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        text = _read(cgroup / name)
        if text.isdigit():
            return int(text) if int(text) < 1 << 60 else None  # version 1 writes no limit as a huge number
    return None


def _cpu_limit(cgroup: Path) -> int:
    """Whole cores that the container may use, rounded up; very many without a limit."""
    quota, period = [*_read(cgroup / "cpu.max").split(), "", ""][:2]
    if not quota:
        quota, period = _read(cgroup / "cpu/cpu.cfs_quota_us"), _read(cgroup / "cpu/cpu.cfs_period_us")
    if quota.isdigit() and period.isdigit() and int(period):
        return max(1, -(-int(quota) // int(period)))
    return 1 << 16


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
