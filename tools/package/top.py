"""A highly available MariaDB Galera cluster on Docker swarm, in parts for Pulumi programs.

`swarm_galera.components` has the parts, `swarm_galera.settings` what they are told, `swarm_galera.operations`
what `swarm-galera` does on the command line. How to compose them: docs/how-to/package.md of the project.
"""

from __future__ import annotations

from pathlib import Path

IMAGES = Path(__file__).parent / "images"
"""What the images are built from, a folder each; `README.md` there says how."""


def image(name: str, registry: str, system: str = "") -> str:
    """An image of this version of the program, as a setting takes it: `REGISTRY/galera:11.8-1`.

    Args:
        name: its folder: etcd, consul, galera, haproxy, wordpress.
        registry: where it was pushed to, with what stands before the name.
        system: `bookworm` for those on Debian 12; empty for Debian 13's.

    Raises:
        ValueError: there is no such image.
    """
    file = IMAGES / name / (f"TAG-{system}" if system else "TAG")
    if not file.is_file():
        known = ", ".join(sorted(each.parent.name for each in IMAGES.glob("*/TAG")))
        systems = ", ".join(sorted(each.name.removeprefix("TAG-") for each in (IMAGES / name).glob("TAG-*")))
        raise ValueError(
            f"There is no image {name} for {system or 'Debian 13'}. Remedy: name one of {known}"
            + (f"; a system, if any, of {systems}" if systems else "")
        )
    return f"{registry.rstrip('/')}/{name}:{file.read_text(encoding='ascii').strip()}"
