"""The parts of galera-node that need no process: settings, data directory, accounts, health, framing."""

from __future__ import annotations

import base64
import gzip
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from images.galera.galera_node import (
    accounts,
    config,
    donor,
    epochs,
    framing,
    health,
    initial_sql,
    joiner,
    local_state,
    local_tables,
    neighbours,
    seed_data,
    server,
    settings,
    sizing,
    sst_options,
    store,
    transfer,
)
from images.galera.galera_node.decision.votes import enough
from images.galera.galera_node.etcd import EtcdStore
from images.galera.galera_node.local_state import NO_UUID, TRANSFER_MARK, Copies, Kind, Local, Note
from images.galera.galera_node.network import Names, NoAddress, accepting, own_address, resolve
from images.galera.galera_node.server import recovered_position
from images.galera.galera_node.wire import Wire
from tests.unit.images.fake_etcd import store_at

U = "aaaaaaaa-0000-0000-0000-000000000001"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    for name in settings.SECRETS:
        (tmp_path / name).write_text(f"secret of {name}\n")
    return {
        "NODE_NAME": "galera-1",
        "CLUSTER_NAME": "galera",
        "CLUSTER_SIZE": "3",
        "PEERS": "tasks.galera",
        "STORE": "etcd://etcd:2381",
        "SUBNET": "10.20.0.0/24",
        "DATABASE": "app",
        "SECRETS_DIR": str(tmp_path),
    }


def test_settings_come_from_the_environment_and_secrets_from_files(environ: dict[str, str]) -> None:
    loaded = settings.load(environ)
    assert (loaded.node, loaded.size, loaded.subnet) == ("galera-1", 3, IPv4Network("10.20.0.0/24"))
    assert loaded.secret("galera-app-password") == "secret of galera-app-password"
    assert "secret of" not in repr(loaded)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("NODE_NAME", "", "NODE_NAME is not set"),
        ("NODE_NAME", "a b", "letters"),
        ("CLUSTER_NAME", "x\nwsrep_on=OFF", "letters"),
        ("CLUSTER_SIZE", "three", "number of Galera nodes"),
        ("CLUSTER_SIZE", "0", "1 to 127"),
        ("SUBNET", "10.20.0.1/24", "address/prefix"),
        ("STORE", "http://etcd:2379", "etcd://host:port"),
        ("STORE", "etcd://", "etcd://host:port"),
        ("DATABASE", "app`; DROP", "letters"),
        ("START_PERIOD", "5m", "seconds"),
        ("STOP_GRACE", "1m", "seconds"),
        ("MEMBERS", "galera-1,a b", "no name of a node"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name(
    environ: dict[str, str], key: str, value: str, words: str
) -> None:
    with pytest.raises(settings.SettingsError, match=key) as error:
        settings.load({**environ, key: value})
    assert words in str(error.value)


@pytest.mark.parametrize("content", [None, "", "\n", "two\nlines\n"])
def test_a_missing_or_odd_secret_is_refused(environ: dict[str, str], content: str | None) -> None:
    path = Path(environ["SECRETS_DIR"]) / "galera-monitor-password"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(settings.SettingsError, match="galera-monitor-password"):
        settings.load(environ)


GRASTATE = "# GALERA saved state\nversion: 2.1\nuuid:    {uuid}\nseqno:   {seqno}\nsafe_to_bootstrap: 0\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Local(Kind.EMPTY)),
        ({"lost+found": ""}, Local(Kind.EMPTY)),
        ({"ibdata1": "", "grastate.dat": GRASTATE.format(uuid=U, seqno=7)}, Local(Kind.DATA, U, 7)),
        ({"ibdata1": "", "grastate.dat": GRASTATE.format(uuid=U.upper(), seqno=-1)}, Local(Kind.DATA, U, -1)),
        ({"ibdata1": "", "grastate.dat": ""}, Local(Kind.DATA)),
        ({"ibdata1": "", "gvwstate.dat": ""}, Local(Kind.DATA, view=True)),
        ({"galera-node.copies": "1 2.0"}, Local(Kind.EMPTY)),
        ({"galera-node.note": "{}", "grastate.dat": ""}, Local(Kind.PARTIAL)),
        ({"ibdata1": "", "galera-node.note": "damaged"}, Local(Kind.DATA, note=Note("?"))),
        ({"ibdata1": "", "galera-node.note": '{"epoch": "1-a"}'}, Local(Kind.DATA, note=Note("?"))),
        ({"ibdata1": ""}, Local(Kind.DATA)),
        ({"mysql": ""}, Local(Kind.DATA)),
        ({"precious.sql": ""}, Local(Kind.FOREIGN)),
        ({"galera.cache": "", "precious.sql": ""}, Local(Kind.FOREIGN)),
        ({"galera.cache": "", "grastate.dat": GRASTATE.format(uuid=NO_UUID, seqno=-1)}, Local(Kind.PARTIAL)),
        (
            {"ibdata1": "", "grastate.dat": GRASTATE.format(uuid=U, seqno=7), TRANSFER_MARK: ""},
            Local(Kind.PARTIAL),
        ),
    ],
)
def test_a_data_directory_is_read_as_what_it_is(
    tmp_path: Path, files: dict[str, str], expected: Local
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert local_state.read(tmp_path) == expected


def test_a_written_state_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "ibdata1").touch()
    local_state.write_grastate(tmp_path, U, 12, safe_to_bootstrap=True)
    assert local_state.read(tmp_path) == Local(Kind.DATA, U, 12)
    assert "safe_to_bootstrap: 1" in (tmp_path / "grastate.dat").read_text()
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".new")] == []


