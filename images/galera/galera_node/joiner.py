"""The joiner's side of a state transfer: replaces the data directory by the donor's.

The directory carries a mark from the first change until all is in place and on disk. Leaves to others: what
lies beside the data, and what of the copy goes where (`placement`).
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import time
from hmac import compare_digest
from pathlib import Path
from typing import Any

from . import data_version, tls, transfer
from .backup_programs import BACKUP, MBSTREAM, pipe, start, tail
from .config import server_options
from .framing import TransferError, receive_frame, receive_record, send_record
from .local_state import (
    AGREED,
    COPIES,
    NO_UUID,
    TRANSFER_MARK,
    Note,
    clear,
    copy_begins,
    flush,
    remove_mark,
    write_note,
)
from .placement import placement
from .server import work
from .settings import own_version
from .sst_options import SPEAKS_TLS, Options, say
from .words import log

PORT = 4444
# What mariadbd holds open, or Galera needs, while the data around it is replaced.
KEEP = frozenset({"galera.cache", "grastate.dat", "gvwstate.dat", AGREED, COPIES, TRANSFER_MARK})
HANDSHAKE = b"\x16"  # the first byte of TLS
STAGE = ".transfer"
IDLE = 60.0  # seconds without a byte before the other side counts as lost
HELLO = 20.0  # seconds for whoever has begun to speak to say the next part of who it is
QUIET = 64  # connections that have said nothing yet; of more, the oldest is closed


def join(options: Options) -> None:
    """Receives all data, or the word that the write-sets will do; says the position to mariadbd."""
    host, _, port = options.address.partition(":")
    folder = options.run_dir / tls.FOLDER
    token = os.urandom(16).hex() + (SPEAKS_TLS if tls.mode(folder) else "")
    with socket.create_server((host, int(port or PORT)), reuse_port=False) as listener:
        say(f"ready {host}:{listener.getsockname()[1]}/{token}")
        transfer.write(options.run_dir, "joiner", "waiting", 0)
        stream, header = accept_donor(listener, token, options)
    with stream:
        epoch = header.get("epoch")  # None from a donor of the version that knew none
        if header["mode"] == "incremental":
            check_epoch(transfer.epoch(options.run_dir), epoch)
            transfer.write(options.run_dir, "joiner", "incremental", 0)
            log(f"joiner: only the write-sets after {header['gtid']} are missing")
            send_record(stream, {"received": True})
            say(coordinates(str(header["gtid"]), header))
            return
        check_history(transfer.history(options.run_dir), str(header["gtid"]))
        check_version(header.get("version"))  # a donor of the version before does not say
        copy_begins(options.data_dir, time.time())
        position = receive_backup(options, stream, None if epoch is None else str(epoch))
        say(coordinates(position, header))


def coordinates(position: str, header: dict[str, Any]) -> str:
    """The position as mariadbd wants to hear it, with the donor's domain for GTIDs (wsrep_gtid_domain_id).

    What mariadb-backup has recovered may name another one. A donor of the version before names none.
    """
    domain = header.get("domain")
    return f"{position.partition(' ')[0]} {domain}" if domain else position


def check_epoch(own: str, donors: object) -> None:
    """Raises TransferError rather than go on from data of another epoch by write-sets alone.

    The node has checked before it started mariadbd; this is for a cluster whose epoch has begun since.
    """
    if donors is not None and donors != own:
        raise TransferError(
            f"the data directory belongs to epoch {own!r}, the donor's to {donors!r}: write-sets would not do"
        )


def check_history(own: str, gtid: str) -> None:
    """Raises TransferError rather than replace data of one cluster by another's.

    The node has checked before, if it could: with the store away it only knew that somebody is live.
    """
    donor = gtid.partition(":")[0].lower()
    if own not in ("", NO_UUID, donor):
        raise TransferError(
            f"the data directory belongs to cluster {own}, the donor's is {donor}. Nothing is touched: if "
            "this node's data is not needed, empty its volume and it joins."
        )


def check_version(version: str | None) -> None:
    """Raises TransferError rather than take data that is not for this image's server.

    mariadbd starts this program with the environment of the node's own.
    """
    if why := data_version.refusal(version, own_version(), os.environ.get("UPGRADE_TO", "")):
        raise TransferError(f"what the donor has is not for this server: {why}")


def accept_donor(
    listener: socket.socket, token: str, options: Options
) -> tuple[socket.socket, dict[str, Any]]:
    """The donor's connection and header. Whoever does not know the token is sent away; whoever says nothing
    is kept waiting, and nobody with him.
    """
    quiet: dict[socket.socket, tuple[str, float]] = {}  # the peer, and until when it may stay so
    try:
        while True:
            ready = select.select([listener, *quiet], [], [], 1.0)[0]
            if not ready:
                if not Path(f"/proc/{options.parent}").exists():
                    raise TransferError("mariadbd has gone")
                # Waiting for a donor that serves somebody else is not a fault that a restart would cure.
                transfer.write(options.run_dir, "joiner", "waiting", 0)
            if listener in ready:
                stream, (peer, _) = listener.accept()
                quiet[stream] = peer, time.monotonic() + IDLE
            for stream in [each for each in quiet if each in ready]:
                peer, _ = quiet.pop(stream)
                if found := donors(stream, peer, token, options):
                    return found
            for stream, (peer, until) in list(quiet.items()):
                if time.monotonic() >= until or len(quiet) > QUIET:
                    log(f"joiner: {peer} connected and said nothing")
                    del quiet[stream]
                    stream.close()
    finally:
        for stream in quiet:
            stream.close()


def donors(
    stream: socket.socket, peer: str, token: str, options: Options
) -> tuple[socket.socket, dict[str, Any]] | None:
    """This connection and its header, if it is the donor's; else it is closed."""
    stream.settimeout(HELLO)
    try:
        stream = encrypted(stream, options.run_dir / tls.FOLDER)
        header = receive_record(stream)
        if compare_digest(str(header.get("token", "")), token):
            stream.settimeout(IDLE)
            return stream, header
        log(f"joiner: {peer} does not know this transfer's token; refused")
    except (TransferError, OSError) as error:
        log(f"joiner: {peer} connected but is no donor: {error}")
    stream.close()
    return None


