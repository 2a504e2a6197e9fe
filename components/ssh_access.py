"""How the program gets onto its hosts: the key that the account installs on them.

Owns: choosing between a generated pair, a given public key and one that the account has under a label.
Leaves to others: the account's side (components/softlayer/ssh_key.py), connecting (virtual_server.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pulumi

from components.softlayer.ssh_key import SshKey, SshKeyArgs, SshKeyPair
from settings import Settings
from settings.errors import UserError


@dataclass(frozen=True)
class SshAccessArgs:
    """Which key.

    Attributes:
        owner: `StackIdentity.owner`.
        public_key: a public key's line; None to have a pair generated, unless `label` is given.
        label: label of a key that the account has already.
        private_key_file: the private half of a given or labelled key, without a passphrase; None for one
            that the SSH agent holds.
        upload_label, upload_notes: of a generated or given key in the account; None for the stack's own
            label. An account that has the key already keeps its own.
        private_key: the private half's text, instead of a file.
        in_account: have the public half in the account; False where nothing is ordered.
    """

    owner: pulumi.Input[str]
    public_key: str | None = None
    label: str | None = None
    private_key_file: str | None = None
    upload_label: str | None = None
    upload_notes: str = ""
    private_key: str | None = field(default=None, repr=False)
    in_account: bool = True

    @classmethod
    def of(cls, owner: pulumi.Input[str], settings: Settings) -> SshAccessArgs:
        """As the settings say."""
        ssh = settings.ssh
        return cls(
            owner,
            ssh.public_key,
            ssh.label,
            ssh.private_key_file,
            ssh.upload_label,
            ssh.upload_notes,
            None if ssh.private_key is None else ssh.private_key.get_secret_value(),
            settings.servers.orders,
        )


class SshAccess(pulumi.ComponentResource):
    """The key of the hosts' root.

    Attributes:
        key_id: the key's id in the account; empty where nothing is ordered.
        private_key: OpenSSH text, secret; an Output of None where the SSH agent holds the key.
        public_key: one OpenSSH line; empty where nothing is ordered.
    """

    key_id: pulumi.Output[str]
    private_key: pulumi.Output[str | None]
    public_key: pulumi.Output[str]

    def __init__(self, name: str, args: SshAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Generates a pair where the settings name neither a key nor a label, and something is ordered.

        Raises:
            UserError: the private key cannot be read, is none, or wants a passphrase.
        """
        super().__init__("swarm-galera:ssh_access:SshAccess", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        if not args.in_account:
            self.private_key = pulumi.Output.secret(
                given_private_key(args.private_key, args.private_key_file)
            )
            self.key_id = self.public_key = pulumi.Output.from_input("")
            self.register_outputs({})
            return
        generated = args.public_key is None and args.label is None
        if generated:
            pair = SshKeyPair(f"{name}-pair", child)
            public_key: pulumi.Input[str] | None = pair.public_key
            self.private_key = pair.private_key
        else:
            public_key = args.public_key
            self.private_key = pulumi.Output.secret(
                given_private_key(args.private_key, args.private_key_file)
            )
        label = args.label or args.upload_label
        key = SshKey(f"{name}-key", SshKeyArgs(args.owner, public_key, label, args.upload_notes), child)
        self.key_id = key.id
        self.public_key = key.key
        self.register_outputs({"key_id": self.key_id, "public_key": self.public_key})


def given_private_key(text: str | None, file: str | None) -> str | None:
    """The private half that the settings give; None where the SSH agent holds it.

    Raises:
        UserError: it cannot be read, is no private key, or has a passphrase; says what to do.
    """
    if text is None:
        return read_private_key(file) if file else None
    try:
        asyncssh.import_private_key(text)
    except ValueError:  # KeyImportError is one; a key that wants a passphrase raises another
        raise UserError(
            "ssh.privateKey: it is not a private key without a passphrase; give the file's whole text: "
            "`pulumi config set --secret --path 'swarm-galera:ssh.privateKey' <FILE`"
        ) from None
    return text if text.endswith("\n") else f"{text}\n"


def read_private_key(file: str) -> str:
    """The text of a private key file.

    Raises:
        UserError: it cannot be read, is no private key, or has a passphrase; says what to do.
    """
    path = Path(file).expanduser()
    try:
        text = path.read_text()
        asyncssh.import_private_key(text)
    except OSError as error:
        raise UserError(
            f"ssh.privateKeyFile: {path} cannot be read ({error.strerror}); give the path of the private half"
        ) from None
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError, ValueError) as error:
        # What is asked for is a passphrase, whichever exception asks for it.
        if "passphrase" in str(error).lower():
            raise UserError(
                f"ssh.privateKeyFile: {path} has a passphrase; load it into the SSH agent "
                f"(`ssh-add {path}`) and leave the setting out"
            ) from None
        raise UserError(
            f"ssh.privateKeyFile: {path} is not a private key; give the file without `.pub`"
        ) from None
    return text