def test_the_note_beside_the_data_is_read_back_and_goes_with_the_data(tmp_path: Path) -> None:
    (tmp_path / "ibdata1").touch()
    assert local_state.read_note(tmp_path) is None
    assert local_state.read(tmp_path).epoch == ""  # as in the version that kept no note
    note = Note("2-ab", begins="3-cd", start=f"{U}:7", component=store.View(U, "2-ab", 12, ("a", "b")))
    local_state.write_note(tmp_path, note)
    assert local_state.read(tmp_path).note == note
    # A copy that replaces the data must not find the note of what was there before.
    local_state.copy_begins(tmp_path, 100.0)
    local_state.clear(tmp_path, joiner.KEEP)
    assert local_state.read_note(tmp_path) is None
    assert local_state.copies(tmp_path) == Copies(1, 100.0)


def test_data_that_is_not_trusted_has_no_position_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "ibdata1").touch()
    (tmp_path / "gvwstate.dat").touch()
    local_state.write_grastate(tmp_path, U, 12, safe_to_bootstrap=True)
    local_state.distrust(tmp_path)
    assert local_state.read(tmp_path) == Local(Kind.DATA)


@pytest.mark.parametrize(
    ("begun", "age", "pause"),
    [
        (0, 0, 0),
        (1, 0, 0),
        (2, 0, 30),
        (2, 10, 20),
        (2, 31, 0),
        (3, 0, 60),
        (5, 0, 240),
        (9, 0, 600),
        (9, -50, 600),
    ],
)
def test_copies_that_come_to_nothing_are_tried_at_a_growing_distance(
    begun: int, age: int, pause: int
) -> None:
    assert Copies(begun, 1000.0).pause(1000.0 + age) == pause


def test_copies_are_counted_until_the_node_is_synced(tmp_path: Path) -> None:
    assert local_state.copies(tmp_path) == Copies()
    for now in (1.0, 2.0):
        local_state.copy_begins(tmp_path, now)
    assert local_state.copies(tmp_path) == Copies(2, 2.0)
    local_state.copy_succeeded(tmp_path)
    local_state.copy_succeeded(tmp_path)
    assert local_state.copies(tmp_path) == Copies()


def test_names_that_appear_or_go_are_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A power cut must not bring the mark of a transfer back, or whole data would count as nothing.
    synced: list[bool] = []

    def note_sync(folder: Path) -> None:
        synced.append((folder / TRANSFER_MARK).exists())

    monkeypatch.setattr(local_state, "sync_folder", note_sync)
    (tmp_path / TRANSFER_MARK).touch()
    local_state.remove_mark(tmp_path)
    (tmp_path / "ibdata1").touch()
    local_state.clear(tmp_path)
    assert synced == [False, False]


def test_a_directory_belongs_to_one_process_until_that_ends(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from images.galera.galera_node import local_state\n"
        "print(local_state.own(Path(sys.argv[1])) is not None, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert local_state.own(tmp_path) is None
        (tmp_path / "ibdata1").touch()
        local_state.clear(tmp_path)
        assert local_state.own(tmp_path) is None
        other.kill()
        other.wait()
    held = local_state.own(tmp_path)
    assert held is not None
    os.close(held)


def test_clearing_keeps_what_is_to_be_kept_and_shows_that_it_is_under_way(tmp_path: Path) -> None:
    for name in ("ibdata1", "galera.cache"):
        (tmp_path / name).touch()
    (tmp_path / "mysql").mkdir()
    (tmp_path / "mysql" / "user.frm").touch()
    local_state.clear(tmp_path, joiner.KEEP)
    assert {entry.name for entry in tmp_path.iterdir()} == {"galera.cache", TRANSFER_MARK}
    local_state.clear(tmp_path)
    assert local_state.read(tmp_path) == Local(Kind.EMPTY)
    local_state.flush(tmp_path)


def test_an_unpacked_seed_equals_the_packed_one(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "mysql").mkdir(parents=True)
    target.mkdir()
    contents = {
        "ib_logfile0": b"head" + bytes(5_000_000),
        "ibdata1": bytes(70_000) + b"middle" + bytes(70_000),
        "mysql/db.frm": b"\x00\x01",
        "empty": b"",
        "zeros": bytes(8192),
    }
    for name, content in contents.items():
        (source / name).write_bytes(content)
    seed_data.pack(source, tmp_path / "seed.tar.gz")
    seed_data.unpack(tmp_path / "seed.tar.gz", target)
    assert {name: (target / name).read_bytes() for name in contents} == contents
    assert (target / "ib_logfile0").stat().st_blocks * 512 < 100_000
    assert (tmp_path / "seed.tar.gz").stat().st_size < 10_000


def test_the_option_file_ends_with_the_nodes_own_settings() -> None:
    text = config.render(
        config.NodeConfig("galera-1", "galera", "10.20.0.5", weight=3, join=("10.20.0.6", "10.20.0.7"))
    )
    lines = text.splitlines()
    assert lines[0] == "!include /etc/mysql/my.cnf"
    assert "wsrep_cluster_address = gcomm://10.20.0.6,10.20.0.7" in lines
    assert "wsrep_node_address = 10.20.0.5" in lines
    assert "wsrep_sst_receive_address = 10.20.0.5:4444" in lines
    (options,) = [line for line in lines if line.startswith("wsrep_provider_options")]
    for option in ("gmcast.listen_addr=tcp://10.20.0.5:4567", "ist.recv_addr=10.20.0.5:4568", "pc.weight=3"):
        assert option in options
    # mariadb-backup reads its group from the same file; the server's settings must not be in it.
    assert lines.index("[mariabackup]") > lines.index("[mysqld]")
    assert not any(line.startswith("wsrep") for line in lines[lines.index("[mariabackup]") :])


def test_sizes_come_first_then_the_deployments_options_then_the_nodes_own() -> None:
    own = config.Tuning({"gcache.size": "2G", "pc.weight": "9"}, sizing.Sizes(256 << 20, 1 << 30, 8))
    lines = config.render(config.NodeConfig("a", "c", "10.0.0.1", tuning=own)).splitlines()
    assert lines[:4] == [
        "[mysqld]",
        f"innodb_buffer_pool_size = {256 << 20}",
        "wsrep_slave_threads = 8",
        "!include /etc/mysql/my.cnf",
    ]
    (options,) = [line for line in lines if line.startswith("wsrep_provider_options")]
    # What is set counts before the machine's size, and never instead of what the node must set itself.
    assert "gcache.size=2G" in options
    assert options.count("gcache.size") == 1
    assert "pc.weight=1" in options
    assert options.count("pc.weight") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "must be JSON"),
        ("[]", "must be an object"),
        ('{"gcache.size": 5}', "must be a text"),
        ('{"gcache.size": "1G;pc.ignore_sb=yes"}', "without blanks"),
    ],
)
def test_a_file_of_provider_options_that_says_something_else_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "provider.json").write_text(text)
    with pytest.raises(settings.SettingsError, match=words):
        config.provider_options(tmp_path / "provider.json")
    (tmp_path / "provider.json").write_text('{"gcache.size": "1G"}')
    assert config.provider_options(tmp_path / "provider.json") == {"gcache.size": "1G"}
    assert config.provider_options(tmp_path / "none.json") == {}


