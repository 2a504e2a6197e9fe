"""What must hold of a stack below its data layer: facts in, checks out.

Owns: that nothing of the layers above runs, that the data is there or gone as the outputs say.
Leaves to others: gathering the facts (facts/cluster.py), hosts, swarm and network (cluster.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from components.data_layer import VOLUMES
from components.galera import VOLUME as ROWS
from operations.checks.check import Check
from operations.facts.cluster import HostFacts
from operations.outputs import Outputs
from settings.application import VOLUME as UPLOADS

ONCE_MORE = "`up` once more: what Pulumi removes at the end of a run is seen to by the next"
BACK_FIRST = (
    "once it is back, `up` ends there what is left of the swarm that was taken down; or give it up "
    "(servers.replace; one's own: out of the settings)"
)
ADOPTED = (
    "a database that comes up again takes them over, with the accounts and passwords of then. To have an "
    "empty one: keepData: false with takeDown: [data], then `up`"
)
UPLOADS_ADOPTED = (
    "an application that comes up takes these uploads over. If they are to go: keepData: false with "
    "takeDown: [data] and the section application, then `up`; without the section: "
    f"docker volume rm {UPLOADS} on that host"
)


def of_layer(outputs: Outputs, facts: Mapping[str, HostFacts]) -> list[Check]:
    """Nothing of the layers above; none for a stack that has them all."""
    if outputs.has("data"):
        return []
    return [*_taken_down(outputs, facts), *_data(outputs, facts), *_uploads(outputs, facts)]


def _taken_down(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    what = f"nothing is left above the layer {outputs.layer}"
    yield Check("cluster", what, not outputs.left, outputs.left or "nothing is", remedy=ONCE_MORE)
    for name in outputs.missed:
        found = "it did not answer when the others did theirs"
        yield Check(name, "its part of what was taken down is done", False, found, remedy=BACK_FIRST)
    if outputs.has("swarm"):
        return  # which others may use, too
    for host in outputs.hosts:
        seen = facts[host.name]
        running = ", ".join(sorted(seen.images))
        found = seen.error or running or "none"
        yield Check(
            host.name,
            "no service runs",
            not running and not seen.error,
            found,
            remedy=ONCE_MORE if running else "",
        )


def _data(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    """Volumes that should be there and are not, fail; those that should not be, warn: they do no harm yet."""
    for host in outputs.hosts:
        seen = facts[host.name]
        # A worker has no records, but bears rows where its pool says so (servers.pools).
        counted = VOLUMES if host.role == "manager" else (ROWS,)
        wanted = [volume for volume in outputs.volumes if volume in counted and host.name in outputs.kept_on]
        there = [volume for volume in counted if volume in seen.volumes]
        if host.role != "manager" and not wanted and not there:
            continue
        missing = [volume for volume in wanted if volume not in there]
        too_many = [volume for volume in there if volume not in wanted]
        found = "not asked" if seen.error else ", ".join(there) or "none"
        yield Check(
            host.name,
            "the data is kept in its volumes" if wanted else "no data of a former cluster",
            not missing and not seen.error,
            f"missing: {', '.join(missing)}" if missing and not seen.error else found,
            warns=bool(too_many),
            remedy=ADOPTED if too_many else "",
        )


def _uploads(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    """Where no data is kept, none should be. Which hosts should have some is not known: containers move."""
    if outputs.volumes:
        return
    for host in outputs.hosts:
        if UPLOADS in facts[host.name].volumes:
            what = "no uploads of a former application"
            yield Check(host.name, what, ok=True, found=UPLOADS, warns=True, remedy=UPLOADS_ADOPTED)
