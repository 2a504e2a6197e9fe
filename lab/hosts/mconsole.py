"""The management socket of a user-mode Linux kernel: one request, one answer.

Owned here: the wire format (`struct mconsole_request` of the kernel's arch/um/drivers/mconsole.h). Left to
others: what is asked for and why.
"""

from __future__ import annotations

import os
import socket
import struct
import tempfile
from pathlib import Path

MAGIC = 0xCAFEBABE
VERSION = 2
DATA = 512  # bytes of a request or of one part of an answer
REQUEST = struct.Struct(f"=III{DATA}s")
REPLY = struct.Struct(f"=III{DATA}s")


class MconsoleError(Exception):
    """The kernel does not answer, or says no."""


def ask(path: Path, command: str, timeout: float = 5.0) -> str:
    """Send `command` (e.g. `cad`, the three keys that ask init to shut down) and return the answer's text.

    Raises MconsoleError after `timeout` seconds without an answer, or when the kernel refuses.
    """
    data = command.encode()
    try:
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        raise MconsoleError(f"{path} is not there: {error.strerror}") from None
    try:
        # By way of /proc the address is short, however long the path is.
        return _exchange(
            f"/proc/self/fd/{folder}/{path.name}", REQUEST.pack(MAGIC, VERSION, len(data), data), timeout
        )
    except OSError as error:
        raise MconsoleError(f"{path} does not answer: {error}") from None
    finally:
        os.close(folder)


def _exchange(address: str, request: bytes, timeout: float) -> str:
    with (
        tempfile.TemporaryDirectory(prefix="mconsole-") as own,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line,
    ):
        line.settimeout(timeout)
        line.bind(os.path.join(own, "answer"))
        line.sendto(request, address)
        text = ""
        more = 1
        while more:
            failed, more, length, data = REPLY.unpack(line.recv(REPLY.size).ljust(REPLY.size, b"\0"))
            text += data[:length].rstrip(b"\0").decode(errors="replace")
            if failed:
                raise MconsoleError(text.strip() or "refused")
        return text