def test_the_servers_options_are_read_as_the_files_set_them(tmp_path: Path) -> None:
    (tmp_path / "1.cnf").write_text(
        "[mysqld]\ninnodb-buffer-pool-size = 1G\nskip-name-resolve\n[client]\nport = 1\n"
    )
    (tmp_path / "2.cnf").write_text("# [mysqld]\n[mariadb]\ninnodb_buffer_pool_size=2G\n")
    files = [tmp_path / "1.cnf", tmp_path / "2.cnf"]
    assert config.server_options(files) == {"innodb_buffer_pool_size": "2G", "skip_name_resolve": ""}


def small(**changes: Any) -> sizing.Machine:
    """A host of 2 GB with one core and a data disk of 25 GB."""
    usual: dict[str, Any] = {"memory": 2 << 30, "limit": None, "cores": 1, "disk": 25 << 30, "free": 20 << 30}
    return sizing.Machine(**usual | changes)


@pytest.mark.parametrize(
    ("machine", "options", "pool", "cache", "threads"),
    [
        (small(), {}, 512, 1024, 4),
        # The maximum of hosts with few addresses, as in the lab.
        (small(), {"innodb_buffer_pool_size_max": "256M"}, 256, 1024, 4),
        (small(), {"innodb_buffer_pool_size_max": "0"}, 512, 1024, 4),
        (small(memory=1 << 30), {}, 128, 1024, 4),
        (small(memory=8 << 30, cores=4), {}, 4224, 1024, 8),
        (small(memory=64 << 30, cores=32, disk=2000 << 30, free=1900 << 30), {}, 38656, 4096, 32),
        # A limit of the container's own counts when it is the smaller one.
        (small(memory=64 << 30, limit=2 << 30), {}, 1024, 1024, 4),
        (small(memory=2 << 30, limit=64 << 30), {}, 512, 1024, 4),
        # Hardly any room: the cache is as small as it was before there was a default.
        (small(free=4 << 30), {}, 512, 128, 4),
        (small(free=4 << 30, cache=1 << 30), {}, 512, 1024, 4),  # but one that is there stays
        (small(disk=1 << 30, free=1 << 30), {}, 512, 128, 4),
    ],
)
def test_sizes_follow_from_the_machine(
    machine: sizing.Machine, options: dict[str, str], pool: int, cache: int, threads: int
) -> None:
    found = sizing.sizes(machine, options)
    assert (found.pool >> 20, found.cache >> 20, found.threads) == (pool, cache, threads)


@pytest.mark.parametrize(
    ("files", "limit", "most_cores"),
    [
        ({}, None, 1 << 16),
        ({"memory.max": "max", "cpu.max": "max 100000"}, None, 1 << 16),
        ({"memory.max": "1073741824", "cpu.max": "150000 100000"}, 1 << 30, 2),
        (
            {"memory/memory.limit_in_bytes": "9223372036854771712", "cpu/cpu.cfs_quota_us": "-1"},
            None,
            1 << 16,
        ),
        (
            {
                "memory/memory.limit_in_bytes": "2147483648",
                "cpu/cpu.cfs_quota_us": "50000",
                "cpu/cpu.cfs_period_us": "100000",
            },
            2 << 30,
            1,
        ),
    ],
)
def test_what_a_container_may_use_is_read_from_its_control_group(
    tmp_path: Path, files: dict[str, str], limit: int | None, most_cores: int
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:        2000000 kB\nMemFree: 1 kB\n")
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (tmp_path / "galera.cache").write_bytes(b"x" * 1000)
    found = sizing.machine(tmp_path, tmp_path)
    assert (found.memory, found.limit, found.cache) == (2_000_000 * 1024, limit, 1000)
    assert found.cores == min(len(os.sched_getaffinity(0)), most_cores)
    assert found.disk >= found.free > 0


def archive(files: dict[str, bytes], path: Path) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_initial_sql_comes_from_a_folder_and_an_archive_in_the_order_of_the_names(tmp_path: Path) -> None:
    folder = tmp_path / "initdb"
    folder.mkdir()
    (folder / "02.sql").write_bytes(b"two")
    (folder / "03.sh").write_bytes(b"not run")
    archive({"01.sql": b"one", "04.sql.gz": gzip.compress(b"four")}, tmp_path / "initdb.tar.gz")
    found = initial_sql.scripts(folder, tmp_path / "initdb.tar.gz")
    texts = []
    for script in found:
        with script.opened() as file:
            # A child reads it by its descriptor.
            texts.append(os.read(file.fileno(), 100))
    assert [script.name for script in found] == ["01.sql", "02.sql", "04.sql.gz"]
    assert texts == [b"one", b"two", b"four"]
    assert initial_sql.scripts(tmp_path / "none", tmp_path / "none") == []


def test_an_archive_or_a_packed_file_that_is_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "initdb.tar.gz").write_bytes(b"no archive")
    with pytest.raises(initial_sql.BundleError, match=r"initdb\.tar\.gz"):
        initial_sql.scripts(tmp_path / "none", tmp_path / "initdb.tar.gz")
    archive({"01.sql.gz": gzip.compress(b"x" * 100_000)[:-8]}, tmp_path / "initdb.tar.gz")
    (script,) = initial_sql.scripts(tmp_path / "none", tmp_path / "initdb.tar.gz")
    with pytest.raises(initial_sql.BundleError, match=r"01\.sql\.gz"), script.opened():
        pass


