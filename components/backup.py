"""Backups of the database: what the nodes are told of them, and which image can do it.

Owns: the file and the secrets of the nodes. Leaves to others: what they do with these (images/galera,
`archive`), the settings (settings/backup.py), the service (galera.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi

from components.service_spec import ConfigFile
from settings import Settings, SettingsError
from settings.archive import Archive
from settings.backup import Backup
from settings.database import versions

FILE = "/etc/galera-node/backup.json"
"""Where a node looks for it; without it there are no binary logs and no backups."""
SECRETS = ("backup-access-key", "backup-secret-key")
FIRST = {"11.8": 2, "10.11": 13}
"""Of our images `swarm-galera/galera:VERSION-N` the first that archive."""


def place(archive: Archive) -> dict[str, str]:
    """Where an archive is, in the words of a node's file."""
    return {
        "endpoint": archive.endpoint,
        "bucket": archive.bucket,
        "prefix": archive.prefix,
        "region": archive.region,
        "authority": archive.authority or "",
    }


def config_files(backup: Backup | None, image: str) -> list[ConfigFile]:
    """A node's file; none without the section. `image`: of the nodes, as in the settings."""
    if backup is None:
        return []
    told = {
        **place(backup),
        "recipients": list(backup.recipients),
        "full": backup.full,
        "incremental": backup.incremental,
        "logs": backup.logs,
        "window": backup.window,
        "days": backup.retention.days,
        "fulls": backup.retention.fulls,
        "image": image,
    }
    return [ConfigFile("galera-backup", FILE, json.dumps(told, indent=1, sort_keys=True))]


def secret_names(backup: Backup | None) -> list[str]:
    """Of the nodes; none without the section."""
    return [] if backup is None else list(SECRETS)


def secrets(backup: Backup | None) -> Mapping[str, pulumi.Input[str]]:
    """Their contents, by name."""
    if backup is None:
        return {}
    keys = (backup.access_key, backup.secret_key)
    return {
        name: pulumi.Output.secret(key.get_secret_value()) for name, key in zip(SECRETS, keys, strict=True)
    }


def as_output(backup: Backup, cluster: str) -> dict[str, Any]:
    """What a consumer needs to find the archive, without the keys."""
    return {
        "endpoint": backup.endpoint,
        "region": backup.region,
        "bucket": backup.bucket,
        "prefix": "/".join(part for part in (backup.prefix, cluster) if part),
        "recipients": list(backup.recipients),
    }


def refuse_an_image_without(settings: Settings) -> None:
    """Raises SettingsError for one of ours that archives nothing, before nodes start anew for nothing.

    Of another name or tag `verify` says so.
    """
    image = settings.galera.image
    section = "backup" if settings.backup else "bootstrapFrom" if settings.bootstrap_from else ""
    if section and (least := versions.required_tag(image, FIRST)):
        raise SettingsError(
            [
                f"swarm-galera:galera.image: the nodes of {image} know no backups, and the settings have "
                f"`{section}`. Remedy: name {least} or a later one (docs/how-to/backup.md)"
            ]
        )
