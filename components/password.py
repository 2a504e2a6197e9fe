"""A password, drawn once and kept as a secret of the state.

Owns: drawing it. Leaves to others: where it is used. It never changes by itself; a replaced resource
(`pulumi up --replace URN`) draws a new one.
"""

from __future__ import annotations

import secrets
import string
from typing import Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, Resource, ResourceProvider

ALPHABET = string.ascii_letters + string.digits
"""Letters and digits only: such a password needs no quoting in SQL, shells, URLs or option files."""
SHORTEST = 16


class PasswordProvider(ResourceProvider):
    """Draws the password; touches nothing outside the state."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse a length that could be guessed."""
        if float(news["length"]) < SHORTEST:
            reason = f"a password of {news['length']:.0f} characters can be guessed; give at least {SHORTEST}"
            return CheckResult(news, [CheckFailure("length", reason)])
        return CheckResult(news, [])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Draw it from the operating system's random source."""
        value = "".join(secrets.choice(ALPHABET) for _ in range(int(props["length"])))
        return CreateResult("password", {**props, "value": value})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Another length means another password."""
        changed = olds.get("length") != news.get("length")
        return DiffResult(changes=changed, replaces=["length"] if changed else [])


class Password(Resource, module="swarm-galera", name="Password"):
    """A generated password.

    Attributes:
        value: the password; secret.
    """

    value: pulumi.Output[str]

    def __init__(self, name: str, length: int = 32, opts: pulumi.ResourceOptions | None = None) -> None:
        """Drawn when the resource is created; another length is another password.

        Args:
            length: characters, at least 16.
        """
        secret = pulumi.ResourceOptions(additional_secret_outputs=["value"])
        super().__init__(
            PasswordProvider(),
            name,
            {"length": length, "value": None},
            pulumi.ResourceOptions.merge(secret, opts),
        )