def test_an_error_of_the_initial_sql_brings_its_remedy() -> None:
    said = "ERROR 1273 (HY000) at line 7: Unknown collation: 'utf8mb4_0900_ai_ci'"
    assert initial_sql.explained(said).startswith(f"{said} (this server has no such collation")
    assert initial_sql.explained("ERROR 1064 (42000) at line 1: …") == "ERROR 1064 (42000) at line 1: …"


def test_tables_that_are_not_replicated_are_named_up_to_ten() -> None:
    rows = [("app", f"t{number}", "MyISAM") for number in range(11)]
    assert "app.t0 (MyISAM), app.t1" in local_tables.words(rows)
    assert "app.t9 (MyISAM) and more" in local_tables.words(rows)
    assert "and more" not in local_tables.words(rows[:10])


def test_a_node_that_bootstraps_has_an_empty_address_list() -> None:
    text = config.render(config.NodeConfig("a", "c", "10.0.0.1"))
    assert "wsrep_cluster_address = gcomm://\n" in text


def test_statements_hold_hashes_and_never_a_password(environ: dict[str, str]) -> None:
    loaded = settings.load(environ)
    statements = [*accounts.accounts(loaded), *accounts.application(loaded)]
    told = repr(statements)
    assert "secret of" not in told
    assert "10.20.0.0/255.255.255.0" in told
    # The application's account is there from the start, for scripts to refer to, and let in by the last step.
    mine = [text for text, values in statements if "app" in values]
    assert mine[0].startswith("CREATE USER")
    assert mine[0].endswith("ACCOUNT LOCK")
    assert [text for text, _ in accounts.application(loaded)] == mine[-1:]
    assert mine[-1].endswith("ACCOUNT UNLOCK")


def test_a_database_is_granted_and_not_every_one_that_its_name_is_a_pattern_of(
    environ: dict[str, str],
) -> None:
    loaded = settings.load({**environ, "DATABASE": "my_app"})
    (grant,) = [
        text for text, values in accounts.accounts(loaded) if text.startswith("GRANT") and "my_app" in values
    ]
    assert grant == r"GRANT ALL PRIVILEGES ON `my\_app`.* TO %s@%s"
    assert ("CREATE DATABASE `my_app`", ()) in accounts.accounts(loaded)


OLD, NEW, OTHER = "10.9.0.0/255.255.255.0", "10.20.0.0/255.255.255.0", "192.168.0.0/255.255.0.0"


@pytest.mark.parametrize(
    ("hosts", "renamed"),
    [
        ({"localhost": 1, OLD: 1}, OLD),
        ({"localhost": 1, OLD: 1, OTHER: 2}, OLD),  # of the two, it has root's own password
        ({"localhost": 1, OLD: 1, NEW: 1}, None),  # there is one already
        ({"localhost": 1}, None),  # somebody has dropped it
        ({"localhost": 1, OTHER: 2, "%": 1}, None),  # made by hand
        ({"localhost": 1, OLD: 1, OTHER: 1}, None),  # nobody knows which
    ],
)
def test_roots_account_of_a_former_network_becomes_that_of_the_present_one(
    environ: dict[str, str], hosts: dict[str, int], renamed: str | None
) -> None:
    stored = [
        ("root", host, f'{{"authentication_string":"*{number:040d}"}}') for host, number in hosts.items()
    ]
    statement = accounts.moved(settings.load(environ), [("app", OLD, "*" + "0" * 40), *stored])
    expected = ("RENAME USER %s@%s TO %s@%s", ("root", renamed, "root", NEW)) if renamed else None
    assert statement == expected


def test_only_accounts_with_another_password_than_the_secrets_get_a_new_one(environ: dict[str, str]) -> None:
    loaded = settings.load(environ)
    stored = [
        (a.user, a.host, f'{{"authentication_string":"{a.hash}"}}') for a in accounts.with_passwords(loaded)
    ]
    assert accounts.outdated(loaded, [*stored, ("mysql", "localhost", "{}")]) == []
    same = accounts.fingerprint(loaded)
    (Path(environ["SECRETS_DIR"]) / "galera-root-password").write_text("a new one")
    changed = accounts.outdated(loaded, stored)
    assert [(a.user, a.host) for a in changed] == [("root", "localhost"), ("root", "10.20.0.0/255.255.255.0")]
    text, values = changed[0].statement("ALTER USER")
    assert text == "ALTER USER %s@%s IDENTIFIED VIA unix_socket OR mysql_native_password USING %s"
    assert values == ("root", "localhost", accounts.native_hash("a new one"))
    # What somebody has dropped stays away.
    assert accounts.outdated(loaded, stored[1:]) == changed[1:]
    assert accounts.fingerprint(loaded) != same


