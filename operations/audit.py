"""`audit`: what the account has of a stack and the stack's state does not know.

Owns: the comparison of account and state, and its table. Changes nothing.
Leaves to others: reading prices (components/softlayer/cost.py), cancelling (the person who reads the table).

Guests are told by the identity in their order (or by the program's tag), SSH keys and security groups by the
identity in their notes and descriptions. What a stack has adopted carries none and is nobody's orphan.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from components.softlayer.client import Api, find_credentials
from components.softlayer.cost import NOTHING, Price, paid_for
from components.softlayer.errors import SoftLayerFailed, explaining
from components.softlayer.guest_seen import Guest
from components.softlayer.identity import PROGRAM_TAG, owner_of, stack_tag
from operations.engine import CHECKOUT, NO_STACK, Pulumi
from operations.errors import OperationsError
from operations.stack import StackOption

_TYPES = {
    "pulumi-python:dynamic/softlayer:VirtualGuest": "guest",
    "pulumi-python:dynamic/softlayer:SshKey": "SSH key",
    "pulumi-python:dynamic/softlayer:SecurityGroup": "security group",
}
_IDENTITY = "pulumi-python:dynamic/softlayer:StackIdentity"
_OWN = re.compile(r"swarm-galera (\S+/\S+/[0-9a-f]+/\S+?)\)?$")
_GUEST_MASK = (
    "mask[id,hostname,domain,createDate,hourlyBillingFlag,userData[value],tagReferences[tag[name]],"
    "activeTransaction[transactionStatus[name]],billingItem[id,hourlyRecurringFee,recurringFee,"
    "children[id,hourlyRecurringFee,recurringFee,cancellationDate]]]"
)


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(audit)


@dataclass(frozen=True)
class Known:
    """What a state holds.

    Attributes:
        owner: the stack's identity, `PROJECT/STACK/TOKEN`; empty for a stack that has none yet.
        ids: (kind, id) of all guests, keys and groups, those that are about to be deleted too.
    """

    owner: str
    ids: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Finding:
    """Something of the stack that its state and the account do not agree on.

    Attributes:
        kind: `guest`, `SSH key` or `security group`.
        id, name: in the account.
        why: in words.
        todo: what to do about it.
        monthly: what it costs a month, in the account's currency.
    """

    kind: str
    id: str
    name: str
    why: str
    todo: str
    monthly: float = 0.0


def audit(
    stack: StackOption = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """List what was ordered for a stack and is in no state, with its cost. Exit code 1 if there is any."""
    project = str(yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text(encoding="utf-8"))["name"])
    pulumi = Pulumi(stack, {})
    state = known(_exported(pulumi))
    try:
        api = Api(find_credentials(_config(pulumi, stack))).patient_for(15.0)
        found = compare(api, state, project, stack)
    except SoftLayerFailed as error:
        raise OperationsError(str(error)) from None
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        _show(found, stack)
    if found:
        raise typer.Exit(1)


def known(exported: Mapping[str, Any]) -> Known:
    """What an exported state (`pulumi stack export`) holds."""
    owner, ids = "", set()
    for resource in (exported.get("deployment") or {}).get("resources") or ():
        kind = _TYPES.get(resource["type"])
        if kind is not None and resource.get("id"):
            ids.add((kind, str(resource["id"])))
        if resource["type"] == _IDENTITY:
            owner = str((resource.get("outputs") or {}).get("owner") or owner)
    return Known(owner, frozenset(ids))


def stray_guests(rows: Iterable[Mapping[str, Any]], state: Known, project: str, stack: str) -> list[Finding]:
    """Guests of the stack that are in no state."""
    tagged = re.compile(re.escape(stack_tag(f"{project}/{stack}")) + "-[0-9a-f]{12}")
    found = []
    for row in rows:
        guest = Guest(row)
        if ("guest", str(guest.id)) in state.ids or guest.reclaiming:
            continue
        price = paid_for(row) if row.get("billingItem") else NOTHING
        if guest.marker is not None:
            if not guest.marker.startswith(f"{project}/{stack}/"):
                continue
            why, todo = _reason(guest.marker, state, f"`slcli vs cancel {guest.id}`")
        elif any(tagged.fullmatch(tag.lower()) for tag in guest.tags):
            why = f"it carries the tag {PROGRAM_TAG} and no identity: its user data was changed by hand"
            todo = f"if nobody needs it, `slcli vs cancel {guest.id}`"
        else:
            continue
        found.append(Finding("guest", str(guest.id), guest.name, why, todo, _rounded(price)))
    return found


def stray_things(
    kind: str, rows: Iterable[Mapping[str, Any]], state: Known, project: str, stack: str
) -> list[Finding]:
    """SSH keys or security groups of the stack that are in no state."""
    found = []
    for row in rows:
        marker = _OWN.search(str(row.get("notes" if kind == "SSH key" else "description") or ""))
        if marker is None or (kind, str(row["id"])) in state.ids:
            continue
        if not marker[1].startswith(f"{project}/{stack}/"):
            continue
        remove = "sshkey remove" if kind == "SSH key" else "securitygroup delete"
        why, todo = _reason(marker[1], state, f"`slcli {remove} {row['id']}`")
        found.append(Finding(kind, str(row["id"]), str(row.get("label") or row.get("name")), why, todo))
    return found


def vanished(ids: Iterable[tuple[str, str]], state: Known) -> list[Finding]:
    """What the state holds and the account does not have."""
    there = set(ids)
    return [
        Finding(kind, number, "", "it is in the state, not in the account", "`pulumi refresh`, then `up`")
        for kind, number in sorted(state.ids)
        if (kind, number) not in there
    ]


def _reason(marker: str, state: Known, remove: str) -> tuple[str, str]:
    if owner_of(marker) == state.owner:
        return "an interrupted run ordered it", f"the next `up` goes on with it; or {remove}"
    return f"it is of an earlier life of the stack ({owner_of(marker)}), whose state is gone", remove


def compare(api: Api, state: Known, project: str, stack: str) -> list[Finding]:
    """All that account and state do not agree on. Raises SoftLayerFailed."""
    with explaining("listing what the account has"):
        guests = api.list("getVirtualGuests", mask=_GUEST_MASK)
        keys = api.list("getSshKeys", mask="mask[id,label,notes]")
        groups = api.list("getSecurityGroups", mask="mask[id,name,description]")
    there = [
        (kind, str(row["id"]))
        for kind, rows in (("guest", guests), ("SSH key", keys), ("security group", groups))
        for row in rows
    ]
    return [
        *stray_guests(guests, state, project, stack),
        *stray_things("SSH key", keys, state, project, stack),
        *stray_things("security group", groups, state, project, stack),
        *vanished(there, state),
    ]


def _rounded(price: Price) -> float:
    return round(float(price.monthly), 2)


def _exported(pulumi: Pulumi) -> dict[str, Any]:
    done = pulumi.ask("stack", "export")
    if done.returncode == NO_STACK:
        return {}
    if done.returncode != 0:
        raise OperationsError(f"The stack's state cannot be read: {done.stderr.strip()}")
    exported: dict[str, Any] = json.loads(done.stdout)
    return exported


class _Settings:
    """The stack's settings by full key. Held in memory only: the API key may be among them."""

    def __init__(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        self._values = values

    def get(self, key: str) -> Any:
        return self._values.get(key, {}).get("value")


def _config(pulumi: Pulumi, stack: str) -> _Settings:
    done = pulumi.ask("config", "--json")
    if done.returncode == NO_STACK:
        return _Settings(_from_file(stack))
    if done.returncode == 0 and "swarm-galera:apiKey" in json.loads(done.stdout or "{}"):
        done = pulumi.ask("config", "--json", "--show-secrets")
    if done.returncode != 0:
        raise OperationsError(f"The stack's settings cannot be read: {done.stderr.strip()}")
    return _Settings(json.loads(done.stdout or "{}"))


def _from_file(stack: str) -> dict[str, dict[str, Any]]:
    """Settings of a stack whose state is gone: what it ordered may still be there."""
    file = CHECKOUT / f"Pulumi.{stack}.yaml"
    if not file.exists():
        raise OperationsError(f"There is no stack {stack}, and no {file.name}: --stack names another one.")
    config = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("config") or {}
    return {key: {"value": value} for key, value in config.items() if not isinstance(value, dict)}


def _show(found: list[Finding], stack: str) -> None:
    if not found:
        typer.echo(f"Account and state of stack {stack} agree: nothing is ordered that is in no state.")
        return
    table = Table("what", "id", "name", "why", "what to do", "a month", title=f"Stack {stack}")
    for finding in found:
        cost = f"{finding.monthly:.2f}" if finding.monthly else ""
        table.add_row(finding.kind, finding.id, finding.name, finding.why, finding.todo, cost)
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table)
    console.print(f"{len(found)} in all, {sum(finding.monthly for finding in found):.2f} a month.")
