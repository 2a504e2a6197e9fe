"""A token or a key, drawn once and kept as a secret of the state.

Owns: drawing it. Leaves to others: where it is used. It never changes by itself; a replaced resource
(`pulumi up --replace URN`) draws a new one.
"""

from __future__ import annotations

import base64
import secrets
import uuid
from typing import Any, Literal

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, Resource, ResourceProvider

KEY_BYTES = 32
"""Of a key: AES-256, as Consul's gossip takes it."""


class TokenProvider(ResourceProvider):
    """Draws it; touches nothing outside the state."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse a form that nobody can draw."""
        if news["form"] not in ("uuid", "key"):
            return CheckResult(news, [CheckFailure("form", f"{news['form']} is neither uuid nor key")])
        return CheckResult(news, [])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Draw it from the operating system's random source."""
        return CreateResult("token", {**props, "value": drawn(props["form"])})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Another form or holder means another value."""
        changed = [key for key in ("form", "holder") if olds.get(key) != news.get(key)]
        return DiffResult(changes=bool(changed), replaces=changed)


class Token(Resource, module="swarm-galera", name="Token"):
    """A drawn value.

    Attributes:
        value: the token or key; secret.
    """

    value: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        form: Literal["uuid", "key"] = "uuid",
        opts: pulumi.ResourceOptions | None = None,
        *,
        holder: pulumi.Input[str] | None = None,
    ) -> None:
        """`form`: a random UUID, or a key of 32 bytes as base64. `holder`: another one gets another value."""
        secret = pulumi.ResourceOptions(additional_secret_outputs=["value"])
        super().__init__(
            TokenProvider(),
            name,
            {"form": form, "value": None, **({} if holder is None else {"holder": holder})},
            pulumi.ResourceOptions.merge(secret, opts),
        )


def drawn(form: str) -> str:
    """A new one."""
    if form == "uuid":
        return str(uuid.uuid4())
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