@pytest.mark.parametrize(
    ("passwords", "present", "seconds", "expected"),
    [
        pytest.param({"a": "new", "b": "new"}, "ab", 0.0, True, id="all members have them"),
        pytest.param({"a": "new", "b": "new", "c": "new"}, "abc", 0.0, True, id="and a joiner"),
        pytest.param({"a": "new", "b": "old"}, "ab", 99.0, False, id="one has others"),
        pytest.param({"a": "new", "b": "new", "c": "old"}, "abc", 99.0, False, id="a joiner has others"),
        pytest.param({"a": "new"}, "ab", 99.0, False, id="one does not say"),
        pytest.param({"a": "new"}, "a", 59.0, False, id="a member is away and may have others"),
        pytest.param({"a": "new"}, "a", 61.0, True, id="a member stays away"),
    ],
)
def test_new_passwords_count_once_every_node_has_them(
    passwords: dict[str, str], present: str, seconds: float, expected: bool
) -> None:
    facts = store.Facts(
        nodes={name: store.Position(U, 1) for name in "ab"},
        present={name: store.Presence("synced", U, 1, "10.0.0.1") for name in present},
        passwords=passwords,
    )
    assert (accounts.agreed("new", facts) and accounts.may_change(facts, seconds)) is expected


def test_the_hash_is_the_one_of_mariadb() -> None:
    # SELECT PASSWORD('mariadb')
    assert accounts.native_hash("mariadb") == "*54958E764CE10E50764C2EECBB71D01F08549980"


SYNCED = health.Status("synced", "Synced", uptime=10, start_period=300, recorded=True)


@pytest.mark.parametrize(
    ("status", "healthy"),
    [
        (SYNCED, True),
        (replace(SYNCED, recorded=False), False),
        (replace(SYNCED, state="running"), False),
        (replace(SYNCED, state="primary"), False),
        (replace(SYNCED, state="starting"), False),
        # Long work: not yet ready in the start period; not to be ended after it; stuck when nothing moves.
        (replace(SYNCED, state="starting", idle=5.0), False),
        (replace(SYNCED, state="starting", idle=5.0, uptime=301), True),
        (replace(SYNCED, state="starting", idle=121.0, uptime=301), False),
        # Joined: it applies what was written while it received, and is not to be ended for that, however
        # long.
        (replace(SYNCED, state="primary", idle=5.0, uptime=4000), True),
        (replace(SYNCED, state="primary", idle=121.0, uptime=4000), False),
        (replace(SYNCED, state="primary", idle=5.0), False),
        # In a container whose check has passed before, failures count at once.
        (replace(SYNCED, state="starting", idle=5.0, served=True), True),
        # Outside a component while the store is away: nobody is helped by its end.
        (replace(SYNCED, state="running", uptime=4000), False),
        (replace(SYNCED, state="running", uptime=4000, alone=True), True),
        (replace(SYNCED, state="running", alone=True, served=True), True),
        (replace(SYNCED, state="running", alone=True), False),
    ],
)
def test_health_is_what_a_client_and_the_engine_need(status: health.Status, healthy: bool) -> None:
    assert health.verdict(status)[0] is healthy


def test_work_that_stands_still_is_noticed_however_it_shows_itself() -> None:
    advance = health.Advance(100.0)
    assert advance.idle((1, "a"), 110.0) == 0.0
    assert advance.idle((1, "a"), 150.0) == 40.0
    assert advance.idle((1, "b"), 151.0) == 0.0
    assert advance.idle((1, "b"), 152.0) == 1.0


def test_a_process_that_works_shows_it_and_one_that_is_gone_has_done_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = server.work(os.getpid())
    assert server.work(os.getpid()) == before
    monkeypatch.setattr(server, "CPU_STEP", 0.05)
    before = server.work(os.getpid())
    until = time.monotonic() + 60
    while server.work(os.getpid()) == before and time.monotonic() < until:
        pass
    assert server.work(os.getpid())[0] > before[0]
    assert server.work(2**22 + 1) == (0, 0)  # above the kernel's highest process id


def test_the_check_repeats_the_last_word_and_distrusts_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert health.check(tmp_path)[0] == 1
    health.write(tmp_path, True, "Synced, Primary, 3 nodes")
    assert health.check(tmp_path) == (0, "Synced, Primary, 3 nodes")
    health.write(tmp_path, False, "waiting: nobody runs")
    assert health.check(tmp_path) == (1, "waiting: nobody runs")
    health.write(tmp_path, True, "Synced")
    later = time.monotonic() + health.STALE + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    code, text = health.check(tmp_path)
    assert code == 1
    assert "silent" in text


def test_progress_is_read_back_until_the_transfer_ends(tmp_path: Path) -> None:
    assert transfer.read(tmp_path) is None
    transfer.write(tmp_path, "joiner", "receiving", 5_000_000)
    progress = transfer.read(tmp_path)
    assert progress is not None
    assert str(progress) == "joiner receiving, 5.0 MB"
    transfer.end(tmp_path)
    assert transfer.read(tmp_path) is None


