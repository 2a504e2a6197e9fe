"""Why a declared virtual server cannot work, as far as that can be told without asking the API.

Owns: limits and contradictions, each with its remedy. Leaves to others: what only the API knows (what is sold
where, ids that exist).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from components.softlayer.guests import MOST_GROUPS
from components.softlayer.identity import MARKER_KEY, as_json
from components.softlayer.provider import is_unknown

MOST_DISKS = 5
SPEEDS = (10, 100, 1000)
_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_DOMAIN = re.compile(r"(?:(?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)+(?!-)[A-Za-z0-9-]{2,63}(?<!-)")
_TAG = re.compile(r"[A-Za-z0-9 ._:-]+")


def failures(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What cannot work, as (property, reason with remedy). Unknown values pass.

    Args:
        olds: the declaration before, empty for a new server.
        news: the declaration now.
    """
    found: list[tuple[str, str]] = []

    def value(key: str) -> Any:
        """The property's value; None when it is absent or not known yet."""
        return None if is_unknown(news.get(key)) else news.get(key)

    def refuse(key: str, reason: str) -> None:
        found.append((key, reason))

    if (hostname := value("hostname")) is not None and not _HOSTNAME.fullmatch(str(hostname)):
        refuse(
            "hostname",
            f"'{hostname}' is no host name; use 1 to 63 letters, digits and hyphens, no hyphen at an end",
        )
    if (domain := value("domain")) is not None and not _DOMAIN.fullmatch(str(domain)):
        refuse("domain", f"'{domain}' is no domain; use one with a dot, such as example.com")
    for key, unit, least in (("cores", "cores", 1), ("memory", "MB", 1024)):
        number = value(key)
        if number is not None and (not _whole(number) or number < least):
            refuse(
                key, f"{_show(number)} is no possible number of {unit}; give a whole number from {least} up"
            )
    if (memory := value("memory")) is not None and _whole(memory) and memory >= 1024 and memory % 1024:
        refuse("memory", f"{_show(memory)} MB is not sold; memory is a multiple of 1024 MB")
    _check_disks(olds, news, refuse)
    if (speed := value("nic_speed")) is not None and speed not in SPEEDS:
        refuse("nic_speed", f"{_show(speed)} Mbit/s is not sold; give 10, 100 or 1000")
    if value("adopt") is None and not is_unknown(news.get("adopt")):
        both, neither = (
            bool(news.get("os")) and bool(news.get("image")),
            not news.get("os") and not news.get("image"),
        )
        if both or neither:
            refuse("os", f"{'both' if both else 'neither'} `os` and `image` are given; give one of them")
    for side in ("public", "private"):
        if value(f"{side}_subnet") is not None and news.get(f"{side}_vlan") in (None, ""):
            refuse(f"{side}_subnet", f"a subnet without its VLAN; give {side}_vlan as well")
        groups = value(f"{side}_security_groups")
        if groups is not None and len(groups) > MOST_GROUPS:
            refuse(
                f"{side}_security_groups",
                f"{len(groups)} security groups; an interface takes at most {MOST_GROUPS}",
            )
    if value("private_only"):
        for key in ("public_vlan", "public_subnet", "public_security_groups"):
            if value(key):
                refuse(key, "a private-only server has no public interface; leave it out")
    for tag in value("tags") or ():
        if not is_unknown(tag) and not _TAG.fullmatch(str(tag)):
            refuse(
                "tags",
                f"tag '{tag}' holds a character that SoftLayer does not take; use letters, digits, spaces, "
                "dots, colons, hyphens and underscores",
            )
    url = value("post_install_url")
    if url and not str(url).startswith("https://"):
        refuse(
            "post_install_url", f"'{url}' would not be run; SoftLayer runs scripts from https addresses only"
        )
    user_data = str(value("user_data") or "")
    if MARKER_KEY in user_data:
        refuse("user_data", f"it holds {MARKER_KEY}, which marks the server's identity; leave that out")
    if isinstance(as_json(user_data), list):
        refuse("user_data", "a JSON list has no place for the server's identity; put it into an object")
    adopt = value("adopt")
    if olds and adopt is not None and olds.get("adopt") != adopt:
        refuse(
            "adopt",
            f"the stack has this server already, so {_show(adopt)} cannot be adopted in its place; leave the "
            "entry as it was, or destroy this server first: `pulumi destroy --target URN`",
        )
    return found


def _check_disks(olds: Mapping[str, Any], news: Mapping[str, Any], refuse: Any) -> None:
    if is_unknown(news.get("disks")) or news.get("disks") is None:
        return
    disks = list(news["disks"])
    if not 1 <= len(disks) <= MOST_DISKS:
        refuse("disks", f"{len(disks)} disks; give the sizes in GB of one to {MOST_DISKS}")
    if bad := [size for size in disks if not _whole(size) or size < 1]:
        refuse("disks", f"{_show(bad[0])} GB is no possible size; give whole numbers from 1 up")
        return
    before = olds.get("disks")
    if not before or is_unknown(before):
        return
    if len(disks) < len(before):
        refuse("disks", f"a disk cannot be removed ({len(before)} before, {len(disks)} now); {_LOSING}")
    for position, (old, new) in enumerate(zip(before, disks, strict=False)):
        if new < old:
            refuse(
                "disks",
                f"disk {position + 1} cannot shrink ({_show(old)} GB before, {_show(new)} GB now); {_LOSING}",
            )


_LOSING = "to start anew and lose its data, destroy the server first: `pulumi destroy --target URN`"


def _whole(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and float(value).is_integer()


def _show(value: Any) -> str:
    return f"{value:.0f}" if _whole(value) else f"{value!r}"
