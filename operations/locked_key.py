"""The key of a locked manager, taken out of its lock, for the one moment in which an engine can't do that.

Owns: reading and writing swarmkit's file `swarm-node.key`. Leaves to others: when (last_one.py).

`docker swarm init --force-new-cluster` reads that file without asking for the unlock key, and leaves a
manager with autolock in no swarm at all (moby/moby#36852). So the last one of a swarm would be lost with all
that the swarm holds. With its key in plain on its disk it goes on alone; as soon as it leads, it encrypts the
file again, and what it encrypts by another key.

The file is PEM: the manager's TLS key, encrypted with the unlock key as its passphrase, and as headers the
keys of the raft log, each in a secretbox of NaCl (XSalsa20 and Poly1305) within a protobuf message. (Source:
moby/swarmkit, ca/keyreadwriter.go and manager/deks.go; tests/images/test_swarm_autolock.py has it from real
engines.) Nothing else here needs a secretbox, and it is opened only, never made: the 40 lines below stand for
a library; what is not what it was is refused by Poly1305, which is a library's.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.poly1305 import Poly1305

from operations.errors import OperationsError

PREFIX = "SWMKEY-1-"
RAFT_KEYS = ("raft-dek", "raft-dek-pending")
"""Headers with keys of the raft log."""
_ENCRYPTION = ("Proc-Type", "DEK-Info")
_SECRETBOX = 1
_CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")
_ROUND = (
    *((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11)),
    *((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)),
)


class WrongKey(Exception):
    """The unlock key is not the one."""


def in_plain(pem: str, unlock_keys: Sequence[str]) -> str:
    """The file without its lock, by whichever of the keys fits. Raises OperationsError if none does."""
    for key in unlock_keys:
        try:
            return _in_plain(pem, _parsed(key))
        except WrongKey:
            continue
        except (ValueError, IndexError, struct.error, binascii.Error) as error:
            raise OperationsError(
                f"The manager's swarm-node.key is not as it was expected ({error}); nothing was changed."
            ) from None
    raise OperationsError(
        f"None of the {len(unlock_keys)} unlock keys in the stack's state fits the manager; nothing was "
        "changed."
    )


def _parsed(unlock_key: str) -> bytes:
    text = unlock_key.removeprefix(PREFIX)
    return base64.b64decode(text + "=" * (-len(text) % 4))


def _in_plain(pem: str, key: bytes) -> str:
    begin, *lines, _end = pem.strip().splitlines()
    headers: dict[str, str] = {}
    while ": " in lines[0]:
        name, _, value = lines.pop(0).partition(": ")
        headers[name] = value
    raft = {name: _raft_key(headers[name], key) for name in RAFT_KEYS if name in headers}
    encryption = [f"{name}: {headers[name]}" for name in _ENCRYPTION if name in headers]
    end = begin.replace("BEGIN", "END")
    locked = "\n".join([begin, *encryption, *([""] if encryption else []), *filter(None, lines), end, ""])
    try:
        tls = serialization.load_pem_private_key(locked.encode(), password=key)
    except ValueError:
        raise WrongKey from None
    if not isinstance(tls, ec.EllipticCurvePrivateKey):
        raise ValueError("it is no key of an elliptic curve")
    form = serialization.PrivateFormat.TraditionalOpenSSL if encryption else serialization.PrivateFormat.PKCS8
    nobody = serialization.NoEncryption()
    first, *rest = tls.private_bytes(serialization.Encoding.PEM, form, nobody).decode().splitlines()
    kept = {name: value for name, value in headers.items() if name not in _ENCRYPTION}
    # Of version 0: one that has the version of the swarm's key would never be encrypted by that again.
    told = {**kept, **raft, "kek-version": "0"}
    return "\n".join([first, *(f"{name}: {value}" for name, value in sorted(told.items())), "", *rest, ""])


def _raft_key(header: str, key: bytes) -> str:
    """The header's value, in plain."""
    fields = dict(_fields(base64.b64decode(header)))
    if fields.get(1) != _SECRETBOX:
        raise ValueError(f"a raft key is encrypted by method {fields.get(1, 0)!r}, not by a secretbox")
    data, nonce = fields.get(2), fields.get(3)
    if not isinstance(data, bytes) or not isinstance(nonce, bytes) or len(nonce) != 24:
        raise ValueError("a raft key is not complete")
    opened = secretbox_opened(data, nonce, key)
    return base64.b64encode(bytes([2 << 3 | 2, len(opened)]) + opened).decode()


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of the fields of a protobuf message that has short ones only."""
    at = 0
    while at < len(message):
        tag, size = message[at], message[at + 1]
        at += 2
        if size > 127:
            raise ValueError("a raft key is longer than any is")
        if tag & 7 == 0:
            yield tag >> 3, size
        else:
            yield tag >> 3, message[at : at + size]
            at += size


# -- NaCl's secretbox ----------------------------------------------------------------------------------------


def secretbox_opened(box: bytes, nonce: bytes, key: bytes) -> bytes:
    """What is in the box. Raises WrongKey."""
    derived = _words(key, struct.unpack("<4I", nonce[:16]))
    mixed = _mixed(derived)
    subkey = struct.pack("<8I", *(mixed[i] for i in (0, 5, 10, 15, 6, 7, 8, 9)))
    tag, locked = box[:16], box[16:]
    stream = b"".join(_block(subkey, nonce[16:], number) for number in range(len(locked) // 64 + 2))
    try:
        Poly1305.verify_tag(stream[:32], locked, tag)
    except InvalidSignature:
        raise WrongKey from None
    return bytes(one ^ other for one, other in zip(locked, stream[32:], strict=False))


def _block(key: bytes, nonce: bytes, number: int) -> bytes:
    """Salsa20's stream, 64 bytes of it."""
    begun = _words(key, struct.unpack("<4I", nonce + struct.pack("<Q", number)))
    return struct.pack(
        "<16I", *((one + other) & 0xFFFFFFFF for one, other in zip(begun, _mixed(begun), strict=True))
    )


def _words(key: bytes, inner: Sequence[int]) -> list[int]:
    k = struct.unpack("<8I", key)
    c = _CONSTANTS
    return [c[0], *k[:4], c[1], *inner, c[2], *k[4:], c[3]]


def _mixed(words: Sequence[int]) -> list[int]:
    """Salsa20's twenty rounds."""
    x = list(words)
    for _ in range(10):
        for a, b, c, d in _ROUND:
            for target, one, other, turn in ((b, a, d, 7), (c, b, a, 9), (d, c, b, 13), (a, d, c, 18)):
                total = (x[one] + x[other]) & 0xFFFFFFFF
                x[target] ^= (total << turn | total >> (32 - turn)) & 0xFFFFFFFF
    return x
