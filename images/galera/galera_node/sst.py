"""State transfer by mariadb-backup: the program that mariadbd starts on the donor and on the joiner.

Speaks mariadbd's protocol with SST scripts on standard output (`ready`, `continue`, `done`, and the position
at the end) and an own small framing between donor and joiner. It takes the place of the stock shell script,
whose hundreds of forks take more than a minute on slow hosts; it does the same steps with three processes.

Between the two: the donor connects to the address that the joiner has named and sends the token from it, so
that nobody else can feed a joiner. Then come a JSON header, the mbstream in frames, an empty frame and a JSON
trailer. Without a trailer that says so, nothing was received.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import IO, Any

from . import transfer
from .local_state import NO_UUID, TRANSFER_MARK, clear, flush
from .words import log

BACKUP = "/usr/bin/mariadb-backup"
MBSTREAM = "/usr/bin/mbstream"
FRAME = 1 << 20
PORT = 4444
LENGTH = struct.Struct("!I")
# What mariadbd holds open, or Galera needs, while the data around it is replaced.
KEEP = frozenset({"galera.cache", "grastate.dat", "gvwstate.dat", TRANSFER_MARK})
# mariadb-backup's own notes, of no use in a data directory.
NOTES = ("xtrabackup_", "mariadb_backup_", "backup-my.cnf", "donor_galera_info", "mariadb-backup")
STAGE = ".transfer"
IDLE = 60.0  # seconds without a byte before the other side counts as lost


class TransferError(Exception):
    """The transfer failed; the message goes to the log and names the step."""


@dataclass(frozen=True)
class Options:
    """What mariadbd gives on the command line."""

    role: str
    address: str
    data_dir: Path
    defaults: Path
    gtid: str
    bypass: bool
    parent: int

    @property
    def run_dir(self) -> Path:
        return self.defaults.parent


def parse(argv: Sequence[str]) -> Options:
    """Reads mariadbd's arguments; what this program does not need is ignored."""
    values: dict[str, str] = {}
    bypass = False
    words = iter(argv)
    for word in words:
        if word == "--bypass":
            bypass = True
        elif word in ("--mysqld-args", "--"):
            break
        elif word.startswith("--"):
            key, has_value, value = word[2:].partition("=")
            values[key] = value if has_value else next(words, "")
    missing = [key for key in ("role", "address", "datadir", "defaults-file") if not values.get(key)]
    if missing:
        raise TransferError(
            f"mariadbd did not say {', '.join(missing)}; this version is not known to this program"
        )
    parent = values.get("parent", "")
    return Options(
        role=values["role"],
        address=values["address"],
        data_dir=Path(values["datadir"]),
        defaults=Path(values["defaults-file"]),
        gtid=values.get("gtid", ""),
        bypass=bypass,
        parent=int(parent) if parent.isdigit() else os.getppid(),
    )


def say(line: str) -> None:
    """One line for mariadbd."""
    print(line, flush=True)


# ---- framing


def send_frame(stream: socket.socket, data: bytes | memoryview) -> None:
    stream.sendall(LENGTH.pack(len(data)))
    if data:
        stream.sendall(data)


def receive_exactly(stream: socket.socket, count: int) -> bytes:
    """Exactly `count` bytes. Raises TransferError when the other side ends early."""
    buffer = bytearray(count)
    view = memoryview(buffer)
    got = 0
    while got < count:
        read = stream.recv_into(view[got:])
        if read == 0:
            raise TransferError("the other side ended in the middle")
        got += read
    return bytes(buffer)


def receive_frame(stream: socket.socket) -> bytes:
    (length,) = LENGTH.unpack(receive_exactly(stream, LENGTH.size))
    if length > FRAME:
        raise TransferError(f"a frame of {length} bytes is not ours")
    return receive_exactly(stream, length) if length else b""


def receive_record(stream: socket.socket) -> dict[str, Any]:
    try:
        record = json.loads(receive_frame(stream))
    except ValueError as error:
        raise TransferError(f"the other side does not speak this protocol: {error}") from error
    if not isinstance(record, dict):
        raise TransferError("the other side does not speak this protocol")
    return record


def send_record(stream: socket.socket, record: dict[str, Any]) -> None:
    send_frame(stream, json.dumps(record).encode())


# ---- donor


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


