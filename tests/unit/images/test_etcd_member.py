"""How an etcd member starts, as a table: what the others answer, and what it does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from images.etcd.etcd_member import alone, cli, force, settings
from images.etcd.etcd_member.alone import WORD, has_word, last_snapshot, leave_word, take_word
from images.etcd.etcd_member.api import ClusterApi, LocalMember
from images.etcd.etcd_member.cli import arguments
from images.etcd.etcd_member.ctl import ApiError
from images.etcd.etcd_member.force import STARTING, age, force_new_cluster
from images.etcd.etcd_member.formation import (
    Answer,
    Member,
    Start,
    decide,
    has_free_seat,
    initial_cluster,
    seats_of,
    seats_to_forget,
)
from images.etcd.etcd_member.member_data import has_member_data

URLS = {name: f"https://10.0.0.{number}:2380" for number, name in enumerate(("a", "b", "c"), 1)}
GROWN = {**URLS, "d": "https://10.0.0.4:2380", "e": "https://10.0.0.5:2380"}


def seat(name: str, *, known_as: str | None = None, published: bool = True, url: str = "") -> Member:
    clients = ("http://etcd:2379",) if published else ()
    return Member(ord(name), name if known_as is None else known_as, (url or GROWN[name],), clients)


FORMING = [seat(name, published=False) for name in URLS]
LIVE = [seat(name) for name in URLS]
EMPTY: list[Member] = []
STATIC = "a=https://10.0.0.1:2380,b=https://10.0.0.2:2380,c=https://10.0.0.3:2380"


@pytest.mark.parametrize(
    ("answers", "start"),
    [
        pytest.param({"b": EMPTY, "c": EMPTY}, Start.NEW, id="all are empty"),
        pytest.param({"b": EMPTY, "c": None}, Start.WAIT, id="one cannot be heard"),
        pytest.param({"b": None, "c": None}, Start.WAIT, id="nobody can be heard"),
        pytest.param({"b": FORMING, "c": None}, Start.NEW, id="one forms already, with this one"),
        pytest.param({"b": FORMING, "c": EMPTY}, Start.NEW, id="one forms, one waits"),
        pytest.param(
            {"b": [seat("b", published=False), seat("c", published=False)], "c": EMPTY},
            Start.WAIT,
            id="one forms without this one",
        ),
        pytest.param(
            {"b": [seat("a", published=False), seat("b"), seat("c")], "c": None},
            Start.NEW,
            id="the last to come",
        ),
        pytest.param({"b": LIVE, "c": LIVE}, Start.REJOIN, id="lost disk"),
        pytest.param({"b": FORMING, "c": LIVE}, Start.REJOIN, id="one of them is behind"),
        pytest.param({"b": EMPTY, "c": LIVE}, Start.REJOIN, id="two lost disks"),
        pytest.param({"b": None, "c": LIVE}, Start.REJOIN, id="one that knows the cluster is enough"),
        pytest.param({"b": [seat("b"), seat("c")], "c": None}, Start.REJOIN, id="removed, not yet added"),
        pytest.param(
            {"b": [seat("a", known_as="", published=False), seat("b"), seat("c")], "c": None},
            Start.REJOIN,
            id="added, not started",
        ),
        pytest.param(
            {"b": [seat("a", published=False, url="https://10.0.0.9:2380"), seat("b"), seat("c")], "c": None},
            Start.REJOIN,
            id="replaced before it ever came",
        ),
        pytest.param(
            {"b": [*(seat(n, published=n != "a") for n in "abc"), seat("d")], "c": None},
            Start.REJOIN,
            id="the list has changed since it was to come",
        ),
    ],
)
def test_an_empty_member_starts_by_what_the_others_say(answers: Mapping[str, Answer], start: Start) -> None:
    decision = decide(False, "a", URLS, answers)
    assert decision.start is start
    assert decision.cluster == (STATIC if start is Start.NEW else "")


def test_a_member_with_data_goes_on_whatever_the_list_says() -> None:
    assert decide(True, "a", URLS, {"b": LIVE}).start is Start.RESUME
    assert decide(True, "a", URLS, {}).start is Start.RESUME
    assert decide(True, "z", URLS, {}).start is Start.RESUME
    assert decide(True, "a", URLS, {"b": LIVE}, at_home=False).start is Start.RESUME


def test_a_member_without_data_takes_no_seat_at_an_address_that_does_not_lead_to_it() -> None:
    decision = decide(False, "a", URLS, {"b": LIVE, "c": LIVE}, at_home=False)
    assert decision.start is Start.WAIT
    assert "does not lead here" in decision.reason
    # Before there is a cluster, no seat is taken at which others could be missed.
    assert decide(False, "a", URLS, {"b": [], "c": []}, at_home=False).start is Start.NEW


def test_a_member_alone_in_the_list_forms_at_once() -> None:
    assert decide(False, "a", {"a": URLS["a"]}, {}).cluster == "a=https://10.0.0.1:2380"


@pytest.mark.parametrize("answer", [LIVE, FORMING, EMPTY, None], ids=["live", "forming", "empty", "away"])
def test_members_that_come_later_never_form_anything(answer: Answer) -> None:
    """Of three that are five now, the two new ones are a majority with any one of the others' names."""
    answers = {"a": answer, "b": None, "c": None, "e": EMPTY}
    wanted = Start.REJOIN if answer is LIVE else Start.WAIT
    assert decide(False, "d", GROWN, answers).start is wanted


