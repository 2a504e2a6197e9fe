"""A locked manager's key in plain: NaCl's own example, the file as swarmkit writes it, and what is none."""

from __future__ import annotations

import base64
import re
import struct

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.poly1305 import Poly1305

from operations import locked_key
from operations.errors import OperationsError
from operations.locked_key import WrongKey, in_plain, secretbox_opened

pytestmark = pytest.mark.unit

# tests/secretbox.c of NaCl.
KEY = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
NONCE = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
MESSAGE = bytes.fromhex(
    "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c6129"
    "6cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde"
    "048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705"
)
BOX = bytes.fromhex(
    "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186a"
    "c0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae"
    "90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74"
    "e355a5"
)
UNLOCK = "SWMKEY-1-" + base64.b64encode(KEY).decode().rstrip("=")
OTHER = "SWMKEY-1-" + base64.b64encode(bytes(32)).decode().rstrip("=")


def test_a_secretbox_opens_as_nacl_has_it_and_no_other_way() -> None:
    assert secretbox_opened(BOX, NONCE, KEY) == MESSAGE
    for box, nonce, key in (
        (BOX[:-1] + b"\0", NONCE, KEY),
        (BOX, NONCE[:-1] + b"\0", KEY),
        (BOX, NONCE, KEY[:-1] + b"\0"),
    ):
        with pytest.raises(WrongKey):
            secretbox_opened(box, nonce, key)


def boxed(content: bytes, nonce: bytes = NONCE) -> str:
    """A raft key as a header has it."""
    words = locked_key._words(KEY, struct.unpack("<4I", nonce[:16]))
    mixed = locked_key._mixed(words)
    subkey = struct.pack("<8I", *(mixed[i] for i in (0, 5, 10, 15, 6, 7, 8, 9)))
    stream = locked_key._block(subkey, nonce[16:], 0) + locked_key._block(subkey, nonce[16:], 1)
    locked = bytes(one ^ other for one, other in zip(content, stream[32:], strict=False))
    box = Poly1305.generate_tag(stream[:32], locked) + locked
    message = bytes([8, 1, 18, len(box)]) + box + bytes([26, len(nonce)]) + nonce
    return base64.b64encode(message).decode()


def file(form: serialization.PrivateFormat, *headers: str) -> tuple[str, ec.EllipticCurvePrivateKey]:
    """`swarm-node.key` of a locked manager, and what is in it."""
    tls = ec.generate_private_key(ec.SECP256R1())
    locks = serialization.BestAvailableEncryption(KEY)
    lines = tls.private_bytes(serialization.Encoding.PEM, form, locks).decode().splitlines()
    at = next((n for n, line in enumerate(lines) if line.startswith("DEK-Info")), 0) + 1
    if at > 1:
        return "\n".join([*lines[:at], *headers, *lines[at:], ""]), tls
    return "\n".join([lines[0], *headers, "", *lines[1:], ""]), tls


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        (serialization.PrivateFormat.TraditionalOpenSSL, "EC PRIVATE KEY"),
        (serialization.PrivateFormat.PKCS8, "PRIVATE KEY"),
    ],
)
def test_the_file_comes_out_in_plain_with_whichever_key_fits(
    form: serialization.PrivateFormat, kind: str
) -> None:
    raft, pending = bytes(range(32)), bytes(range(32, 64))
    headers = ("kek-version: 14", f"raft-dek: {boxed(raft)}", f"raft-dek-pending: {boxed(pending)}")
    locked, tls = file(form, *headers)
    assert "ENCRYPTED" in locked
    plain = in_plain(locked, [OTHER, UNLOCK])
    assert "ENCRYPTED" not in plain
    assert plain.startswith(f"-----BEGIN {kind}-----\nkek-version: 0\nraft-dek: ")
    found = dict(re.findall(r"^([\w-]+): (.*)$", plain, re.MULTILINE))
    for name, content in (("raft-dek", raft), ("raft-dek-pending", pending)):
        assert base64.b64decode(found[name]) == b"\x12\x20" + content
    body = re.sub(r"^[\w-]+: .*\n|^\n", "", plain, flags=re.MULTILINE)
    again = serialization.load_pem_private_key(body.encode(), password=None)
    assert isinstance(again, ec.EllipticCurvePrivateKey)
    assert again.private_numbers() == tls.private_numbers()


def test_a_key_that_does_not_fit_and_a_file_of_another_kind_are_refused() -> None:
    locked, _ = file(serialization.PrivateFormat.TraditionalOpenSSL, f"raft-dek: {boxed(bytes(32))}")
    with pytest.raises(
        OperationsError, match=r"None of the 1 unlock keys .* fits the manager; nothing was changed"
    ):
        in_plain(locked, [OTHER])
    plain = base64.b64encode(b"\x12\x20" + bytes(32)).decode()
    without_lock, _ = file(serialization.PrivateFormat.TraditionalOpenSSL, f"raft-dek: {plain}")
    with pytest.raises(OperationsError, match=r"not as it was expected .*method 0"):
        in_plain(without_lock, [UNLOCK])
