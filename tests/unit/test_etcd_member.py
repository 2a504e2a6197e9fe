"""How an etcd member starts, as a table: what the others answer, and what it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.etcd.etcd_member import settings
from images.etcd.etcd_member.cli import arguments, has_member_data
from images.etcd.etcd_member.formation import (
    Member,
    Start,
    decide,
    has_free_seat,
    initial_cluster,
    seats_to_remove,
)

URLS = {name: f"https://10.0.0.{number}:2380" for number, name in enumerate(("a", "b", "c"), 1)}


def seat(name: str, *, known_as: str | None = None, published: bool = True, id_: int = 0) -> Member:
    clients = ("http://etcd:2379",) if published else ()
    return Member(id_ or ord(name), name if known_as is None else known_as, (URLS[name],), clients)


FORMING = [seat(name, published=False) for name in URLS]
LIVE = [seat(name) for name in URLS]


@pytest.mark.parametrize(
    ("has_data", "answers", "start"),
    [
        pytest.param(True, [], Start.RESUME, id="data"),
        pytest.param(True, [LIVE], Start.RESUME, id="data, and the others live"),
        pytest.param(False, [], Start.NEW, id="nobody answers"),
        pytest.param(False, [FORMING], Start.NEW, id="the others form as well"),
        pytest.param(
            False, [[seat("a", published=False), seat("b"), seat("c")]], Start.NEW, id="the last to come"
        ),
        pytest.param(False, [LIVE, LIVE], Start.REJOIN, id="lost disk"),
        pytest.param(False, [FORMING, LIVE], Start.REJOIN, id="one of them is behind"),
        pytest.param(False, [[seat("b"), seat("c")]], Start.REJOIN, id="removed, not yet added"),
        pytest.param(
            False,
            [[seat("a", known_as="", published=False), seat("b"), seat("c")]],
            Start.REJOIN,
            id="added, not started",
        ),
    ],
)
def test_a_member_starts_by_its_data_and_what_the_others_say(
    has_data: bool, answers: list[list[Member]], start: Start
) -> None:
    assert decide(has_data, "a", URLS["a"], answers)[0] is start


def test_a_member_removes_no_seat_but_its_own() -> None:
    assert seats_to_remove("a", URLS["a"], LIVE) == [ord("a")]
    assert seats_to_remove("a", URLS["a"], [seat("b"), seat("c")]) == []
    waiting = [seat("a", known_as="", published=False), seat("b")]
    assert seats_to_remove("a", URLS["a"], waiting) == []
    assert has_free_seat(URLS["a"], waiting)
    assert not has_free_seat(URLS["a"], LIVE)


def test_the_list_to_rejoin_with_names_every_seat() -> None:
    seats = [seat("a", known_as="", published=False), seat("b"), seat("c", known_as="", published=False)]
    assert initial_cluster("a", URLS["a"], seats, URLS) == ",".join(
        f"{n}={u}" for n, u in sorted(URLS.items())
    )


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    for name in ("etcd-peer-ca.crt", "etcd-peer.crt", "etcd-peer.key"):
        (tmp_path / name).write_text("pem")
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
        "--listen-peer-urls=https://0.0.0.0:2380",
        "--name=a",
        "--pre-vote",
    ):
        assert flag in flags
    assert f"--initial-advertise-peer-urls={URLS['a']}" in flags


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("NODE_NAME", "z", "not in ETCD_INITIAL_CLUSTER"),
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
    (Path(environ["SECRETS_DIR"]) / "etcd-peer.key").unlink()
    with pytest.raises(settings.SettingsError, match=r"etcd-peer\.key"):
        settings.load(environ)


def test_a_directory_without_a_log_is_no_member(tmp_path: Path) -> None:
    assert not has_member_data(tmp_path)
    (tmp_path / "member" / "wal").mkdir(parents=True)
    assert not has_member_data(tmp_path)
    (tmp_path / "member" / "wal" / "0000000000000000-0000000000000000.wal").touch()
    assert has_member_data(tmp_path)
