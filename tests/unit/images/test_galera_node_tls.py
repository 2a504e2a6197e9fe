"""How a node speaks TLS: the files it takes, which way counts, and whose turn it is to start anew."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from images.galera.galera_node import (
    accounts,
    commands,
    donor,
    framing,
    joiner,
    one_by_one,
    own_report,
    securing,
    stores,
    tls,
)
from images.galera.galera_node.cli import main
from images.galera.galera_node.config import NodeConfig, render
from images.galera.galera_node.encryption import Encryption
from images.galera.galera_node.first_process import StartAnew
from images.galera.galera_node.framing import TransferError
from images.galera.galera_node.local_state import Kind, agree, agreed, clear, read
from images.galera.galera_node.membership import Membership
from images.galera.galera_node.settings import SECRETS, Settings, SettingsError
from images.galera.galera_node.sst_options import SPEAKS_TLS, Options
from images.galera.galera_node.store import Cluster, Details, Position, Presence, View, parse
from images.galera.galera_node.words import Topics
from tests.support.node_certificates import NodeCertificates
from tests.unit.images.test_galera_node_commands import MemoryStore, U

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def made() -> NodeCertificates:
    return NodeCertificates()


@pytest.fixture(scope="module")
def after(made: NodeCertificates) -> NodeCertificates:
    return NodeCertificates(made)


def put(folder: Path, files: Mapping[str, str]) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def settings_of(tmp_path: Path) -> Settings:
    put(tmp_path / "secrets", dict.fromkeys(SECRETS, "secret\n"))
    return Settings(
        node="a",
        cluster="galera",
        size=3,
        peers="tasks.galera",
        store="etcd://etcd:2381",
        subnet=IPv4Network("10.20.0.0/24"),
        database="app",
        data_dir=tmp_path / "data",
        run_dir=tmp_path / "run",
        secrets=tmp_path / "secrets",
    )


# ---- the files


def test_a_node_without_the_files_speaks_no_tls_and_one_with_a_part_of_them_does_not_start(
    tmp_path: Path, made: NodeCertificates
) -> None:
    assert tls.files(tmp_path) is None
    (tmp_path / "galera-ca.crt").write_text(made.files["galera-ca.crt"])
    with pytest.raises(SettingsError, match=r"galera-server.crt, galera-server.key. Attach all three"):
        tls.files(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            "expired",
            r"not good for a node named 'galera': certificate has expired .*until 2[0-9-]{9}, galera-ca",
        ),
        ("name", "Hostname mismatch"),
        ("key", "do not go together"),
        ("authority", "unable to get local issuer certificate|self-signed|certificate verify failed"),
        ("nothing", "holds no certificate"),
    ],
)
def test_files_that_can_not_work_are_refused_with_the_reason_and_the_remedy(
    tmp_path: Path, made: NodeCertificates, wrong: str, said: str
) -> None:
    other = NodeCertificates().files
    files = {
        "expired": lambda: made.another(ago=dt.timedelta(days=4000)),
        "name": lambda: made.another(name="db.example.com"),
        "key": lambda: {**made.files, "galera-server.key": other["galera-server.key"]},
        "authority": lambda: {**made.files, "galera-ca.crt": other["galera-ca.crt"]},
        "nothing": lambda: {**made.files, "galera-ca.crt": "nothing\n"},
    }[wrong]()
    with pytest.raises(SettingsError, match=said) as refused:
        tls.files(put(tmp_path, files))
    assert "Remedy: `pulumi up`" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_expired_authority_is_refused_too(tmp_path: Path) -> None:
    files = NodeCertificates(ago=dt.timedelta(days=3700)).another()
    with pytest.raises(SettingsError, match="has expired"):
        tls.files(put(tmp_path, files))


def test_what_counts_follows_from_what_all_have_agreed_on(
    tmp_path: Path, made: NodeCertificates, after: NodeCertificates
) -> None:
    former, present = (tls.files(put(tmp_path / str(each.generation), each.files)) for each in (made, after))
    assert former is not None
    assert present is not None
    assert (len(former.authorities), len(present.authorities)) == (1, 2)
    before_all_had_tls = present.way("", tmp_path)
    on_the_way = present.way(former.authority, tmp_path)
    arrived = present.way(present.authority, tmp_path)
    assert [way.mode for way in (before_all_had_tls, on_the_way, arrived)] == ["both", "only", "only"]
    assert before_all_had_tls.authorities == on_the_way.authorities == "".join(present.authorities)
    assert arrived.authorities == present.authorities[0]
    run = tmp_path / "run"
    run.mkdir()
    present.put(present.way(present.authority, run))
    assert tls.mode(run / "tls") == "only"
    assert (run / "tls" / "galera-ca.crt").read_text() == present.authorities[0]
    assert (run / "tls" / "galera-server.key").stat().st_mode & 0o077 == 0


def test_mariadbd_is_told_its_files_and_lets_others_in_only_while_it_must(
    tmp_path: Path, made: NodeCertificates
) -> None:
    files = tls.files(put(tmp_path / "secrets", made.files))
    assert files is not None
    node = NodeConfig("a", "galera", "10.20.0.3")
    plain, both, only = (
        render(replace(node, way=way))
        for way in (None, files.way("", tmp_path), files.way(files.authority, tmp_path))
    )
    assert "ssl" not in plain
    for text in (both, only):
        assert f"ssl_cert = {tmp_path}/tls/galera-server.crt" in text.splitlines()
        assert f"socket.ssl_ca={tmp_path}/tls/galera-ca.crt;" in text
    assert "socket.dynamic=YES" in both
    assert "socket.dynamic" not in only


# ---- a node and its turn


def presence(state: str = "synced") -> Presence:
    return Presence(state, U, 1, "10.20.0.3")


def cluster_of(**others: object) -> MemoryStore:
    """Three nodes, Synced, all with certificates of one authority."""
    records: dict[str, object] = {
        "cluster": Cluster(U, "formed", "a"),
        "view": View(U, "", 1, ("a", "b", "c")),
    }
    for name in "abc":
        records[f"nodes__{name}"] = Position(U, 1)
        records[f"present__{name}"] = presence()
        records[f"details__{name}"] = Details(tls="both", authority="aa", trusts=1)
    return MemoryStore(**records | others)


@pytest.fixture
def settings(tmp_path: Path, made: NodeCertificates) -> Settings:
    for folder in ("data", "run"):
        (tmp_path / folder).mkdir()
    put(tmp_path / "secrets", made.files)
    return settings_of(tmp_path)


def in_turn(settings: Settings, memory: MemoryStore) -> tuple[Encryption, one_by_one.OneByOne]:
    encryption = Encryption(settings)
    membership = Membership(settings, memory, Topics())
    return encryption, one_by_one.OneByOne("a", encryption, membership, Topics())


def test_a_node_starts_anew_when_all_have_agreed_and_nobody_else_does(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_by_one, "CALM", 0.0)
    memory = cluster_of()
    encryption, row = in_turn(settings, memory)
    way = encryption.prepare(parse(memory.read()))
    assert way is not None
    assert way.mode == "both"
    row.look(parse(memory.read()))  # nobody has agreed on anything
    assert encryption.files is not None
    memory.put("tls", encryption.files.authority)
    memory.put("turn", "b")
    row.look(parse(memory.read()))
    memory.commit({}, {}, ("turn",))
    memory.put("present/c", presence("starting"))
    row.look(parse(memory.read()))
    memory.put("present/c", presence())
    with pytest.raises(StartAnew):
        row.look(parse(memory.read()))
    assert memory.read()["turn"].value == "a"
    # Started anew, it is as all have agreed, also while the store is away.
    encryption.keep(parse(memory.read()))
    way = encryption.prepare(None)
    assert way is not None
    assert way.mode == "only"
    row.look(parse(memory.read()))


def test_all_must_have_been_synced_for_a_while(settings: Settings) -> None:
    memory = cluster_of()
    encryption, row = in_turn(settings, memory)
    encryption.prepare(parse(memory.read()))
    assert encryption.files is not None
    memory.put("tls", encryption.files.authority)
    row.look(parse(memory.read()))
    assert "turn" not in memory.read()


def test_a_store_that_has_lost_its_data_is_told_again(settings: Settings) -> None:
    memory = cluster_of(tls="0123456789abcdef")
    encryption, row = in_turn(settings, memory)
    encryption.keep(parse(memory.read()))
    assert agreed(settings.data_dir) == "0123456789abcdef"
    memory.commit({}, {}, ("tls",))
    row.look(parse(memory.read()))
    assert memory.read()["tls"].value == "0123456789abcdef"


def test_the_memory_of_it_is_no_data_and_outlives_a_full_copy(settings: Settings) -> None:
    memory = cluster_of(tls="0123456789abcdef")
    in_turn(settings, memory)[0].keep(parse(memory.read()))
    assert read(settings.data_dir).kind is Kind.EMPTY
    clear(settings.data_dir, joiner.KEEP)
    assert agreed(settings.data_dir) == "0123456789abcdef"


def test_a_new_cluster_agrees_at_once_if_all_its_nodes_can(settings: Settings) -> None:
    memory = cluster_of()
    encryption, _ = in_turn(settings, memory)
    assert encryption.files is not None
    own = encryption.files.authority
    for name in "abc":
        memory.put(f"details/{name}", Details(tls="both", authority=own, trusts=1))
    assert encryption.first(parse(memory.read())) == own
    # One without, and one that the others would not let in: the first run was killed, and another follows.
    for other in (Details(), Details(tls="both", authority="former", trusts=1)):
        memory.put("details/c", other)
        assert encryption.first(parse(memory.read())) == ""


def test_a_node_without_tls_takes_no_part(tmp_path: Path) -> None:
    for folder in ("data", "run", "secrets"):
        (tmp_path / folder).mkdir()
    memory = cluster_of(tls="aa")
    encryption, row = in_turn(settings_of(tmp_path), memory)
    assert encryption.prepare(parse(memory.read())) is None
    assert encryption.first(parse(memory.read())) == ""
    assert encryption.shown(Details()) == Details()
    encryption.keep(parse(memory.read()))
    row.look(parse(memory.read()))
    assert not agreed(tmp_path / "data")
    # Nor does what it remembers of a time with TLS come back into the store.
    agree(tmp_path / "data", "aa")
    memory.commit({}, {}, ("tls",))
    row.look(parse(memory.read()))
    assert "tls" not in memory.read()


# ---- the word that all have come over


def test_all_agree_once_all_can_and_the_word_is_repeated_until_all_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    memory = cluster_of()
    assert securing.secure(memory) == 75
    assert memory.read()["tls"].value == "aa"
    assert "a, b, c will start anew, one after the other" in capsys.readouterr().out
    for name in "abc":
        memory.put(f"details/{name}", Details(tls="only", authority="aa", trusts=1))
    assert securing.secure(memory) == 0
    memory.put("details/b", Details(tls="only", authority="aa", trusts=2))
    assert securing.secure(memory) == 75
    memory.commit({}, {}, ("present/c",))
    assert securing.secure(memory) == 75
    assert "c is not there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"details__b": Details()}, "b speaks no TLS: it runs an older image"),
        ({"present__b": presence("starting")}, "b is starting"),
        ({"nodes__d": Position(U, 1)}, "d is not there"),
        ({"details__b": Details(tls="both", authority="bb", trusts=1)}, "different authorities"),
    ],
)
def test_nothing_is_agreed_on_that_would_part_the_nodes(
    record: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = cluster_of(**record)
    assert securing.secure(memory) == 1
    assert said in capsys.readouterr().err
    assert "tls" not in memory.read()


def test_a_node_that_was_given_up_keeps_nobody_from_it_and_an_empty_cluster_has_nobody() -> None:
    memory = cluster_of(forgotten__d="", nodes__d=Position(U, 1))
    assert securing.secure(memory) == 75
    assert securing.secure(MemoryStore()) == 1


def test_a_change_under_way_is_not_overtaken_by_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = cluster_of()
    monkeypatch.setattr(memory, "commit", lambda *_: False)
    assert securing.secure(memory) == 75


def test_the_word_is_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = cluster_of()
    monkeypatch.setattr(stores, "store_here", lambda _environ: memory)
    assert main(["secure"]) == 75
    assert memory.read()["tls"].value == "aa"


def test_status_tells_each_nodes_way_and_how_long_its_own_files_are_good(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = cluster_of(
        tls="aa",
        details__a=Details(tls="only", authority="aa", trusts=2),
        details__c=Details(),
    )
    in_turn(settings, memory)[0].prepare(parse(memory.read()))
    assert commands.status(memory, settings.run_dir, settings.data_dir, 3, machine=False) == 0
    a, b, c = (line for line in capsys.readouterr().out.splitlines() if line[:3] in ("a: ", "b: ", "c: "))
    assert "TLS alone, trusts a former authority, too" in a
    assert "TLS, lets in nodes without" in b
    assert "speaks no TLS" in c
    told = commands.report(parse(memory.read()), own_report.own_state(settings.run_dir, settings.data_dir))
    assert (told["tls"], told["members"]["a"]["trusts"]) == ("aa", 2)
    own = told["self"]["tls"]
    assert own["mode"] == "only"
    for what in ("authority", "certificate"):
        assert dt.datetime.fromisoformat(own[what]) > dt.datetime.now(dt.UTC) + dt.timedelta(days=3600)


# ---- accounts


def test_root_comes_over_the_network_with_tls_alone_where_nodes_have_it(
    tmp_path: Path, made: NodeCertificates
) -> None:
    settings = settings_of(tmp_path)
    plain = accounts.fingerprint(settings)
    before = [
        (account.user, account.host, f'{{"authentication_string":"{account.hash}"}}')
        for account in accounts.with_passwords(settings)
    ]
    assert not accounts.outdated(settings, before)
    put(tmp_path / "secrets", made.files)
    assert accounts.fingerprint(settings) != plain  # nodes of before have not agreed to it
    (root,) = accounts.outdated(settings, before)
    assert (root.user, root.host) == ("root", "10.20.0.0/255.255.255.0")
    assert root.statement("ALTER USER")[0].endswith("USING %s REQUIRE SSL")
    changed = f'{{"authentication_string":"{root.hash}","ssl_type":1}}'
    assert not accounts.outdated(settings, [("root", root.host, changed)])
    assert sum("REQUIRE SSL" in text for text, _ in accounts.accounts(settings)) == 1


# ---- a transfer


def ends(
    tmp_path: Path, donors: Mapping[str, str] | None, joiners: Mapping[str, str] | None, mode: str
) -> bool:
    """Whether a record crosses from a donor to a joiner with these files."""
    folders = []
    for name, files in (("donor", donors), ("joiner", joiners)):
        folder = tmp_path / name / "tls"
        folder.mkdir(parents=True)
        if files is not None:
            put(folder, {**files, "mode": mode})
        folders.append(folder)
    options = Options("donor", "x", tmp_path, folders[0].parent / "my.cnf", "", False, 1)
    token = "token" + (SPEAKS_TLS if joiners is not None else "")
    one, other = socket.socketpair()
    got: list[object] = []

    def receive() -> None:
        with other:
            other.settimeout(5)
            try:
                with joiner.encrypted(other, folders[1]) as stream:
                    got.append(framing.receive_record(stream))
            except (OSError, TransferError) as error:
                got.append(error)

    thread = threading.Thread(target=receive)
    thread.start()
    try:
        with one:
            one.settimeout(5)
            with donor.encrypted(one, token, options) as stream:
                framing.send_record(stream, {"said": 1})
                if isinstance(stream, ssl.SSLSocket):
                    stream.unwrap()
    except (OSError, TransferError):
        pass
    thread.join()
    return got == [{"said": 1}]


def test_a_transfer_goes_with_tls_between_those_that_trust_one_another(
    tmp_path: Path, made: NodeCertificates, after: NodeCertificates
) -> None:
    for number, (one, other) in enumerate(
        ((made.files, made.files), (made.files, after.files), (after.files, made.files))
    ):
        assert ends(tmp_path / str(number), one, other, "only")
    assert not ends(tmp_path / "foreign", NodeCertificates().files, made.files, "only")
    assert not ends(tmp_path / "foreign too", made.files, NodeCertificates().files, "only")


def test_who_speaks_no_tls_takes_part_until_all_do(tmp_path: Path, made: NodeCertificates) -> None:
    for number, (one, other) in enumerate(((None, made.files), (made.files, None))):
        assert ends(tmp_path / f"both {number}", one, other, "both")
        assert not ends(tmp_path / f"only {number}", one, other, "only")
    assert ends(tmp_path / "plain", None, None, "")
