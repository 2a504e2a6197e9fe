"""Which MariaDB the system tables in a data directory are of, and whether this image's server may have them.

Data goes one way: an older server cannot read what a newer one has changed, and a newer one changes it as
soon as it starts. So a node refuses data of another version, unless a person has said that this one may take
over data of an older one (UPGRADE_TO); the tables are then brought up to date once the node is Synced, on
this node alone, before it serves: each node does so with its own.

The version is asked of the tables themselves, so that it stays true whichever way they came: as data of
before, or by a full copy from a node that runs another image. Views name the server that wrote them, and
`mariadb-upgrade` writes those of the schema sys anew. It also leaves a note, which no copy carries.
"""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from pathlib import Path

from .settings import Settings

UPGRADE = "/usr/bin/mariadb-upgrade"
SIGNS = {
    "sys/version.frm": re.compile(r"^mariadb-version=(\d+)(\d\d)\d\d$", re.MULTILINE),  # 101119 is 10.11.19
    "mysql/user.frm": re.compile(r"^mariadb-version=(\d+)(\d\d)\d\d$", re.MULTILINE),
    "mariadb_upgrade_info": re.compile(r"^(\d+)\.(\d+)\."),
}


def of_data(data_dir: Path) -> str | None:
    """The version of a data directory or of a full copy, like `10.11`; None if it does not say.

    The highest of its signs: none is written by an older server than the data has had, and the schema sys may
    have been dropped.
    """
    found = []
    for sign, pattern in SIGNS.items():
        with suppress(OSError):
            if match := pattern.search((data_dir / sign).read_text(errors="replace")):
                found.append((int(match[1]), int(match[2])))
    return "{}.{}".format(*max(found)) if found else None


def refusal(data: str | None, own: str, upgrade_to: str) -> str:
    """Why this image's server must not have data of a version; empty where it may.

    Args:
        data: its version. own: the server's. upgrade_to: what a person has allowed, empty for nothing.
    """
    if data is None or data == own or not own:
        return ""
    if _numbers(data) > _numbers(own):
        return (
            f"the data is of MariaDB {data}, and this image has {own}, which cannot read it. Nothing is "
            f"touched. Remedy: an image with {data}; or, where other nodes have the data, empty this "
            "node's volume"
        )
    if upgrade_to != own:
        return (
            f"the data is of MariaDB {data}, and this image has {own}, which would change it for good. "
            f"Nothing is touched. Remedy: if that is meant, set galera.upgradeTo: '{own}'; else an image "
            f"with {data}"
        )
    return ""


def outdated(settings: Settings) -> str | None:
    """The version of this node's data if that is not the server's; asked once mariadbd has them."""
    data = of_data(settings.data_dir)
    return None if not settings.version or data == settings.version else data


def upgrade(settings: Settings) -> subprocess.Popen[bytes]:
    """Starts the program that brings this node's tables up to date; its words are in `words(settings)`.

    It replicates nothing: other nodes may run another version.
    """
    with open(words(settings), "wb") as output:
        return subprocess.Popen(
            [UPGRADE, "--no-defaults", f"--socket={settings.socket}", "--user=mysql", "--force"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def words(settings: Settings) -> Path:
    """What the last upgrade has said."""
    return settings.run_dir / "upgrade.log"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
