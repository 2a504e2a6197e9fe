"""Removing the cache: all of it, or an error that says what stays and why.

Owned here: what is still mounted in it. buildah leaves its storage mounted between two of its runs; a folder
in use cannot be removed, and half a storage would be taken for a whole one. Left to others: whether anybody
needs the cache (`__main__.py`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from lab.toolchain.errors import ToolchainError

MOUNTS = Path("/proc/self/mountinfo")


def remove(folder: Path) -> None:
    """Unmount what is mounted in the folder, then remove it. A folder that is not there is fine."""
    for point in mounted_in(folder, MOUNTS.read_text(encoding="utf-8")):
        done = subprocess.run(["umount", str(point)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolchainError(
                f"{folder} stays, because something in it is in use: {done.stderr.strip()}. "
                "End what uses it, then repeat."
            )
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ToolchainError(f"{folder} is not wholly removed: {error}. Correct that, then repeat.") from None


def mounted_in(folder: Path, mountinfo: str) -> list[Path]:
    """The mount points in the folder, the last one mounted first (proc_pid_mountinfo(5))."""
    points = [Path(_unescaped(line.split()[4])) for line in mountinfo.splitlines() if line.strip()]
    within = folder.resolve()
    return [point for point in reversed(points) if within in point.parents]


def _unescaped(field: str) -> str:
    r"""Blanks and the like stand there as `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
