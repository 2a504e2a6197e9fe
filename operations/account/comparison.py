"""What the account has of a stack, compared with what its state knows.

Owns: telling whose a thing is, and the list of what does not fit. Changes nothing.
Leaves to others: showing it (audit.py), cancelling (strays.py), prices (components/softlayer/cost.py).

Guests are told by the identity in their order (or by their stack's tag), SSH keys and security groups by the
identity in their notes and descriptions. What a stack has adopted carries none and is nobody's stray.

A stack's name tells nothing: two people may both have a stack `dev` on one account. Only the token that the
state holds does. What carries the name and another token is listed, and nobody is told to cancel it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from components.softlayer.client import Api
from components.softlayer.cost import NOTHING, Price, paid_for
from components.softlayer.errors import explaining
from components.softlayer.guest_seen import Guest
from components.softlayer.identity import PROGRAM_TAG, owner_of, signed_by, stack_tag
from components.softlayer.stack_identity import NO_ACCOUNT

GUEST, KEY, GROUP = "guest", "SSH key", "security group"
_TYPES = {
    "pulumi-python:dynamic/softlayer:VirtualGuest": GUEST,
    "pulumi-python:dynamic/softlayer:SshKey": KEY,
    "pulumi-python:dynamic/softlayer:SecurityGroup": GROUP,
}
_IDENTITY = "pulumi-python:dynamic/softlayer:StackIdentity"
_REMOVE = {GUEST: "slcli vs cancel", KEY: "slcli sshkey remove", GROUP: "slcli securitygroup delete"}
_GUEST_MASK = (
    "mask[id,hostname,domain,createDate,hourlyBillingFlag,userData[value],tagReferences[tag[name]],"
    "activeTransaction[transactionStatus[name]],billingItem[id,hourlyRecurringFee,recurringFee,"
    "children[id,hourlyRecurringFee,recurringFee,cancellationDate]]]"
)


@dataclass(frozen=True)
class Known:
    """What a state holds.

    Attributes:
        owner: the stack's identity, `PROJECT/STACK/TOKEN`; empty for a stack that has none yet, or no more.
        ids: (kind, id) of all guests, keys and groups, those that are about to be deleted too.
        protected: names of the guests that Pulumi refuses to delete.
        no_account: the stack has never had to do with an account: all its hosts are one's own.
    """

    owner: str
    ids: frozenset[tuple[str, str]]
    protected: tuple[str, ...] = ()
    no_account: bool = False


@dataclass(frozen=True)
class Finding:
    """Something that a stack's state and the account do not agree on.

    Attributes:
        kind: `guest`, `SSH key` or `security group`.
        id, name: in the account.
        why: in words.
        todo: what to do about it.
        monthly: what it costs a month, in the account's currency.
        stray: whether it is this stack's own for certain, and in no state.
        ours: whether it is this stack's own at all; False for what another stack of this name may need.
    """

    kind: str
    id: str
    name: str
    why: str
    todo: str
    monthly: float = 0.0
    stray: bool = False
    ours: bool = True


def known(exported: Mapping[str, Any]) -> Known:
    """What an exported state (`pulumi stack export`) holds."""
    owner, ids, protected, no_account = "", set(), [], False
    for resource in (exported.get("deployment") or {}).get("resources") or ():
        kind = _TYPES.get(resource["type"])
        if kind is not None and resource.get("id"):
            ids.add((kind, str(resource["id"])))
            if kind == GUEST and resource.get("protect"):
                protected.append(str(resource["urn"]).rpartition("::")[2])
        if resource["type"] == _IDENTITY:
            outputs = resource.get("outputs") or {}
            owner, no_account = str(outputs.get("owner") or owner), bool(outputs.get(NO_ACCOUNT))
    return Known(owner, frozenset(ids), tuple(protected), no_account)


def compare(api: Api, state: Known, project: str, stack: str) -> list[Finding]:
    """All that account and state do not agree on: the stack's own first. Raises SoftLayerFailed."""
    with explaining("listing what the account has"):
        guests = api.list("getVirtualGuests", mask=_GUEST_MASK)
        keys = api.list("getSshKeys", mask="mask[id,label,notes]")
        groups = api.list("getSecurityGroups", mask="mask[id,name,description]")
    there = [
        (kind, str(row["id"]))
        for kind, rows in ((GUEST, guests), (KEY, keys), (GROUP, groups))
        for row in rows
    ]
    found = [
        *unknown_guests(guests, state, project, stack),
        *unknown_things(KEY, keys, state, project, stack),
        *unknown_things(GROUP, groups, state, project, stack),
        *vanished(there, state),
    ]
    return sorted(found, key=lambda finding: not finding.ours)