def test_mariadbds_arguments_are_understood() -> None:
    donor = [
        *("--role", "donor", "--address", "10.0.0.2:4444/abc", "--local-port", "3306", "--socket", "/run/s"),
        *(
            "--progress",
            "0",
            "--datadir",
            "/var/lib/mysql/",
            "--defaults-file",
            "/dev/shm/galera-node/my.cnf",
        ),
        *("--mysqld-version", "10.11.19", "--gtid", f"{U}:13", "--gtid-domain-id", "0", "--bypass"),
        *("--mysqld-args", "--wsrep-new-cluster", "--address", "wrong"),
    ]
    options = sst_options.parse(donor)
    assert (options.role, options.address, options.gtid, options.bypass) == (
        "donor",
        "10.0.0.2:4444/abc",
        f"{U}:13",
        True,
    )
    assert options.run_dir == Path("/dev/shm/galera-node")
    with pytest.raises(framing.TransferError, match="datadir"):
        sst_options.parse(["--role", "joiner", "--address", "10.0.0.2:4444", "--defaults-file", "/x"])


@pytest.mark.parametrize("address", ["10.0.0.2", "10.0.0.2:4444", ":4444/abc", "10.0.0.2:x/abc"])
def test_a_joiners_address_without_port_or_token_is_refused(address: str) -> None:
    with pytest.raises(framing.TransferError, match=r"host:port/token"):
        donor.target(address)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def test_frames_arrive_as_they_were_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    big = bytes(range(256)) * 4096
    parts = (b"x", big, b"")

    def send() -> None:
        for part in parts:
            framing.send_frame(left, part)

    sender = threading.Thread(target=send)
    sender.start()
    assert [framing.receive_frame(right) for _ in range(3)] == list(parts)
    sender.join()


@pytest.mark.parametrize(
    "sent", [b"", b"\x00\x00", b"\x00\x00\x00\x05abc", b"\xff\xff\xff\xff", b"\x00\x00\x00\x02[]"]
)
def test_a_broken_stream_is_never_taken_for_a_whole_one(
    pair: tuple[socket.socket, socket.socket], sent: bytes
) -> None:
    left, right = pair
    left.sendall(sent)
    left.close()
    with pytest.raises(framing.TransferError):
        framing.receive_record(right)


def test_data_of_one_cluster_is_not_replaced_by_anothers(tmp_path: Path) -> None:
    other = "bbbbbbbb-0000-0000-0000-000000000002"
    transfer.remember_history(tmp_path, U)
    joiner.check_history(transfer.history(tmp_path), f"{U.upper()}:7")
    with pytest.raises(framing.TransferError, match=other):
        joiner.check_history(transfer.history(tmp_path), f"{other}:7")
    transfer.remember_history(tmp_path, NO_UUID)
    joiner.check_history(transfer.history(tmp_path), f"{other}:7")


def joining(folder: Path) -> sst_options.Options:
    return sst_options.parse(
        [
            "--role",
            "joiner",
            "--address",
            "127.0.0.1:0",
            "--datadir",
            "/d",
            "--defaults-file",
            f"{folder}/my.cnf",
        ]
    )


def test_who_does_not_know_the_token_is_sent_away(tmp_path: Path) -> None:
    options = joining(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = listener.getsockname()

        def visit() -> None:
            with socket.create_connection(place) as stranger:
                framing.send_record(stranger, {"token": "guess", "mode": "full"})
                assert stranger.recv(1) == b""
            with socket.create_connection(place) as donor:
                framing.send_record(donor, {"token": "right", "mode": "incremental", "gtid": f"{U}:5"})
                donor.recv(1)

        visitor = threading.Thread(target=visit)
        visitor.start()
        stream, header = joiner.accept_donor(listener, "right", options)
        stream.close()
        visitor.join()
    assert header["gtid"] == f"{U}:5"


def test_whoever_connects_and_says_nothing_keeps_no_donor_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joiner, "QUIET", 2)
    options = joining(tmp_path)
    header = {"token": "right", "mode": "incremental", "gtid": f"{U}:5"}
    with ExitStack() as open_ones, socket.create_server(("127.0.0.1", 0)) as listener:
        place = listener.getsockname()
        strays = [open_ones.enter_context(socket.create_connection(place)) for _ in range(3)]
        donor = open_ones.enter_context(socket.create_connection(place))
        framing.send_record(donor, header)
        found: list[dict[str, Any]] = []

        def wait() -> None:
            stream, said = joiner.accept_donor(listener, "right", options)
            found.append(said)
            stream.close()

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        waiting.join(joiner.IDLE / 3)  # one silent connection alone would take longer
        assert found == [header]
        # Nobody is left hanging: the oldest was one too many, the others went with the wait.
        for stray in strays:
            stray.settimeout(10)
            assert stray.recv(1) == b""


def test_records_survive_the_store_and_foreign_ones_are_refused() -> None:
    entries = {
        "cluster": store.Entry(store.dumps(store.Cluster(U, "open", "a")), 4),
        "nodes/a": store.Entry(store.dumps(store.Position(U, 9)), 5),
        "present/b": store.Entry(store.dumps(store.Presence("synced", U, 9, "10.0.0.2")), 6),
        "bootstrap": store.Entry("a", 7),
        f"aborted/{U}": store.Entry("b", 8),
        "forgotten/c": store.Entry("", 8),
        "something/else": store.Entry("later versions may add keys", 9),
    }
    facts = store.parse(entries)
    assert facts.cluster == store.Cluster(U, "open", "a")
    assert facts.nodes == {"a": store.Position(U, 9)}
    assert facts.present["b"].address == "10.0.0.2"
    assert (facts.holder, facts.mine, facts.aborted) == ("a", False, frozenset({U}))
    assert facts.forgotten == {"c"}
    assert store.parse({"bootstrap": store.Entry("a", 7, own=True)}).mine
    assert (facts.revision("nodes/a"), facts.revision("nodes/zz")) == (5, store.ABSENT)
    for broken in (
        "",
        "[]",
        '{"uuid": "x"}',
        "no json",
        '{"uuid": 1, "phase": "open", "seed": "a"}',
        "\ufffd",
    ):
        with pytest.raises(store.StoreError, match="cluster"):
            store.parse({"cluster": store.Entry(broken, 1)})
    for key, broken in (
        ("view", '{"uuid": "x", "epoch": "", "seqno": 1, "members": "ab"}'),
        ("epoch", '{"name": "1-a", "before": "", "carried": ["b"]}'),
        ("epoch", '{"name": "1-a", "before": "", "carried": {"b": "9"}}'),
        ("details/a", '{"trusted": "no"}'),
        ("nodes/a", '{"uuid": "x", "seqno": "9"}'),
    ):
        with pytest.raises(store.StoreError, match=key):
            store.parse({key: store.Entry(broken, 1)})


