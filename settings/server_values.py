"""What single values of the servers' settings may be, and every reason to refuse one.

Owns: checks of one value that only servers have. Leaves to others: those that other sections have, too
(values.py); which field takes which (server.py, servers.py), and what must fit together (rules.py).
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from settings.values import Refused, scalar

HIGHEST_VLAN_NUMBER = 4094
VLAN_ID = "id, not number; null lets SoftLayer choose"
MOST_MANAGERS = 7
"""Every write of the swarm's and etcd's state waits for a majority; more managers only make it slower."""
SYSTEMS = ("DEBIAN_", "UBUNTU_")
"""Operating systems that SoftLayer sells and on which the engine can keep its data in btrfs: the kernels of
CentOS, RHEL, Rocky and Alma (CENTOS_LATEST, REDHAT_LATEST, …) have none."""


def hostname_label(value: str) -> str:
    """What host names begin with: 50 characters, so that `-` and a number have room in a label."""
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?", value):
        raise Refused(
            f"{value!r} can't begin host names",
            "use 1 to 50 lower-case letters, digits and hyphens, a letter first and no hyphen last",
        )
    return value


def datacenter(value: str) -> str:
    """SoftLayer's short name of one; whether it exists only the account tells."""
    if not re.fullmatch(r"[a-z]{3}\d{2}", value):
        raise Refused(
            f"{value!r} is no datacenter's short name",
            "use one like tor01; `slcli vs create-options` lists them",
        )
    return value


def operating_system(value: str) -> str:
    """A reference code of SoftLayer's whose kernel has btrfs."""
    if not value.startswith(SYSTEMS):
        raise Refused(
            f"{value!r} can't bear the engine: its data is kept in btrfs, and of what SoftLayer sells only "
            "Debian's and Ubuntu's kernels have it (those of CentOS, RHEL, Rocky and Alma have none)",
            "use DEBIAN_LATEST or UBUNTU_LATEST, or an image of your own whose kernel has it (servers.image)",
        )
    return value


def hosts_named(value: object) -> object:
    """Reload tokens by host; a bare one, which would reload all of them, is refused. Empty is none."""
    if isinstance(value, str) and value:
        raise Refused(
            f"{value!r} does not say which host is to be reloaded",
            f'write {{galera-2: "{value}"}}; managers are database nodes and are reloaded one at a time',
        )
    return value or {}


def script_url(value: str) -> str:
    """https alone: SoftLayer fetches scripts from elsewhere, but runs none."""
    if not re.fullmatch(r"https://\S+", value):
        raise Refused(
            f"{value!r} would not be run", "SoftLayer runs scripts from https addresses only: give one"
        )
    return value


def tag(value: str) -> str:
    """SoftLayer's rule for tags of a guest."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._:-]{0,63}", value):
        raise Refused(f"SoftLayer takes no tag {value!r}", "use letters, digits, blanks and . _ : - only")
    return value


def managers(value: int) -> int:
    """Quorum's arithmetic, as a refusal people can follow."""
    if value < 1:
        raise Refused(
            f"{value} managers make no swarm: it needs at least one to decide",
            "use 3 (survives the loss of one host) or 5 (of two)",
        )
    if value % 2 == 0:
        raise Refused(
            f"an even number of managers ({value}) is refused: swarm, etcd and Galera decide by majority "
            f"(quorum), and {value} survive the loss of {(value - 1) // 2}, no more than {value - 1} would, "
            "but have one host more that can fail",
            f"use {value - 1} or {value + 1}",
        )
    if value > MOST_MANAGERS:
        raise Refused(
            f"{value} managers: each write waits for a majority, so more than {MOST_MANAGERS} only make the "
            "cluster slower",
            f"use at most {MOST_MANAGERS} managers, and workers for the rest",
        )
    return value


def memory(value: int) -> int:
    """MB, in whole GB."""
    if value < 1024 or value % 1024:
        raise Refused(
            f"{value} MB can't be ordered: SoftLayer sells whole GB, at least 1024 MB",
            f"use {max(1, round(value / 1024)) * 1024}",
        )
    return value


def vlan(value: int) -> int:
    """The id of a VLAN. Ids begin far above the numbers that switches know."""
    if value <= HIGHEST_VLAN_NUMBER:
        raise Refused(
            f"{value} is a VLAN's number, as switches know it, and its id is wanted",
            "`slcli vlan list` shows both; use the one in its first column",
        )
    return value


OperatingSystem = Annotated[str, Field(pattern=r"^[A-Z0-9_]+$"), AfterValidator(operating_system)]
Vlan = Annotated[int, Field(gt=0), AfterValidator(vlan)]
Token = Annotated[str, Field(min_length=1), BeforeValidator(scalar)]
ReloadTokens = Annotated[dict[str, Token], BeforeValidator(hosts_named)]
