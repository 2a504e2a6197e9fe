"""The data's MariaDB beside that of the image: never back, and only by a person's word to a newer one.

Owns: refusing, before anything is changed, an image whose server is not of the version that the last run's
outputs name. Leaves to others: what a tag says (settings/database/versions.py), and images whose tag says
nothing: the node itself looks at its data (images/galera/galera_node/data_version.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from settings import Settings
from settings.database import versions

OUTPUT = "mariadb"
"""In the output `galera`, and in what is kept of it: the server's version; empty for an unknown one."""
BEFORE = "10.11"
"""What clusters have whose outputs say nothing: there was no other then."""


def shown(settings: Settings) -> str:
    """For the output."""
    return versions.of_image(settings.galera.image) or ""


def refusals(settings: Settings, last: Mapping[str, Any]) -> Iterator[str]:
    """Problems of the settings beside the data of a cluster that runs, or is kept."""
    known = last.get("galera") or last.get("keptData")
    wanted = versions.of_image(settings.galera.image)
    if not known or not settings.deploys("data") or wanted is None:
        return
    former = known.get(OUTPUT, BEFORE)
    if not former or former == wanted:
        return
    if versions.is_older(wanted, former):
        yield (
            f"swarm-galera:galera.image: MariaDB {wanted}, and the data is of {former}, which no older "
            f"server reads. Remedy: name an image of {former}; to go back, a dump into a new stack is the "
            "only way (docs/how-to/versions.md)"
        )
    elif settings.galera.upgrade_to != wanted:
        yield (
            f"swarm-galera:galera.image: MariaDB {wanted}, and the data is of {former}. The first node "
            "that starts with it changes its data for good: there is no way back. Remedy: if that is meant, "
            f"with a dump at hand, set galera.upgradeTo: '{wanted}' (docs/how-to/versions.md); else name an "
            f"image of {former}"
        )
