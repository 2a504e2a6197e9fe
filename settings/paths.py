"""What `galera.dataPath` may be: a folder of the hosts that nothing else of the system needs.

Owns: the check of the text. Leaves to others: what is there on a host (components/host_scripts/data_path.sh).
"""

from __future__ import annotations

import re

from settings.values import Refused

LONGEST = 60
"""Characters: systemd names the mount after it, with four for some of them, and 255 in all."""
_TOP = (
    *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "lost+found"),
    *("proc", "root", "run", "sbin", "sys", "tmp", "usr"),
)
_VAR = ("cache", "lock", "log", "mail", "run", "spool", "tmp")
_STATE = ("apt", "containerd", "dpkg", "rpm", "systemd")
SYSTEM = (
    *(f"/{name}" for name in _TOP),
    *(f"/var/{name}" for name in _VAR),
    *(f"/var/lib/{name}" for name in _STATE),
)
"""Not these, nor anything below."""
PARENTS = ("/home", "/media", "/mnt", "/opt", "/srv", "/var", "/var/lib")
"""Not these themselves: others have their folders in them, which a mount would hide."""
ENGINE = "/var/lib/docker"
REMEDY = "choose a folder of its own, like /srv/mariadb"


def data_path(value: str) -> str:
    """An absolute path as the kernel writes it, of letters, digits and . _ - only, outside of the system."""
    if not value.startswith("/"):
        raise Refused(f"{value!r} is not an absolute path", "begin it with /, like /srv/mariadb")
    if value == "/":
        raise Refused("/ is the whole system", REMEDY)
    parts = value[1:].split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise Refused(
            f"{value!r} is not the shortest way to say where that is, as mounts are listed",
            "write it without //, without . and .. and without / at its end",
        )
    if not re.fullmatch(r"[A-Za-z0-9._/-]+", value) or any(part.startswith("-") for part in parts):
        raise Refused(
            f"{value!r} has characters that fstab, systemd or the engine read otherwise",
            "use letters, digits and . _ - only, and no - at the beginning of a name",
        )
    if len(value) > LONGEST:
        raise Refused(f"{value!r} has more than {LONGEST} characters", "choose a shorter one")
    if _within(value, ENGINE):
        raise Refused(
            f"{value} is in the engine's folder {ENGINE}, which the engine alone may change",
            f"leave it out to have the data there, or {REMEDY}",
        )
    if taken := [folder for folder in SYSTEM if _within(value, folder)]:
        raise Refused(f"{value} is in {taken[0]}, which the hosts' system needs for itself", REMEDY)
    if value in PARENTS:
        raise Refused(f"{value} has the folders of others in it, which the mount would hide", REMEDY)
    return value


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
