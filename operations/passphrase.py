"""Whether a passphrase fits a stack, known before anything is run with it.

Owned here: Pulumi's passphrase check. A stack's file and its state carry `v1:SALT:v1:NONCE:CIPHERTEXT`,
all in base64: the word `pulumi`, encrypted by AES-256-GCM under the key that PBKDF2 with SHA-256 derives from
passphrase and salt.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from operations.errors import OperationsError

ITERATIONS = 1_000_000
KEY_BYTES = 32
WORD = b"pulumi"
VARIABLE = "PULUMI_CONFIG_PASSPHRASE"
FILE_VARIABLE = "PULUMI_CONFIG_PASSPHRASE_FILE"


def fits(passphrase: str, check: str) -> bool:
    """Whether `passphrase` is the one that `check` (a stack's `encryptionsalt`) was made with.

    Raises OperationsError for a check that is not of the form this function knows.
    """
    try:
        version, salt, box_version, nonce, box = check.split(":")
        if (version, box_version) != ("v1", "v1"):
            raise ValueError
        raw_salt, raw_nonce, raw_box = (base64.b64decode(part, validate=True) for part in (salt, nonce, box))
    except (ValueError, binascii.Error):
        raise OperationsError(
            f"The stack's encryptionsalt {check!r} is not one of Pulumi's: restore the line in "
            "Pulumi.STACK.yaml from version control; without it the stack's secrets cannot be read."
        ) from None
    key = PBKDF2HMAC(SHA256(), KEY_BYTES, raw_salt, ITERATIONS).derive(passphrase.encode())
    try:
        return AESGCM(key).decrypt(raw_nonce, raw_box, None) == WORD
    except InvalidTag:
        return False


def given(environment: Mapping[str, str] = os.environ) -> str | None:
    """The passphrase that Pulumi would use; None if there is none. An empty one counts, as with Pulumi."""
    if VARIABLE in environment:
        return environment[VARIABLE]
    if environment.get(FILE_VARIABLE):
        path = Path(environment[FILE_VARIABLE])
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise OperationsError(
                f"The passphrase's file {path} ({FILE_VARIABLE}) cannot be read: {error.strerror}. Name "
                "another one."
            ) from None
    return None


def require(stack: str, check: str, where: str, passphrase: str) -> None:
    """Raise OperationsError unless `passphrase` fits the check found in `where` (words for the user)."""
    if not fits(passphrase, check):
        raise OperationsError(
            f"The passphrase does not fit stack {stack} (checked against {where}): set {VARIABLE} or "
            f"{FILE_VARIABLE} to the one the stack was made with. Nothing was changed."
        )