def encrypted(stream: socket.socket, folder: Path) -> socket.socket:
    """The donor's connection with TLS, if it begins with that. Raises TransferError, OSError."""
    mode = tls.mode(folder)
    # Without it, a donor begins with the length of a short record.
    if mode and stream.recv(1, socket.MSG_PEEK) == HANDSHAKE:
        return tls.context(folder, server=True).wrap_socket(stream, server_side=True)
    if mode == tls.ONLY:
        raise TransferError("it speaks no TLS, as all nodes must")
    return stream


def receive_backup(options: Options, stream: socket.socket, epoch: str | None = None) -> str:
    """Replaces the data directory by the donor's; returns the position as mariadb-backup noted it.

    `epoch`: of the donor's data, None if it does not say.
    """
    began = time.monotonic()
    data, stage, words = options.data_dir, options.data_dir / STAGE, options.run_dir / "prepare.log"
    place = placement(options, server_options())
    place.make_folders()  # what can't be made is said before anything is touched
    clear(data, KEEP)
    place.clear()
    stage.mkdir(mode=0o700)
    received = extract(options, stream, stage)
    check_version(data_version.of_data(stage))
    transfer.write(options.run_dir, "joiner", "preparing", received)
    took = time.monotonic() - began
    with open(words, "wb") as output:
        prepare = start(
            [BACKUP, f"--defaults-file={options.defaults}", "--prepare", f"--target-dir={stage}"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        done = None
        while True:
            try:
                code = prepare.wait(timeout=1)
                break
            except subprocess.TimeoutExpired:
                if (now := (words.stat().st_size, work(prepare.pid))) != done:
                    done = now
                    transfer.write(options.run_dir, "joiner", "preparing", received)
    if code != 0:
        raise TransferError(f"mariadb-backup --prepare ended with {code}{tail(words)}")
    position = read_position(stage)
    place.take(stage)
    shutil.rmtree(stage)
    if epoch is not None:
        write_note(data, Note(epoch))
    for folder in place.folders:
        flush(folder)
    remove_mark(data)
    log(
        f"joiner: received {received / 1e6:.1f} MB in {took:.1f} s, prepared in "
        f"{time.monotonic() - began - took:.1f} s, position {position}",
    )
    return position


def extract(options: Options, stream: socket.socket, stage: Path) -> int:
    """Unpacks the donor's mbstream; its size in bytes. Raises TransferError unless it was complete."""
    unpack = start([MBSTREAM, "-x", "-C", str(stage)], stdin=subprocess.PIPE)
    sink = pipe(unpack.stdin)
    received, noted = 0, 0.0
    stream.settimeout(600)
    try:
        while frame := receive_frame(stream):
            sink.write(frame)
            received += len(frame)
            if time.monotonic() - noted > 1:
                noted = time.monotonic()
                transfer.write(options.run_dir, "joiner", "receiving", received)
        sink.close()
    except OSError as error:
        unpack.kill()
        raise TransferError(f"after {received / 1e6:.1f} MB: {error}") from error
    if receive_record(stream) != {"complete": True}:
        raise TransferError("the donor's backup failed; its log says why")
    if (code := unpack.wait()) != 0:
        raise TransferError(f"mbstream ended with {code}; is the disk full?")
    send_record(stream, {"received": True})
    return received


def read_position(stage: Path) -> str:
    """`UUID:seqno` (and what follows) as mariadb-backup noted it at the end of the backup."""
    for name in ("xtrabackup_galera_info", "mariadb_backup_galera_info", "donor_galera_info"):
        path = stage / name
        if path.exists():
            return path.read_text().split("\n")[0].strip()
    raise TransferError("the backup does not say its position")