def donate(options: Options) -> None:
    """Sends all data, or only the word that the write-sets will do."""
    host, port, token = target(options.address)
    with connect(host, port) as stream:
        mode = "incremental" if options.bypass else "full"
        send_record(stream, {"token": token, "mode": mode, "gtid": options.gtid})
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
        backup = subprocess.Popen(
            [
                BACKUP,
                f"--defaults-file={options.defaults}",
                "--backup",
                "--galera-info",
                "--stream=mbstream",
                f"--target-dir={scratch}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        CHILDREN.append(backup)
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


# ---- joiner


def join(options: Options) -> None:
    """Receives all data, or the word that the write-sets will do; says the position to mariadbd."""
    host, _, port = options.address.partition(":")
    token = os.urandom(16).hex()
    with socket.create_server((host, int(port or PORT)), reuse_port=False) as listener:
        say(f"ready {host}:{listener.getsockname()[1]}/{token}")
        transfer.write(options.run_dir, "joiner", "waiting", 0)
        stream, header = accept_donor(listener, token, options)
    with stream:
        if header["mode"] == "incremental":
            transfer.write(options.run_dir, "joiner", "incremental", 0)
            log(f"joiner: only the write-sets after {header['gtid']} are missing")
            send_record(stream, {"received": True})
            say(str(header["gtid"]))
            return
        check_history(transfer.history(options.run_dir), str(header["gtid"]))
        say(receive_backup(options, stream))


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


def accept_donor(
    listener: socket.socket, token: str, options: Options
) -> tuple[socket.socket, dict[str, Any]]:
    """The donor's connection and header. Whoever does not know the token is sent away."""
    while True:
        if not select.select([listener], [], [], 1.0)[0]:
            if not Path(f"/proc/{options.parent}").exists():
                raise TransferError("mariadbd has gone")
            # Waiting for a donor that serves somebody else is not a fault that a restart would cure.
            transfer.write(options.run_dir, "joiner", "waiting", 0)
            continue
        stream, (peer, _) = listener.accept()
        stream.settimeout(IDLE)
        try:
            header = receive_record(stream)
            if compare_digest(str(header.get("token", "")), token):
                return stream, header
            log(f"joiner: {peer} does not know this transfer's token; refused")
        except (TransferError, OSError) as error:
            log(f"joiner: {peer} connected but is no donor: {error}")
        stream.close()


def receive_backup(options: Options, stream: socket.socket) -> str:
    """Replaces the data directory by the donor's; returns the position as mariadb-backup noted it."""
    began = time.monotonic()
    data, stage, words = options.data_dir, options.data_dir / STAGE, options.run_dir / "prepare.log"
    clear(data, KEEP)
    stage.mkdir(mode=0o700)
    received = extract(options, stream, stage)
    transfer.write(options.run_dir, "joiner", "preparing", received)
    took = time.monotonic() - began
    with open(words, "wb") as output:
        prepare = subprocess.Popen(
            [BACKUP, f"--defaults-file={options.defaults}", "--prepare", f"--target-dir={stage}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        CHILDREN.append(prepare)
        size = -1
        while True:
            try:
                code = prepare.wait(timeout=1)
                break
            except subprocess.TimeoutExpired:
                if (now := words.stat().st_size) != size:
                    size = now
                    transfer.write(options.run_dir, "joiner", "preparing", received)
    if code != 0:
        raise TransferError(f"mariadb-backup --prepare ended with {code}{tail(words)}")
    position = read_position(stage)
    for entry in stage.iterdir():
        if entry.name.startswith(NOTES):
            continue
        entry.rename(data / entry.name)
    shutil.rmtree(stage)
    flush(data)
    (data / TRANSFER_MARK).unlink()
    log(
        f"joiner: received {received / 1e6:.1f} MB in {took:.1f} s, prepared in "
        f"{time.monotonic() - began - took:.1f} s, position {position}",
    )
    return position


def extract(options: Options, stream: socket.socket, stage: Path) -> int:
    """Unpacks the donor's mbstream; its size in bytes. Raises TransferError unless it was complete."""
    unpack = subprocess.Popen([MBSTREAM, "-x", "-C", str(stage)], stdin=subprocess.PIPE)
    CHILDREN.append(unpack)
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


# ---- both

CHILDREN: list[subprocess.Popen[bytes]] = []


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """A child's pipe, which subprocess types as optional."""
    if stream is None:
        raise AssertionError("the child was started with this pipe")
    return stream


def tail(path: Path, lines: int = 40) -> str:
    """The last words of a program, for the log."""
    try:
        text = path.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return ""
    return "".join(f"\n  {line}" for line in text)


def stop_children(*_: object) -> None:
    """mariadbd ends a transfer with SIGTERM: nothing may be left behind."""
    for child in CHILDREN:
        if child.poll() is None:
            child.kill()
    sys.exit(143)


def main(argv: Sequence[str]) -> int:
    """Runs one side of a transfer; the exit code is what mariadbd takes as the error."""
    signal.signal(signal.SIGTERM, stop_children)
    role = "transfer"
    try:
        options = parse(argv)
        role = options.role
        try:
            if role == "donor":
                donate(options)
            elif role == "joiner":
                join(options)
            else:
                raise TransferError(f"mariadbd asks for the role {role!r}, which this program does not know")
        finally:
            transfer.end(options.run_dir)
        return 0
    except (TransferError, OSError) as error:
        log(f"{role}: state transfer failed: {error}")
        return 32  # EPIPE: what mariadbd shows as "Broken pipe"
    finally:
        for child in CHILDREN:
            if child.poll() is None:
                child.kill()
