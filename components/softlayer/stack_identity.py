"""The stack's identity as a resource: drawn once, the first of all, and given up the last.

Owns: the random token, and the refusal to forget it while a server carries it.
Leaves to others: what is made of it (identity.py).
"""

from __future__ import annotations

import secrets
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult
from pulumi.runtime.sync_await import _sync_await

from components.softlayer import guests, orders
from components.softlayer.errors import SoftLayerFailed
from components.softlayer.provider import SoftLayerProvider

NO_ACCOUNT = "no_account"
"""Property of a stack that has never had to do with an account: all its hosts are one's own."""


class StackIdentityProvider(SoftLayerProvider):
    """Draws the token once, and gives it up when no server carries it any more."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Draw 48 random bits: enough that no two stacks of an account meet."""
        token = secrets.token_hex(6)
        owner = f"{props['project']}/{props['stack']}/{token}"
        return CreateResult(token, {**props, "owner": owner})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Never changes: a renamed stack keeps the identity that its guests carry. Only that something is
        ordered for a stack that had nothing in the account is noted; that stays so.
        """
        return DiffResult(changes=bool(olds.get(NO_ACCOUNT)) and not news.get(NO_ACCOUNT))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Keep what was drawn."""
        return UpdateResult({**olds, NO_ACCOUNT: bool(news.get(NO_ACCOUNT))})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Refuse while a server carries the identity: it could never be found again.

        Everything else of the stack goes before. What is still there then was ordered by an interrupted run.

        Raises:
            SoftLayerFailed: there is one; says which, and how to have it cancelled.
        """
        if props.get(NO_ACCOUNT):
            return
        api, owner = self.api(), str(props["owner"])
        orders.await_unsettled(api, owner)
        if left := guests.of_owner(api, owner):
            names = ", ".join(f"{guest.name} ({guest.id})" for guest in left)
            raise SoftLayerFailed(
                f"{len(left)} servers carry the identity {owner} of this stack and are in no state: {names}. "
                "`python -m operations destroy` cancels them with the stack; to keep one, take the identity "
                "out of its user data"
            )


class StackIdentity(Resource, module="softlayer", name="StackIdentity"):
    """The stack's identity, drawn once.

    Attributes:
        owner: `PROJECT/STACK/TOKEN`, given to all that this stack orders.
    """

    owner: pulumi.Output[str]

    def owner_now(self) -> str | None:
        """The owner, waited for; None in the preview of a stack that has never been up.

        The program has to know it before it can say what the plan changes. Pulumi's SDK waits in this way for
        its own calls, too.
        """
        owner: str | None = _sync_await(self.owner.future())
        return owner

    def __init__(
        self, name: str = "identity", opts: pulumi.ResourceOptions | None = None, *, account: bool = True
    ) -> None:
        """`account`: something is ordered, or was."""
        props: dict[str, Any] = {"project": pulumi.get_project(), "stack": pulumi.get_stack(), "owner": None}
        if not account:
            props[NO_ACCOUNT] = True
        super().__init__(StackIdentityProvider(), name, props, opts)
