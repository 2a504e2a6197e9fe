"""A key pair of age (X25519), as `age-keygen` makes one; the program is not on every machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from settings.backup import BECH32

GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


@dataclass(frozen=True)
class AgeKey:
    """`identity` goes into a key file, `recipient` into the settings."""

    identity: str = field(repr=False)
    recipient: str

    @classmethod
    def drawn(cls) -> AgeKey:
        """A new one."""
        private = X25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
        secret = bech32("age-secret-key-", private.private_bytes_raw()).upper()
        return cls(secret, bech32("age", public))


def bech32(human: str, data: bytes) -> str:
    """BIP 173, without its limit of 90 characters."""
    bits = int.from_bytes(data) << (-len(data) * 8 % 5)
    count = -(-len(data) * 8 // 5)
    digits = [bits >> 5 * (count - 1 - at) & 31 for at in range(count)]
    head = [ord(letter) >> 5 for letter in human] + [0] + [ord(letter) & 31 for letter in human]
    check = _polymod([*head, *digits, *[0] * 6]) ^ 1
    digits += [check >> 5 * (5 - at) & 31 for at in range(6)]
    return human + "1" + "".join(BECH32[digit] for digit in digits)


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(GENERATORS):
            check ^= generator if top >> bit & 1 else 0
    return check
