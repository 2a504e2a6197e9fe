"""The donor's side of a state transfer: mariadb-backup's stream, or the word that write-sets will do."""

from __future__ import annotations

import socket
import subprocess
import time

from . import data_version, tls, transfer
from .backup_programs import BACKUP, pipe, start, tail
from .framing import FRAME, TransferError, receive_record, send_frame, send_record
from .local_state import Note, read_note
from .sst_options import SPEAKS_TLS, Options, say
from .words import log


def target(address: str) -> tuple[str, int, str]:
    """Host, port and token of a joiner's `host:port/token`."""
    place, _, token = address.partition("/")
    host, _, port = place.partition(":")
    if not host or not port.isdigit() or not token:
        raise TransferError(f"the joiner's address {address!r} is not host:port/token")
    return host, int(port), token


def connect(host: str, port: int) -> socket.socket:
    """Connects to the joiner, which listens already; a few tries against a stalled network."""
    for tries_left in reversed(range(5)):
        try:
            stream = socket.create_connection((host, port), timeout=10)
            stream.settimeout(600)  # the joiner's disk may be slow; a dead one is noticed by TCP
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return stream
        except OSError as error:
            if not tries_left:
                raise TransferError(f"the joiner at {host}:{port} cannot be reached: {error}") from error
            time.sleep(1)
    raise AssertionError("unreachable")


def encrypted(stream: socket.socket, token: str, options: Options) -> socket.socket:
    """The connection with TLS, where both sides speak it. Raises TransferError, OSError."""
    folder = options.run_dir / tls.FOLDER
    mode = tls.mode(folder)
    if mode and token.endswith(SPEAKS_TLS):
        return tls.context(folder, server=False).wrap_socket(stream)
    if mode == tls.ONLY:
        raise TransferError("the joiner speaks no TLS, as all nodes must: nothing is sent to it")
    return stream


def donate(options: Options) -> None:
    """Sends all data, or only the word that the write-sets will do."""
    # From now on: a slow host takes seconds to start mariadb-backup, and a donor of which nothing is heard is
    # taken for one that Galera has forgotten (`desynced`).
    transfer.write(options.run_dir, "donor", "starting", 0)
    host, port, token = target(options.address)
    with encrypted(connect(host, port), token, options) as stream:
        mode = "incremental" if options.bypass else "full"
        note = read_note(options.data_dir) or Note()
        header = {"token": token, "mode": mode, "gtid": options.gtid, "epoch": note.epoch}
        version = data_version.of_data(options.data_dir)
        send_record(stream, {**header, "domain": options.domain, "version": version})
        say("continue")
        if options.bypass:
            log(f"donor: {host} needs only the write-sets after {options.gtid}")
        else:
            send_backup(options, stream, host)
        if receive_record(stream) != {"received": True}:
            raise TransferError("the joiner did not confirm what it received")
    say(f"done {options.gtid}")


def send_backup(options: Options, stream: socket.socket, host: str) -> None:
    """Runs mariadb-backup and sends its stream."""
    began, sent, noted = time.monotonic(), 0, 0.0
    words = options.run_dir / "backup.log"
    scratch = options.run_dir / "backup"
    scratch.mkdir(mode=0o700, exist_ok=True)
    with open(words, "wb") as stderr:
        backup = start(
            [
                BACKUP,
                f"--defaults-file={options.defaults}",
                "--backup",
                "--galera-info",
                "--stream=mbstream",
                f"--target-dir={scratch}",
            ],
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        source = pipe(backup.stdout)
        buffer = memoryview(bytearray(FRAME))
        try:
            while count := source.readinto1(buffer):  # type: ignore[attr-defined]
                send_frame(stream, buffer[:count])
                sent += count
                if time.monotonic() - noted > 1:
                    noted = time.monotonic()
                    transfer.write(options.run_dir, "donor", "sending", sent)
        except OSError as error:
            backup.kill()
            raise TransferError(f"sending to {host}: {error}{tail(words)}") from error
        code = backup.wait()
    if code != 0:
        send_frame(stream, b"")
        send_record(stream, {"complete": False})
        raise TransferError(f"mariadb-backup ended with {code}{tail(words)}")
    send_frame(stream, b"")
    send_record(stream, {"complete": True})
    log(f"donor: sent {sent / 1e6:.1f} MB to {host} in {time.monotonic() - began:.1f} s")
