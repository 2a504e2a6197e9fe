"""Which MariaDB an image brings: by its tag, which begins with the server's version (`11.8-1`).

Owns: the versions that the program knows, newest first, and the direction in which data may go. Leaves to
others: what differs between them (`server_options`, `initial_sql`), refusing at the data itself
(images/galera/galera_node/data_version.py), which also knows images whose tag says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

VERSIONS = ("11.8", "10.11")
"""Of Debian 13 and of Debian 12. Data goes from the right to the left only."""


def of_image(reference: str) -> str | None:
    """The version by an image's tag; None for a tag, or a digest, that does not say."""
    found = re.search(r":(\d+\.\d+)(?:[.-][^:/@]*)?(?:@|$)", reference)
    return found[1] if found and found[1] in VERSIONS else None


def required_tag(reference: str, first: Mapping[str, int]) -> str:
    """The tag that an image of ours, `swarm-galera/galera:VERSION-N`, must have at least, where its own is
    lower; else empty, as for any other name or tag. `first`: the least N, by version.
    """
    found = re.search(r"(?:^|/)swarm-galera/galera:(\d+\.\d+)-(\d+)(?:@|$)", reference)
    return f"{found[1]}-{first[found[1]]}" if found and int(found[2]) < first.get(found[1], 0) else ""


def is_older(one: str, other: str) -> bool:
    """Whether a version comes before another one."""
    return _numbers(one) < _numbers(other)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