def test_epochs_and_components_survive_the_store() -> None:
    view = store.View(U, "1-a", 9, ("a", "b"))
    epoch = store.Epoch("1-a", "", {"b": 93}, ("c",), "a")
    details = store.Details("1-a", False, "broken", 3, view)
    facts = store.parse(
        {
            "cluster": store.Entry(store.dumps(store.Cluster(U, "formed", "a", "1-a")), 1),
            "view": store.Entry(store.dumps(view), 2),
            "epoch": store.Entry(store.dumps(epoch), 3),
            "details/b": store.Entry(store.dumps(details), 4),
            "chosen": store.Entry("b", 5),
        }
    )
    assert (facts.view, facts.epoch, facts.about("b"), facts.chosen) == (view, epoch, details, "b")
    assert facts.cluster is not None
    assert facts.cluster.epoch == "1-a"
    assert facts.about("c") == store.Details()


def test_the_version_before_understands_the_record_of_a_cluster_in_its_first_epoch() -> None:
    text = store.dumps(store.Cluster(U, "formed", "a"))
    assert json.loads(text) == {"uuid": U, "phase": "formed", "seed": "a"}
    # And this one what later versions may add.
    later = json.dumps({"uuid": U, "phase": "formed", "seed": "a", "epoch": "1-a", "more": [1]})
    assert store.parse({"cluster": store.Entry(later, 1)}).cluster == store.Cluster(U, "formed", "a", "1-a")


@pytest.mark.parametrize(
    ("epoch", "number"), [("", 0), ("1-ab", 1), ("12-ab", 12), ("?", -1), ("x-1", -1), ("1", 1)]
)
def test_epochs_are_counted(epoch: str, number: int) -> None:
    assert epochs.number(epoch) == number


def test_each_epoch_has_a_name_of_its_own_and_follows_the_one_before() -> None:
    names = {epochs.following("1-ab") for _ in range(20)}
    assert len(names) == 20
    assert {epochs.number(name) for name in names} == {2}


@pytest.mark.parametrize(
    ("synced", "size", "expected"),
    [(1, 1, True), (1, 2, False), (2, 2, True), (2, 3, False), (3, 3, True), (3, 5, True)],
)
def test_the_first_ones_vote_counts_for_all_until_any_one_node_may_be_lost(
    synced: int, size: int, expected: bool
) -> None:
    assert enough(synced, size) is expected


def test_a_donor_of_another_epoch_is_not_gone_on_with_by_write_sets(tmp_path: Path) -> None:
    transfer.remember_history(tmp_path, U, "1-a")
    assert (transfer.history(tmp_path), transfer.epoch(tmp_path)) == (U, "1-a")
    joiner.check_epoch(transfer.epoch(tmp_path), "1-a")
    joiner.check_epoch(transfer.epoch(tmp_path), None)  # the version before does not say
    for other in ("", "2-b"):
        with pytest.raises(framing.TransferError, match="write-sets would not do"):
            joiner.check_epoch(transfer.epoch(tmp_path), other)


def test_nodes_tell_one_another_what_they_are_and_a_proxy_whether_to_send_clients() -> None:
    teller = neighbours.Teller("127.0.0.1", 0)
    port = teller.port

    def answer(path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", teller.port, timeout=10)
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()

    try:
        teller.told = neighbours.Told("a", U, "1-a", "primary")
        assert neighbours.ask("127.0.0.1", teller.port) == teller.told
        assert answer("/ready") == (503, "primary\n")
        teller.told = replace(teller.told, state="synced", ready=True)
        assert answer("/ready") == (200, "ready\n")
        assert answer("/other")[0] == 404
        assert neighbours.ask_all(["127.0.0.1", "127.0.0.2"], teller.port) == {"127.0.0.1": teller.told}
        teller.told = replace(teller.told, departed="life")
        assert neighbours.ask("127.0.0.1", teller.port) == teller.told
    finally:
        teller.close()
    assert neighbours.ask("127.0.0.1", port) is None


def test_who_connects_and_says_nothing_keeps_nobody_from_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "SILENT", 60.0)
    teller = neighbours.Teller("127.0.0.1", 0, endpoint=lambda _path: 200)
    silent = [socket.create_connection(("127.0.0.1", teller.port)) for _ in range(8)]
    try:
        assert neighbours.able("127.0.0.1", teller.port, timeout=10)
    finally:
        for each in silent:
            each.close()
        teller.close()


@pytest.mark.parametrize(("code", "writes"), [(200, True), (404, False), (503, False)])
def test_who_takes_the_writes_says_so_to_other_nodes_as_to_load_balancers(code: int, writes: bool) -> None:
    teller = neighbours.Teller("127.0.0.1", 0, endpoint=lambda path: code if path == "/writer" else 200)
    try:
        assert neighbours.any_writes(["127.0.0.1"], teller.port) is writes
    finally:
        teller.close()