def test_a_host_that_the_list_does_not_name_waits() -> None:
    decision = decide(False, "d", URLS, {})
    assert decision.start is Start.WAIT
    assert "d is not among the members (a, b, c)" in decision.reason


def test_whoever_is_waited_for_is_named() -> None:
    assert "b, c might know of a cluster" in decide(False, "a", URLS, {"b": None, "c": None}).reason


def test_a_member_removes_no_seat_but_its_own() -> None:
    assert seats_of("a", URLS["a"], LIVE) == [ord("a")]
    assert seats_of("a", URLS["a"], [seat("b"), seat("c")]) == []
    # Another host with this name, before this one: its seat goes, wherever it was.
    assert seats_of("a", URLS["a"], [seat("a", url="https://10.0.0.9:2380"), seat("b")]) == [ord("a")]
    waiting = [seat("a", known_as="", published=False), seat("b")]
    assert seats_of("a", URLS["a"], waiting) == []
    assert has_free_seat(URLS["a"], waiting)
    assert not has_free_seat(URLS["a"], LIVE)


def test_a_host_that_leaves_loses_its_seat_also_if_it_never_took_it() -> None:
    assert seats_to_forget("a", URLS["a"], LIVE) == [ord("a")]
    assert seats_to_forget("a", None, LIVE) == [ord("a")]
    waiting = [seat("a", known_as="", published=False), seat("b")]
    assert seats_to_forget("a", URLS["a"], waiting) == [ord("a")]
    assert seats_to_forget("a", None, waiting) == []
    # Its address has gone to another member meanwhile.
    assert seats_to_forget("a", URLS["a"], [seat("b", url=URLS["a"])]) == []


def test_the_list_to_rejoin_with_names_every_seat() -> None:
    seats = [seat("a", known_as="", published=False), seat("b"), seat("c", known_as="", published=False)]
    assert initial_cluster("a", URLS["a"], seats, URLS) == STATIC


def secrets(folder: Path) -> None:
    """Files that are there; nobody reads the certificates."""
    for name in (*settings.CERTIFICATES, *settings.KEYS):
        (folder / name).write_text("pem")
    for user in settings.USERS:
        (folder / f"etcd-{user}-password").write_text(f"of-{user}\n")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    secrets(tmp_path)
    return {
        "NODE_NAME": "a",
        "ETCD_INITIAL_CLUSTER": ",".join(f"{name}={url}" for name, url in URLS.items()),
        "CLUSTER_TOKEN": "t",
        "SECRETS_DIR": str(tmp_path),
    }


