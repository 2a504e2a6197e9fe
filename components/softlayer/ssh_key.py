"""SSH keys in the account: generated, given, or found there.

Owns: the resources `SshKeyPair` (generated once, nothing outside the state) and `SshKey` (the public half
in the account). Leaves to others: who uses them (components/ssh_access.py).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pulumi
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

from components.softlayer.ssh_key_provider import SshKeyProvider


class SshKeyPairProvider(ResourceProvider):
    """Generates the pair once."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """An ed25519 pair in OpenSSH's own formats."""
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        return CreateResult(
            "key-pair", {**props, "private_key": private.decode(), "public_key": public.decode()}
        )

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Never changes; replace the resource to have a new pair."""
        return DiffResult(changes=False)


class SshKeyPair(Resource, module="softlayer", name="SshKeyPair"):
    """An ed25519 key pair, generated once.

    Attributes:
        private_key: OpenSSH private key file's text; secret.
        public_key: one line, `ssh-ed25519 AAAA…`.
    """

    private_key: pulumi.Output[str]
    public_key: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["private_key"])
        super().__init__(
            SshKeyPairProvider(),
            name,
            {"private_key": None, "public_key": None},
            pulumi.ResourceOptions.merge(secret, opts),
        )


@dataclass(frozen=True)
class SshKeyArgs:
    """A key in the account.

    Attributes:
        owner: `StackIdentity.owner`.
        public_key: one OpenSSH line. If the account has this very key (type and base64 text), it is adopted
            as it is and never deleted. A changed key replaces.
        label: without `public_key`: the label of a key in the account to adopt. With it: the label of the
            key that is uploaded, by default `swarm-galera-PROJECT-STACK-TOKEN`; changed in place.
        notes: free text; changed in place.
    """

    owner: pulumi.Input[str]
    public_key: pulumi.Input[str] | None = None
    label: pulumi.Input[str] | None = None
    notes: pulumi.Input[str] = ""


class SshKey(Resource, module="softlayer", name="SshKey"):
    """A public key in the account; its resource id is the key's id.

    Attributes:
        key: the public key's line.
        fingerprint: as SoftLayer computes it.
        adopted: whether it was there before this stack (then it is never changed nor deleted).
    """

    key: pulumi.Output[str]
    fingerprint: pulumi.Output[str]
    adopted: pulumi.Output[bool]

    def __init__(self, name: str, args: SshKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props = {field.name: getattr(args, field.name) for field in fields(args)}
        outputs = dict.fromkeys(("key", "fingerprint", "adopted"))
        super().__init__(SshKeyProvider(), name, {"resource": name, **props, **outputs}, opts)
