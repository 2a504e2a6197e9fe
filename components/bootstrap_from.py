"""A new cluster's data from an archive: what the nodes are told of it.

Owns: the file and the secrets of the nodes. Leaves to others: what they do with these at the very first
bootstrap (images/galera, `restore.bootstrap`), the settings (settings/bootstrap_from.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi

from components import backup
from components.service_spec import ConfigFile
from settings.bootstrap_from import BootstrapFrom

FILE = "/etc/galera-node/bootstrap.json"
"""Where a node looks for it; without it a new cluster begins empty."""
SECRETS = ("bootstrap-access-key", "bootstrap-secret-key", "bootstrap-identity")


def config_files(source: BootstrapFrom | None, cluster: str) -> list[ConfigFile]:
    """A node's file; none without the section. `cluster`: the stack's own name of it."""
    if source is None:
        return []
    told = {
        "to": source.to,
        **backup.place(source),
        "cluster": source.cluster or cluster,
        "timeline": source.timeline or "",
    }
    return [ConfigFile("galera-bootstrap", FILE, json.dumps(told, indent=1, sort_keys=True))]


def secret_names(source: BootstrapFrom | None) -> list[str]:
    """Of the nodes; none without the section."""
    return [] if source is None else list(SECRETS)


def secrets(source: BootstrapFrom | None) -> Mapping[str, pulumi.Input[str]]:
    """Their contents, by name."""
    if source is None:
        return {}
    given = (source.access_key, source.secret_key, source.identity)
    return {
        name: pulumi.Output.secret(value.get_secret_value().strip())
        for name, value in zip(SECRETS, given, strict=True)
    }