def test_a_node_of_the_version_before_says_of_no_departure() -> None:
    with odd_server('{"node": "a", "uuid": "", "epoch": "", "state": "x", "ready": true}') as port:
        assert neighbours.ask("127.0.0.1", port) == neighbours.Told("a", state="x", ready=True)


def test_whoever_has_something_to_tell_is_asked_back_at_its_own_address() -> None:
    heard: Queue[str] = Queue()
    teller = neighbours.Teller("127.0.0.1", 0, departed=heard.put)
    try:
        neighbours.have_ask(["127.0.0.1"], teller.port)
        assert heard.get(timeout=10) == "127.0.0.1"
    finally:
        teller.close()


@pytest.mark.parametrize(
    "body",
    [
        *("", "[]", "{}", "no json", '{"node": "a", "uuid": 1, "epoch": "", "state": "x"}'),
        '{"node": "a", "uuid": "", "epoch": "", "state": "x", "ready": true, "departed": 1}',
    ],
)
def test_who_does_not_speak_this_programs_language_tells_nothing(body: str) -> None:
    with odd_server(body) as port:
        assert neighbours.ask("127.0.0.1", port) is None


@contextmanager
def odd_server(body: str) -> Iterator[int]:
    """Answers every HTTP request with 200 and this body."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    stream, _ = listener.accept()
                except OSError:
                    return
                with stream:
                    stream.recv(65536)
                    head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(body.encode())}\r\n\r\n"
                    stream.sendall((head + body).encode())

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def coded(**values: str | bytes) -> dict[str, object]:
    return {
        key: base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
        for key, value in values.items()
    }


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        "no json",
        '{"kvs": [{}]}',
        '{"kvs": 7}',
        '{"kvs": [{"key": "%%%"}]}',
        '{"kvs": [{"key": "eA==", "mod_revision": "x"}]}',
        '{"kvs": [{"key": 7, "mod_revision": "1"}]}',
    ],
)
def test_whatever_the_store_answers_is_an_error_of_the_store(body: str) -> None:
    with odd_server(body) as port:
        etcd = store_at(port)
        with pytest.raises(store.StoreError, match="etcd at 127"):
            etcd.read()
        with pytest.raises(store.StoreError, match="etcd at 127"):
            etcd.open_session(45)


def test_a_value_that_is_no_text_keeps_nobody_from_reading_the_others() -> None:
    kvs = [
        {**coded(key="swarm-galera/galera/x", value=b"\xff"), "mod_revision": "3"},
        {**coded(key="swarm-galera/galera/chosen", value="a"), "mod_revision": "4"},
    ]
    with odd_server(json.dumps({"kvs": kvs})) as port:
        entries = store_at(port).read()
    assert store.parse(entries).chosen == "a"


def test_only_addresses_that_accept_count_as_live() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert accepting(["127.0.0.1", "127.0.0.2"], port) == ["127.0.0.1"]
    assert accepting(["127.0.0.1"], port) == []
    assert accepting([], port) == []


def test_names_that_do_not_resolve_are_nobody() -> None:
    assert Names(patience=60).addresses("localhost, no.such.name.invalid") == ["127.0.0.1"]
    assert resolve("x" * 70) == []  # no label is that long


class SlowNames:
    """A resolver that answers only when it is told to."""

    def __init__(self) -> None:
        self.may_answer, self.asked = threading.Event(), list[str]()

    def look(self, name: str) -> list[str]:
        self.asked.append(name)
        number = len(self.asked)
        self.may_answer.wait()
        return [f"10.0.0.{number}"]


def test_a_name_that_takes_too_long_is_nobody_and_its_late_answer_is_used_next() -> None:
    slow = SlowNames()
    names = Names(patience=0.05, look=slow.look)
    assert names.addresses("tasks.galera") == []
    # The lookup under way is not doubled, however often one asks.
    assert names.addresses("tasks.galera") == []
    assert slow.asked == ["tasks.galera"]
    # Another name is not held up by it, nor by its own slowness.
    assert names.addresses("etcd") == []
    assert slow.asked == ["tasks.galera", "etcd"]
    slow.may_answer.set()
    # An answer is used once: the next look asks anew.
    for expected in ("10.0.0.1", "10.0.0.3"):
        until = time.monotonic() + 60
        while not (late := names.addresses("tasks.galera")) and time.monotonic() < until:
            time.sleep(0.01)
        assert late == [expected]


def test_a_store_whose_name_hangs_does_not_answer_and_is_not_waited_for() -> None:
    slow = SlowNames()
    etcd = EtcdStore(Wire("etcd", "etcd", 2381, Names(0.05, slow.look)), "galera")
    for _ in range(3):
        with pytest.raises(store.StoreError, match="etcd:2381 does not answer: the name does not resolve"):
            etcd.read()
    assert slow.asked == ["etcd"]
    slow.may_answer.set()


def test_the_own_address_is_the_one_inside_the_subnet() -> None:
    assert own_address(IPv4Network("127.0.0.0/8")) == "127.0.0.1"
    with pytest.raises(NoAddress, match=r"SUBNET|Attach"):
        own_address(IPv4Network("198.51.100.0/24"))


@pytest.mark.parametrize(
    ("output", "position"),
    [
        (f"2026-01-01 [Note] WSREP: Recovered position: {U}:42\nend", (U, 42)),
        (f"WSREP: Recovered position: {U}:42,0-1-7", (U, 42)),
        (f"WSREP: Recovered position: {NO_UUID}:-1", (NO_UUID, -1)),
        ("InnoDB: corrupted", None),
    ],
)
def test_the_recovered_position_is_read_from_mariadbds_words(
    output: str, position: tuple[str, int] | None
) -> None:
    assert recovered_position(output) == position
