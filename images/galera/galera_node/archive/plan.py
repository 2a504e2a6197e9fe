"""What a node is told about backups: `/etc/galera-node/backup.json` and two secrets; without it, nothing.

Owns: reading them, and the refusal of what is wrong with them. The stack's settings check the same values
before anything is made (settings/backup.py); this is for whoever writes the file by hand.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..settings import SettingsError, one_line
from . import cadence
from .cadence import Rhythm
from .layout import Place
from .retention import Keep

FILE = Path("/etc/galera-node/backup.json")
ACCESS_KEY, SECRET_KEY = "backup-access-key", "backup-secret-key"
"""Secrets."""
LOG = "binlog"
"""The binary logs without their numbers, in the data directory: a node has one volume."""
DOMAIN = 1
"""Of the cluster's GTIDs, on all nodes."""
LEAST_OWN_DOMAIN = 1000
"""Those of the nodes' own GTIDs begin here."""


@dataclass(frozen=True)
class Target:
    """An S3-compatible store. `authority`: PEM of whoever has signed its certificate; empty: the system's."""

    endpoint: str
    bucket: str
    region: str
    prefix: str = ""
    authority: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Target:
        """The store in the words of a node's file. Raises TypeError, KeyError."""
        return cls(
            endpoint=str(values["endpoint"]),
            bucket=str(values["bucket"]),
            region=str(values["region"]),
            prefix=str(values.get("prefix", "")),
            authority=str(values.get("authority", "")),
        )


@dataclass(frozen=True)
class Plan:
    """All of it. `log_seconds`: at most so long between a commit and its archived log, while all is well."""

    target: Target
    place: Place
    recipients: tuple[str, ...]
    rhythm: Rhythm
    log_seconds: int
    keep: Keep
    image: str = ""


def read(cluster: str, file: Path | None = None) -> Plan | None:
    """The plan; None where there are to be no backups. Raises SettingsError."""
    path = file or FILE
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} can't be read: {error}") from None
    try:
        return of(json.loads(text), cluster)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError(f"{path} is not what this image knows: {type(error).__name__}: {error}") from None


def of(values: Mapping[str, Any], cluster: str) -> Plan:
    """The plan in the file's words. Raises ValueError, TypeError, KeyError."""
    target = Target.of(values)
    recipients = tuple(str(key) for key in values["recipients"])
    full = cadence.every(str(values["full"]))
    if full is None or not recipients:
        raise ValueError("a cadence of full backups and at least one recipient must be there")
    return Plan(
        target=target,
        place=Place(target.prefix, cluster),
        recipients=recipients,
        rhythm=Rhythm(
            full,
            cadence.every(str(values.get("incremental", cadence.NEVER))),
            cadence.window(str(values.get("window", ""))),
        ),
        log_seconds=int(values.get("logs", 60)),
        keep=Keep(int(values["days"]), int(values["fulls"])),
        image=str(values.get("image", "")),
    )


def options(node: str) -> list[str]:
    """Lines of mariadbd's option file: binary logs that all nodes number alike, and none that ends by itself.

    The cluster's GTIDs are the same on every node: one domain and one server id. What a node does for itself
    alone has a domain that follows from its name, and is thereby the same after each start.
    """
    return [
        f"log_bin = {LOG}",
        "log_slave_updates = ON",
        "sync_binlog = 1",
        "server_id = 1",
        "wsrep_gtid_mode = ON",
        f"wsrep_gtid_domain_id = {DOMAIN}",
        f"gtid_domain_id = {own_domain(node)}",
        "max_binlog_size = 128M",
        "expire_logs_days = 0",
        "binlog_expire_logs_seconds = 0",
        "encrypt_binlog = OFF",
    ]


def own_domain(node: str) -> int:
    """A number from `LEAST_OWN_DOMAIN` on that follows from the node's name."""
    return LEAST_OWN_DOMAIN + zlib.crc32(node.encode()) % ((1 << 32) - LEAST_OWN_DOMAIN)


def keys(secrets: Path) -> tuple[str, str]:
    """The access key and the secret key. Raises SettingsError."""
    return one_line(secrets / ACCESS_KEY), one_line(secrets / SECRET_KEY)
