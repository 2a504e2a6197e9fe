"""A state transfer between two nodes: over a real connection, with stand-ins for the two backup programs.

What the real programs do is in tests/images; here it is what is kept, replaced and said when a step fails.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from images.galera.galera_node import backup_programs, donor, joiner, local_state, sst, transfer
from images.galera.galera_node.framing import TransferError, receive_record, send_frame, send_record
from images.galera.galera_node.local_state import TRANSFER_MARK, Kind, Note
from images.galera.galera_node.sst_options import Options

pytestmark = pytest.mark.unit

U = "aaaaaaaa-0000-0000-0000-000000000001"
GTID = f"{U}:7"
BACKUP = """#!/bin/sh
case "$*" in
*--backup*) tar -c -C {donor} . ; echo sent >&2; exit $(cat {fails}/backup) ;;
*--prepare*) echo the log is torn; exit $(cat {fails}/prepare) ;;
esac
"""
MBSTREAM = """#!/bin/sh
tar -x -C "$3"; exit $(cat {fails}/mbstream)
"""


class Site:
    """Two nodes' folders below `root`: the donor's data holds a new table, the joiner's an old one."""

    def __init__(self, root: Path) -> None:
        self.fails = root / "fails"
        self.options: dict[str, Options] = {}
        self.fails.mkdir()
        for name in ("backup", "prepare", "mbstream"):
            (self.fails / name).write_text("0")
        for role, data in (("donor", "new.ibd"), ("joiner", "old.ibd")):
            (root / role / "data").mkdir(parents=True)
            (root / role / "run").mkdir()
            (root / role / "data" / data).write_text(role)
            (root / role / "data" / "ibdata1").touch()
            defaults = root / role / "run" / "my.cnf"
            self.options[role] = Options(role, "127.0.0.1:0", root / role / "data", defaults, GTID, False, 1)
        (root / "donor" / "data" / "xtrabackup_galera_info").write_text(f"{GTID}\n")
        local_state.write_note(root / "donor" / "data", Note("2-ab"))
        self.backup, self.mbstream = root / "backup", root / "mbstream"
        for program, text in ((self.backup, BACKUP), (self.mbstream, MBSTREAM)):
            program.write_text(text.format(donor=root / "donor" / "data", fails=self.fails))
            program.chmod(0o755)
        self.said: queue.Queue[str] = queue.Queue()
        self.ended: Exception | None = None

    @property
    def data(self) -> Path:
        """The joiner's data directory."""
        return self.options["joiner"].data_dir

    def joining(self) -> tuple[threading.Thread, str]:
        """The joiner at work, and the address that it names to mariadbd."""

        def work() -> None:
            try:
                joiner.join(self.options["joiner"])
            except TransferError as error:
                self.ended = error

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread, self.said.get(timeout=30).removeprefix("ready ")

    def donates(self, address: str, bypass: bool = False) -> None:
        """The donor, to its end."""
        donor.donate(replace(self.options["donor"], address=address, bypass=bypass))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(tmp_path)
    monkeypatch.setattr(donor, "BACKUP", str(made.backup))
    monkeypatch.setattr(joiner, "BACKUP", str(made.backup))
    monkeypatch.setattr(joiner, "MBSTREAM", str(made.mbstream))
    monkeypatch.setattr(joiner, "say", made.said.put)
    yield made
    backup_programs.kill_all()
    # In a container they go with the process that started them.
    for child in backup_programs._CHILDREN:
        child.wait(30)
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
    backup_programs._CHILDREN.clear()