def test_members_speak_mutual_tls_and_only_the_program_sets_flags(environ: dict[str, str]) -> None:
    flags = arguments(settings.load(environ), "new", "x")
    for flag in (
        "--peer-client-cert-auth",
        "--client-cert-auth",
        "--listen-peer-urls=https://0.0.0.0:2380",
        "--name=a",
        "--pre-vote",
    ):
        assert flag in flags
    assert f"--initial-advertise-peer-urls={URLS['a']}" in flags


def test_a_member_that_goes_on_is_told_nothing_of_the_list(environ: dict[str, str]) -> None:
    flags = arguments(settings.load({**environ, "NODE_NAME": "z"}))
    assert not [flag for flag in flags if flag.startswith("--initial-") and "tick" not in flag]
    assert "--listen-peer-urls=https://0.0.0.0:2380" in flags


def test_beats_and_elections_suit_hosts_that_stall(environ: dict[str, str]) -> None:
    flags = arguments(settings.load(environ), "new", "x")
    assert "--heartbeat-interval=300" in flags
    assert "--election-timeout=3000" in flags


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("NODE_NAME", "", "NODE_NAME is not set"),
        ("CLUSTER_TOKEN", "", "CLUSTER_TOKEN is not set"),
        ("ETCD_INITIAL_CLUSTER", "a=http://10.0.0.1:2380", "https"),
        ("ETCD_INITIAL_CLUSTER", "a=https://10.0.0.1", "port"),
        ("ETCD_INITIAL_CLUSTER", "a=https://10.0.0.1:1,a=https://10.0.0.2:1", "twice"),
        ("HEARTBEAT_MS", "fast", "milliseconds"),
        ("ELECTION_MS", "500", "five times"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name(
    environ: dict[str, str], key: str, value: str, words: str
) -> None:
    with pytest.raises(settings.SettingsError, match=key) as error:
        settings.load({**environ, key: value})
    assert words in str(error.value)


def test_a_missing_secret_is_named(environ: dict[str, str]) -> None:
    for name in ("etcd-peer.key", "etcd-root.crt", "etcd-galera-password"):
        secrets(Path(environ["SECRETS_DIR"]))
        (Path(environ["SECRETS_DIR"]) / name).unlink()
        with pytest.raises(settings.SettingsError, match=name):
            settings.load(environ)


def test_a_directory_without_a_log_is_no_member(tmp_path: Path) -> None:
    assert not has_member_data(tmp_path)
    (tmp_path / "member" / "wal").mkdir(parents=True)
    assert not has_member_data(tmp_path)
    (tmp_path / "member" / "wal" / "0000000000000000-0000000000000000.wal").touch()
    assert has_member_data(tmp_path)


def test_the_word_to_go_on_alone_stays_until_it_is_taken(tmp_path: Path) -> None:
    assert not has_word(tmp_path)
    leave_word(tmp_path)
    assert has_word(tmp_path)
    take_word(tmp_path)
    assert not has_word(tmp_path)


def test_the_start_alone_is_where_nobody_can_join(tmp_path: Path) -> None:
    member = settings.Settings("a", URLS, "t")
    words = arguments(member, alone=True)
    assert {"--force-new-cluster", "--snapshot-count=1"} <= set(words)
    assert "--listen-peer-urls=https://127.0.0.1:2380" in words
    assert "--listen-client-urls=https://127.0.0.1:2381,http://127.0.0.1:2382" in words
    assert "--force-new-cluster" not in arguments(member)
    # From outside of the container with TLS alone.
    assert "--listen-client-urls=https://0.0.0.0:2381,http://127.0.0.1:2382" in arguments(member)


def snapshot(data_dir: Path, entry: int) -> None:
    folder = data_dir / "member" / "snap"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{4:016x}-{entry:016x}.snap").touch()


def test_the_last_snapshot_is_found_by_its_entry(tmp_path: Path) -> None:
    assert last_snapshot(tmp_path) == 0
    for entry in (9, 16, 10):
        snapshot(tmp_path, entry)
    (tmp_path / "member" / "snap" / "db").touch()
    assert last_snapshot(tmp_path) == 16


def test_a_member_alone_writes_until_a_write_is_done_and_a_snapshot_is_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot(tmp_path, 20)  # of before
    tries = 0

    class Etcd:
        def put(self, key: str, _value: str) -> None:
            nonlocal tries
            tries += 1
            assert key == alone.KEY
            if tries < 3:  # an entry with the number of a lost one is passed over, and nobody answers for it
                raise ApiError("timed out")
            if tries == 5:
                snapshot(tmp_path, 31)

        def last_entry(self) -> int:
            return 30

    said: list[str] = []
    monkeypatch.setattr(alone, "RETRY", 0)
    etcd: Any = Etcd()
    alone.settle(["sleep", "60"], tmp_path, etcd, etcd, said.append)
    assert tries == 5
    assert said[1:-1] == ["not yet: timed out"]
    assert "a snapshot behind entry 30" in said[-1]


def test_a_start_alone_that_ends_by_itself_is_told(tmp_path: Path) -> None:
    api = ClusterApi(["http://127.0.0.1:9"], tmp_path)
    with pytest.raises(alone.AloneError, match="etcd has ended with 1"):
        alone.settle(["false"], tmp_path, LocalMember(9), api, lambda _: None)


@pytest.fixture
def stranded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a member that has data and whose client port does not answer."""
    secrets(tmp_path)
    (tmp_path / "member" / "wal").mkdir(parents=True)
    (tmp_path / "member" / "wal" / "0.wal").touch()
    monkeypatch.setattr(force, "context", lambda *_: None)
    return {
        "NODE_NAME": "a",
        "ETCD_INITIAL_CLUSTER": ",".join(f"{name}={url}" for name, url in URLS.items()),
        "CLUSTER_TOKEN": "t",
        "DATA_DIR": str(tmp_path),
        "SECRETS_DIR": str(tmp_path),
        "LISTEN_ADDRESS": "127.0.0.254",
    }


@pytest.mark.parametrize(
    ("answers", "forced"),
    [
        pytest.param({"b": None, "c": None}, True, id="nobody is there"),
        pytest.param({"b": EMPTY, "c": None}, True, id="one is there, and empty"),
        pytest.param({"b": LIVE, "c": None}, False, id="two of three have the data"),
    ],
)
def test_a_member_that_starts_without_a_majority_asks_the_others_before_it_goes_on_alone(
    stranded: dict[str, str], answers: Mapping[str, Answer], forced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(force, "ask_all", lambda *_: answers)
    monkeypatch.setattr(force, "end_soon", ended.append)
    assert force_new_cluster(cli.log, stranded, process=2**22 + 1) == 0
    assert (Path(stranded["DATA_DIR"]) / WORD).exists() is forced
    assert ended == ([2**22 + 1] if forced else [])


def test_a_process_is_ended_after_the_command_has_said_so() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        # In a process of its own, as in the container: the command does not stay for what it leaves behind.
        command = f"from images.etcd.etcd_member.force import end_soon; end_soon({process.pid})"
        subprocess.run([sys.executable, "-c", command], cwd=Path(__file__).parents[3], check=True)
        assert process.poll() is None
        assert process.wait(30) == -15


def test_a_member_that_has_just_started_is_not_forced(
    stranded: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(force, "ask_all", lambda *_: {"b": None, "c": None})
    with subprocess.Popen(["sleep", "60"]) as young:
        assert age(young.pid) < STARTING
        assert force_new_cluster(cli.log, stranded, process=young.pid) == 1
        assert young.poll() is None
        young.kill()
    assert "does not answer yet: repeat" in capsys.readouterr().err
    assert not (Path(stranded["DATA_DIR"]) / WORD).exists()
    assert age(young.pid) == float("inf")


def test_an_empty_member_has_nothing_to_go_on_from(
    stranded: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(stranded["DATA_DIR"]) / "member" / "wal" / "0.wal").unlink()
    assert force_new_cluster(cli.log, stranded) == 1
    assert "no data" in capsys.readouterr().err
