"""Strays: what a stack ordered, and its state does not know, because a run was interrupted.

Owns: cancelling them with `destroy`, and telling of them after a run.
Leaves to others: finding them (comparison.py), the steps of a cancellation (components/softlayer).

The identity in an order tells whose it is for certain: `destroy` cancels what carries this stack's, and
nothing else. It has to be done before the state goes, because only the state holds the identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from components.softlayer import cancellation, orders, security_group_provider, ssh_key_provider
from operations.account.audit import Account, show
from operations.account.comparison import GUEST, KEY, Finding, Known, known
from operations.errors import OperationsError
from operations.messages import say
from operations.pulumi_cli import Pulumi
from operations.stack_settings import StackSettings
from settings import Servers
from settings.errors import UserError


def strays_of(account: Account) -> list[Finding]:
    """The stack's strays. Raises SoftLayerFailed."""
    return [finding for finding in account.compare() if finding.stray]


def question(pulumi: Pulumi) -> str:
    """What is asked before a stack is destroyed."""
    if known(pulumi.export() or {}).no_account:
        return "Take all of this away from your hosts? They stay, and so does the data in their volumes."
    return "Destroy all of this, with its data?"


def before_destroy(pulumi: Pulumi) -> tuple[Account, list[Finding]] | None:
    """The account and the stack's strays, shown if there are any; None if it has never ordered anything, as
    a stack of hosts of one's own has not.

    Raises:
        OperationsError: the account cannot be looked at, or the strays must not be cancelled, because hosts
            are protected. Nothing has been destroyed.
    """
    state = known(pulumi.export() or {})
    if not state.owner or state.no_account:
        return None
    try:
        account = Account.of(pulumi, state)
        orders.await_unsettled(account.api, state.owner)
        strays = strays_of(account)
    except UserError as error:
        raise OperationsError(
            f"Nothing was destroyed, because what is ordered and in no state cannot be looked up: {error}"
        ) from None
    if strays:
        say("Interrupted runs ordered more for this stack than its state knows:")
        show(strays, pulumi.stack, stderr=True)
        _require_unprotected(account, pulumi)
    return account, strays


def _require_unprotected(account: Account, pulumi: Pulumi) -> None:
    # A state that was restored from an old copy does not know the hosts that bear the data.
    servers = StackSettings.of(pulumi).section("swarm-galera:servers")
    if account.state.protected or servers.get("protect", Servers.model_fields["protect"].default):
        raise OperationsError(
            "Nothing was destroyed, because hosts are protected. Lift that first (`pulumi config set --path "
            "swarm-galera:servers.protect false`, then `up`), or cancel by hand what is listed above."
        )


def cancel(account: Account, strays: list[Finding]) -> None:
    """Cancel and remove them, each after another look at whose it is; guests are then going, not gone.

    Raises:
        SoftLayerFailed: one is not, or no longer, the stack's, or the API refuses.
    """
    # Guests first: a group that is bound to one cannot be deleted.
    for stray in sorted(strays, key=lambda stray: stray.kind != GUEST):
        _remove(account, stray)
        say(
            f"{'Cancelled' if stray.kind == GUEST else 'Removed'} the {stray.kind} {stray.id} ({stray.name})."
        )


def _remove(account: Account, stray: Finding) -> None:
    api, owner = account.api, account.state.owner
    if stray.kind == GUEST:
        cancellation.cancel_of_owner(api, int(stray.id), owner)
    elif stray.kind == KEY:
        ssh_key_provider.delete_of_owner(api, stray.id, owner)
    else:
        security_group_provider.delete_of_owner(api, stray.id, owner)


def wait_gone(account: Account, strays: list[Finding]) -> None:
    """Wait until cancelled guests are gone. Raises SoftLayerFailed."""
    for stray in strays:
        if stray.kind == GUEST:
            cancellation.wait_gone(account.api, int(stray.id), stray.name)


def left_of(account: Account) -> list[Finding]:
    """All that the account still has of the stack, when nothing is in its state. Raises SoftLayerFailed."""
    emptied = replace(account, state=Known(account.state.owner, frozenset()))
    return [finding for finding in emptied.compare() if finding.ours]


def looked_for(exported: Mapping[str, Any]) -> bool:
    """Whether a stack of this state has an account that is asked for strays after a run."""
    state = known(exported)
    return bool(state.owner) and not state.no_account


def after_run(pulumi: Pulumi) -> list[Finding]:
    """Tell of the stack's strays after a run, and return them. That they cannot be looked up is only said."""
    try:
        exported = pulumi.export() or {}
        strays = strays_of(Account.of(pulumi, known(exported))) if looked_for(exported) else []
    except UserError as error:
        say(f"Whether anything is ordered that is in no state could not be looked up: {error}")
        return []
    if strays:
        show(strays, pulumi.stack, stderr=True)
    return strays