def unknown_guests(
    rows: Iterable[Mapping[str, Any]], state: Known, project: str, stack: str
) -> list[Finding]:
    """Guests of stacks of this name that are not in the state."""
    own_tag = stack_tag(state.owner) if state.owner else None
    tagged = re.compile(re.escape(stack_tag(f"{project}/{stack}")) + "-[0-9a-f]{12}")
    found = []
    for row in rows:
        guest = Guest(row)
        if (GUEST, str(guest.id)) in state.ids or guest.reclaiming:
            continue
        monthly = _rounded(paid_for(row) if row.get("billingItem") else NOTHING)
        if guest.marker is not None:
            if (owner := owner_of(guest.marker)).startswith(f"{project}/{stack}/"):
                found.append(_finding(GUEST, guest.id, guest.name, owner, state, monthly))
            continue
        tags = [tag.lower() for tag in guest.tags if tagged.fullmatch(tag.lower())]
        if own_tag in tags:
            why = f"it carries the tag {PROGRAM_TAG} and no identity: its user data was changed by hand"
            todo = f"if it is not needed, `{_REMOVE[GUEST]} {guest.id}`"
            found.append(Finding(GUEST, str(guest.id), guest.name, why, todo, monthly))
        elif tags:
            found.append(_foreign(GUEST, guest.id, guest.name, f"tag {tags[0]}", monthly))
    return found


def unknown_things(
    kind: str, rows: Iterable[Mapping[str, Any]], state: Known, project: str, stack: str
) -> list[Finding]:
    """SSH keys or security groups of stacks of this name that are not in the state."""
    found = []
    for row in rows:
        marker = signed_by(row.get("notes" if kind == KEY else "description"))
        if marker is None or (kind, str(row["id"])) in state.ids:
            continue
        if (owner := owner_of(marker)).startswith(f"{project}/{stack}/"):
            name = str(row.get("label") or row.get("name"))
            found.append(_finding(kind, row["id"], name, owner, state))
    return found


def vanished(ids: Iterable[tuple[str, str]], state: Known) -> list[Finding]:
    """What the state holds and the account does not have."""
    there = set(ids)
    return [
        Finding(kind, number, "", "it is in the state, not in the account", "`refresh`, then `up`")
        for kind, number in sorted(state.ids)
        if (kind, number) not in there
    ]


def _finding(kind: str, number: Any, name: str, owner: str, state: Known, monthly: float = 0.0) -> Finding:
    if owner != state.owner:
        return _foreign(kind, number, name, owner, monthly)
    todo = (
        f"`up` goes on with it if it is still declared, `destroy` removes it; or `{_REMOVE[kind]} {number}`"
    )
    return Finding(kind, str(number), name, "an interrupted run ordered it", todo, monthly, stray=True)


def _foreign(kind: str, number: Any, name: str, whose: str, monthly: float) -> Finding:
    why = f"of another stack of this name, or of one whose state is lost ({whose})"
    return Finding(kind, str(number), name, why, "ask first whose it is", monthly, ours=False)


def _rounded(price: Price) -> float:
    return round(float(price.monthly), 2)