def test_a_full_copy_replaces_all_data_and_tells_whose_it_is(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    thread, address = site.joining()
    site.donates(address)
    thread.join(30)
    assert site.ended is None
    assert site.said.get_nowait() == GTID
    assert capsys.readouterr().out == f"continue\ndone {GTID}\n"
    assert (site.data / "new.ibd").read_text() == "donor"
    assert not (site.data / "old.ibd").exists()
    # The backup's own notes are of no use there, and the epoch is the donor's.
    assert not list(site.data.glob("xtrabackup_*"))
    assert local_state.read(site.data).kind is Kind.DATA
    note = local_state.read_note(site.data)
    assert note is not None
    assert note.epoch == "2-ab"
    assert local_state.copies(site.data).begun == 1


def test_a_donor_is_one_before_its_first_byte(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[transfer.Progress | None] = []

    def connect(_host: str, _port: int) -> socket.socket:
        seen.append(transfer.read(site.options["donor"].run_dir))
        raise TransferError("enough")

    monkeypatch.setattr(donor, "connect", connect)
    with pytest.raises(TransferError, match="enough"):
        site.donates("127.0.0.1:1/token")
    (progress,) = seen
    assert progress is not None
    assert (progress.role, progress.phase, progress.done) == ("donor", "starting", 0)


def test_a_joiner_that_lacks_only_write_sets_keeps_its_data(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    transfer.remember_history(site.options["joiner"].run_dir, U, "2-ab")
    thread, address = site.joining()
    site.donates(address, bypass=True)
    thread.join(30)
    assert (site.ended, site.said.get_nowait()) == (None, GTID)
    assert capsys.readouterr().out.endswith(f"done {GTID}\n")
    assert {entry.name for entry in site.data.iterdir()} == {"ibdata1", "old.ibd"}


@pytest.mark.parametrize("bypass", [False, True])
def test_the_joiner_s_server_hears_the_domain_of_the_donor_s_gtids(site: Site, bypass: bool) -> None:
    site.options["donor"] = replace(site.options["donor"], domain="7")
    # mariadb-backup has found another one in the data.
    (site.options["donor"].data_dir / "xtrabackup_galera_info").write_text(f"{GTID} 0\n")
    transfer.remember_history(site.options["joiner"].run_dir, U, "2-ab")
    thread, address = site.joining()
    site.donates(address, bypass=bypass)
    thread.join(30)
    assert (site.ended, site.said.get_nowait()) == (None, f"{GTID} 7")


def test_what_mariadb_backup_says_of_the_domain_counts_with_a_donor_of_before(site: Site) -> None:
    (site.options["donor"].data_dir / "xtrabackup_galera_info").write_text(f"{GTID} 3\n")
    thread, address = site.joining()
    host, port, token = donor.target(address)
    with socket.create_connection((host, port)) as stream:
        send_record(stream, {"token": token, "mode": "full", "gtid": GTID})
        donor.send_backup(site.options["donor"], stream, host)
        assert receive_record(stream) == {"received": True}
    thread.join(30)
    assert (site.ended, site.said.get_nowait()) == (None, f"{GTID} 3")


@pytest.mark.parametrize(
    ("program", "donor_says", "joiner_says"),
    [
        pytest.param(
            "backup", r"mariadb-backup ended with 3\n  sent", "the donor's backup failed", id="the backup"
        ),
        pytest.param(
            "mbstream", "the other side ended", "mbstream ended with 3; is the disk full", id="the unpacking"
        ),
        pytest.param("prepare", "", r"--prepare ended with 3\n  the log is torn", id="the preparation"),
    ],
)
def test_a_copy_that_fails_is_no_data_on_either_side_s_word(
    site: Site, program: str, donor_says: str, joiner_says: str
) -> None:
    (site.fails / program).write_text("3")
    thread, address = site.joining()
    if donor_says:
        with pytest.raises(TransferError, match=donor_says):
            site.donates(address)
    else:
        site.donates(address)  # it has sent all, and the joiner has got it
    thread.join(30)
    with pytest.raises(TransferError, match=joiner_says):
        raise site.ended or AssertionError
    assert site.said.empty()
    assert (site.data / TRANSFER_MARK).exists()
    assert local_state.read(site.data).kind is Kind.PARTIAL


def test_a_backup_that_names_no_position_is_not_taken(site: Site) -> None:
    (site.options["donor"].data_dir / "xtrabackup_galera_info").unlink()
    thread, address = site.joining()
    site.donates(address)
    thread.join(30)
    with pytest.raises(TransferError, match="does not say its position"):
        raise site.ended or AssertionError
    assert local_state.read(site.data).kind is Kind.PARTIAL


def sent_away(stream: socket.socket) -> bool:
    """Whether the other side has closed the connection without a word."""
    try:
        return stream.recv(1) == b""
    except ConnectionResetError:  # it had not read all
        return True


def test_whoever_is_not_the_donor_is_sent_away_and_the_donor_still_gets_in(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    thread, address = site.joining()
    host, port, token = donor.target(address)
    with socket.create_connection((host, port)) as stranger:
        send_record(stranger, {"token": "guessed", "mode": "full", "gtid": GTID})
        assert sent_away(stranger)
    with socket.create_connection((host, port)) as scan:
        scan.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sent_away(scan)
    site.donates(f"{host}:{port}/{token}")
    thread.join(30)
    assert site.ended is None
    said = capsys.readouterr().err
    assert "127.0.0.1 does not know this transfer's token; refused" in said
    assert "127.0.0.1 connected but is no donor" in said


@pytest.mark.parametrize(
    ("history", "bypass", "words"),
    [
        pytest.param(("bbbbbbbb-0000-0000-0000-000000000002", ""), False, "Nothing is touched", id="cluster"),
        pytest.param((U, "1-cd"), True, "write-sets would not do", id="epoch"),
    ],
)
def test_data_of_another_history_is_neither_replaced_nor_gone_on_from(
    site: Site, history: tuple[str, str], bypass: bool, words: str
) -> None:
    transfer.remember_history(site.options["joiner"].run_dir, *history)
    thread, address = site.joining()
    with pytest.raises((TransferError, OSError)):
        site.donates(address, bypass)
    thread.join(30)
    with pytest.raises(TransferError, match=words):
        raise site.ended or AssertionError
    assert {entry.name for entry in site.data.iterdir()} == {"ibdata1", "old.ibd"}


@pytest.mark.parametrize(
    ("own", "allowed", "words"),
    [
        pytest.param("10.11", "", "which cannot read it. Nothing is touched", id="newer"),
        pytest.param("12.3", "", "which would change it for good", id="older"),
        pytest.param("12.3", "12.3", "", id="older, and a person has said so"),
    ],
)
def test_data_that_is_not_for_this_server_is_refused_before_the_own_goes(
    site: Site, monkeypatch: pytest.MonkeyPatch, own: str, allowed: str, words: str
) -> None:
    (site.options["donor"].data_dir / "sys").mkdir()
    (site.options["donor"].data_dir / "sys" / "version.frm").write_text("mariadb-version=110809\n")
    monkeypatch.setattr(joiner, "own_version", lambda: own)
    monkeypatch.setenv("UPGRADE_TO", allowed)
    thread, address = site.joining()
    with contextlib.suppress(TransferError, OSError):
        site.donates(address)
    thread.join(30)
    assert words in str(site.ended or "")
    assert (site.ended is None) == (not words)
    assert (site.data / "old.ibd").exists() == bool(words)
    assert (site.data / TRANSFER_MARK).exists() is False


def test_a_donor_that_breaks_off_leaves_no_data_that_could_be_taken_for_whole(site: Site) -> None:
    thread, address = site.joining()
    host, port, token = donor.target(address)
    with socket.create_connection((host, port)) as stream:
        send_record(stream, {"token": token, "mode": "full", "gtid": GTID})
        send_frame(stream, b"half of it")
    thread.join(30)
    with pytest.raises(TransferError, match="ended in the middle"):
        raise site.ended or AssertionError
    assert local_state.read(site.data).kind is Kind.PARTIAL


def test_a_joiner_does_not_wait_for_a_donor_when_its_server_has_gone(site: Site) -> None:
    site.options["joiner"] = replace(site.options["joiner"], parent=2**22 + 1)
    thread, _ = site.joining()
    thread.join(30)
    with pytest.raises(TransferError, match="mariadbd has gone"):
        raise site.ended or AssertionError
    assert (site.data / "old.ibd").exists()


def test_a_joiner_that_waits_for_a_busy_donor_shows_that_it_waits(site: Site) -> None:
    thread, address = site.joining()
    shown: set[float] = set()
    deadline = time.monotonic() + 30
    while len(shown) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        if (progress := transfer.read(site.options["joiner"].run_dir)) is not None:
            assert progress.phase == "waiting"
            shown.add(progress.at)
    assert len(shown) == 2
    site.donates(address)
    thread.join(30)


def test_a_donor_whose_joiner_goes_away_says_so_and_ends_the_backup(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = site.backup
    endless.write_text("#!/bin/sh\nexec cat /dev/zero\n")
    children: list[subprocess.Popen[bytes]] = []

    def start(*words: object, **more: object) -> subprocess.Popen[bytes]:
        children.append(backup_programs.start(*words, **more))  # type: ignore[arg-type]
        return children[-1]

    monkeypatch.setattr(donor, "start", start)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def goes() -> None:
            stream, _ = listener.accept()
            receive_record(stream)
            stream.recv(1 << 16)
            stream.close()

        thread = threading.Thread(target=goes)
        thread.start()
        with pytest.raises(TransferError, match=r"sending to 127\.0\.0\.1: "):
            site.donates(f"127.0.0.1:{listener.getsockname()[1]}/token")
        thread.join(30)
    assert children[0].wait(30) == -signal.SIGKILL


def test_a_joiner_that_cannot_be_reached_is_tried_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransferError, match=f"the joiner at 127.0.0.1:{port} cannot be reached"):
        donor.connect("127.0.0.1", port)
    assert len(pauses) == 4


@pytest.mark.parametrize(
    "address", ["", "10.0.0.1:4444", "10.0.0.1/token", ":4444/token", "10.0.0.1:x/token"]
)
def test_an_address_that_no_joiner_gives_is_refused(address: str) -> None:
    with pytest.raises(TransferError, match="is not host:port/token"):
        donor.target(address)


@pytest.fixture
def _signals_are_taken_back() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_signals_are_taken_back")
def test_the_program_that_mariadbd_starts_does_its_side_and_says_what_failed(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    own = site.options["donor"]
    words = ["--datadir", str(own.data_dir), "--defaults-file", str(own.defaults), "--gtid", GTID]
    thread, address = site.joining()
    with pytest.MonkeyPatch.context() as patched:
        # The joiner's programs are another process's children, and here this one's.
        patched.setattr(backup_programs, "kill_all", lambda: None)
        assert sst.main(["--role", "donor", "--address", address, *words]) == 0
    thread.join(30)
    assert (site.data / "new.ibd").exists()
    assert transfer.read(own.run_dir) is None  # no progress is shown of what is over
    capsys.readouterr()
    # 32 is what mariadbd shows as a broken pipe.
    assert sst.main(["--role", "donor", "--address", "nowhere", *words]) == 32
    assert "donor: state transfer failed: the joiner's address 'nowhere'" in capsys.readouterr().err
    assert sst.main(["--role", "arbiter", "--address", "a:1/t", *words]) == 32
    assert "the role 'arbiter', which this program does not know" in capsys.readouterr().err
    assert sst.main(["--role", "joiner", *words]) == 32
    assert "mariadbd did not say address" in capsys.readouterr().err


def test_a_transfer_that_mariadbd_ends_leaves_no_program_behind() -> None:
    child = backup_programs.start(["sleep", "600"])
    with pytest.raises(SystemExit) as ended:
        sst.stop()
    assert ended.value.code == 143
    assert child.wait(30) == -signal.SIGKILL
