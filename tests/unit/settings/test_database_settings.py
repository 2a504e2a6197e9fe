"""What may be set of the database itself: server options, options of the Galera library, the initial SQL."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from pathlib import Path

import pytest

from settings.database import initial_sql, provider_options, server_options, versions
from settings.database.server_options import Name, resolve

pytestmark = pytest.mark.unit


# --- Names, as MariaDB reads them ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("innodb_doublewrite", Name("innodb-doublewrite")),
        ("InnoDB-DoubleWrite", Name("innodb-doublewrite")),
        ("skip-innodb_doublewrite", Name("innodb-doublewrite", ("skip",))),
        ("loose_disable_innodb_doublewrite", Name("innodb-doublewrite", ("loose", "disable"))),
        ("maximum-max_connections", Name("max-connections", ("maximum",))),
        # Whole names that only look like such words.
        ("skip_networking", Name("skip-networking")),
        ("skip_name_resolve", Name("skip-name-resolve")),
        ("innodb_flush_log_at_trx", Name("innodb-flush-log-at-trx")),
    ],
)
def test_a_name_is_read_as_mariadb_reads_it(written: str, name: Name) -> None:
    assert resolve(written) == name


@pytest.mark.parametrize(
    ("options", "said"),
    [
        # Ways round the guard of dangerous ones.
        ({"skip-innodb-doublewrite": ""}, "torn pages"),
        ({"disable_innodb_doublewrite": "1"}, "torn pages"),
        ({"enable-innodb-doublewrite": "0"}, "torn pages"),
        ({"Innodb_DoubleWrite": "OFF"}, "torn pages"),
        ({"innodb_doublewrite": "false"}, "set innodb_doublewrite: ON"),
        ({"innodb_flush_log_at_trx": "0"}, "write the name in full"),
        ({"innodb_flush_log": "0"}, "innodb_flush_log_at_timeout or innodb_flush_log_at_trx_commit"),
        ({"datadi": "/tmp"}, "would take it for datadir"),
        ({"loose-datadir": "/tmp"}, "volume galera-data"),
        ({"innodb_flush_log_at_trx_commit": "2"}, "lose commits"),
        ({"skip-unix-socket": ""}, "over the socket"),
        ({"skip_innodb": ""}, "InnoDB tables only"),
        ({"debug_no_sync": ""}, "power cut"),
        # Directories: a state transfer replaces one.
        ({"innodb_undo_directory": "/x"}, "volume galera-data"),
        ({"innodb_log_group_home_dir": "/x"}, "volume galera-data"),
        ({"innodb_data_home_dir": "/x"}, "volume galera-data"),
        ({"aria_log_dir_path": "/x"}, "volume galera-data"),
        ({"innodb_temp_data_file_path": "/x:12M"}, "volume galera-data"),
        ({"tmpdir": "/x"}, "/tmp"),
        ({"chroot": "/x"}, "where the image puts them"),
        # The system tables are packed.
        ({"innodb_page_size": "64k"}, "pages of 16 kB"),
        ({"innodb_data_file_path": "ibdata1:100M:autoextend"}, "when the image was built"),
        ({"lower_case_table_names": "1"}, "set lower_case_table_names: 0"),
        ({"aria_block_size": "4096"}, "blocks of 8192"),
        # Nobody would get in, or everybody.
        ({"skip-grant-tables": ""}, "without a password"),
        ({"require_secure_transport": "true"}, "galera.tls.required is for that"),
        ({"ssl_cert": "/x"}, "section galera.tls"),
        ({"skip-ssl": ""}, "section galera.tls"),
        ({"transaction_read_only": "ON"}, "make the accounts"),
        ({"autocommit": "0"}, "never commit"),
        # Until there are backups.
        ({"log_bin": "ON"}, "of no use without backups"),
        ({"log-bin": ""}, "of no use without backups"),
        ({"log_bin": "0"}, "of no use without backups"),  # MariaDB would name the files 0
        ({"skip-log-bin": "0"}, "of no use without backups"),  # not not
        ({"log_basename": "x"}, "of no use without backups"),
        ({"log_bin_index": "x"}, "of no use without backups"),
        ({"server_id": "2"}, "the same on all nodes"),
        # What is replicated.
        ({"default_storage_engine": "MyISAM"}, "InnoDB tables only"),
        ({"enforce_storage_engine": "InnoDB"}, "galera.strictReplication"),
        ({"wsrep_mode": ""}, "galera.strictReplication"),
        ({"wsrep_provider_options": "gcache.size=1G"}, "galera.provider"),
        ({"wsrep_on": "OFF"}, "splits the cluster"),
        ({"wsrep_osu_method": "RSU"}, "splits the cluster"),
        ({"wsrep_slave_threads": "0"}, "from 1 to 512"),
        ({"wsrep_slave_threads": "many"}, "from 1 to 512"),
        ({"skip-wsrep-log-conflicts": ""}, "under the name wsrep_log_conflicts"),
        ({"wsrep_sync_wait": "16"}, "from 0 to 15"),
        ({"wsrep_trx_fragment_unit": "pages"}, "bytes, rows or statements"),
        ({"auto_increment_offset": "2"}, "another value on each node"),
        # Errors of writing.
        ({"max_conections": "5"}, "did you mean max_connections?"),
        ({"no_such_option": "5"}, "loose_no_such_option"),
        ({"hot_cache.key_buffer_size": "1M"}, "no such option"),
        ({"init_connect": "SET @a = 1 # why"}, "begins a comment"),
        ({"default_time_zone": "Europe/Berln"}, "no time zone"),
        ({"default_time_zone": "+25:00"}, "no time zone"),
    ],
)
def test_an_option_that_would_harm_is_refused_however_it_is_written(
    options: dict[str, str], said: str
) -> None:
    (problem,) = server_options.problems(options)
    assert problem.startswith(f"{next(iter(options))}: ")
    assert said in problem
    assert "Remedy: " in problem


@pytest.mark.parametrize(
    "options",
    [
        {"binlog_format": "row", "innodb_autoinc_lock_mode": "2", "innodb_doublewrite": "1"},
        {"innodb_page_size": "16384", "lower_case_table_names": "0", "default_storage_engine": "innodb"},
        {
            "skip-log-bin": "",
            "require_secure_transport": "OFF",
            "skip-innodb-doublewrite": "0",
        },
        {
            "wsrep_slave_threads": "16",
            "wsrep_sync_wait": "7",
            "wsrep_log_conflicts": "off",
            "wsrep_debug": "SERVER",
        },
        {"max_connections": "300", "skip_name_resolve": "ON", "sql_mode": "", "event_scheduler": "ON"},
        {"default_time_zone": "Europe/Berlin"},
        {"default_time_zone": "+05:30"},
        {"default_time_zone": "SYSTEM"},
        {"plugin_load_add": "server_audit", "server_audit_logging": "ON"},
        {"loose_of_another_version": "1"},
        {"init_connect": '"SET @a = 1 # why"'},
    ],
)
def test_a_harmless_option_is_accepted(options: dict[str, str]) -> None:
    assert list(server_options.problems(options)) == []


@pytest.mark.parametrize(
    ("option", "version", "said"),
    [
        ("innodb_change_buffering", "11.8", "MariaDB 11.8 has no such option any more"),
        ("wsrep_load_data_splitting", "11.8", "loose_wsrep_load_data_splitting"),
        ("max_tmp_session_space_usage", "10.11", "MariaDB 10.11 has no such option yet"),
        ("no_such_option", "10.11", "MariaDB 10.11 has no such option, "),
        ("innodb_defragmentt", "11.8", "MariaDB 11.8 has no such option, "),
    ],
)
def test_an_option_of_another_version_is_refused_by_its_reason(option: str, version: str, said: str) -> None:
    (problem,) = server_options.problems({option: "1"}, version)
    assert problem.startswith(f"{option}: ")
    assert said in problem
    assert "Remedy: " in problem


@pytest.mark.parametrize(
    ("option", "version"),
    [
        ("innodb_change_buffering", "10.11"),
        ("innodb_change_buffering", None),
        ("loose_innodb_change_buffering", "11.8"),
        ("max_tmp_session_space_usage", "11.8"),
        ("max_tmp_session_space_usage", None),
        ("loose_max_tmp_session_space_usage", "10.11"),
    ],
)
def test_an_option_is_taken_by_a_version_that_has_it_and_loosely_by_any(
    option: str, version: str | None
) -> None:
    assert list(server_options.problems({option: "1"}, version)) == []


@pytest.mark.parametrize("version", ["10.11", "11.8", None])
def test_no_version_goes_without_the_nodes_certificates(version: str | None) -> None:
    assert not list(server_options.problems({"ssl": "ON"}, version))
    assert list(server_options.problems({"ssl": "OFF"}, version))


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.lab:5000/swarm-galera/galera:11.8-1", "11.8"),
        ("registry.lab:5000/galera:10.11-9@sha256:" + "0" * 64, "10.11"),
        ("galera:10.11", "10.11"),
        ("galera:10.11.19-2", "10.11"),
        ("galera:11.80-1", None),
        ("galera:12.3-1", None),
        ("galera:mine", None),
        ("registry.lab:5000/galera@sha256:" + "0" * 64, None),
    ],
)
def test_an_images_tag_says_which_mariadb_it_has(image: str, version: str | None) -> None:
    assert versions.of_image(image) == version


def test_versions_are_compared_by_number() -> None:
    assert versions.is_older("10.11", "11.8")
    assert versions.is_older("10.6", "10.11")
    assert not versions.is_older("11.8", "11.8")
    assert list(versions.VERSIONS) == ["11.8", "10.11"], "newest first"


def test_every_rule_is_about_an_option_that_there_is() -> None:
    ruled = {*server_options.FORBIDDEN, *server_options.FIXED}
    ruled |= {*server_options.WSREP, *server_options.WSREP_ELSEWHERE}
    assert ruled - server_options.NAMES == set()
    assert not set(server_options.FORBIDDEN) & set(server_options.FIXED)


def test_no_option_of_wsrep_is_accepted_but_those_that_are_listed() -> None:
    for option in (name for name in server_options.NAMES if name.startswith("wsrep")):
        found = list(server_options.problems({option: "1"}))
        assert bool(found) != (option in server_options.WSREP and server_options.WSREP[option].hold("1")), (
            option
        )


# --- The Galera library -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        # Each alone.
        ({"gcache.size": "1.5G"}, "whole numbers only"),
        ({"gcache.size": "2GB"}, "a size like"),
        ({"gcache.size": "1K"}, "at least 32M"),
        ({"gcs.fc_limit": "0"}, "from 1 to"),
        ({"gcs.fc_factor": "1.5"}, "from 0 to 1"),
        ({"gcs.max_throttle": "2"}, "from 0 to 1"),
        ({"evs.suspect_timeout": "PT5"}, "a duration like"),
        ({"evs.suspect_timeout": "5 s"}, "a duration like"),
        ({"evs.suspect_timeout": "PT0.1S"}, "at least PT0.5S"),
        ({"evs.join_retrans_period": "PT0.05S"}, "at least PT0.1S"),
        ({"evs.inactive_check_period": "PT0S"}, "at least PT0.1S"),
        ({"gcs.sync_donor": "maybe"}, "yes or no"),
        # Together, with what is not set.
        ({"evs.suspect_timeout": "PT1.2S"}, "set evs.keepalive_period to PT0.4S or less"),
        ({"evs.keepalive_period": "PT2S"}, "third of evs.suspect_timeout (PT5S, the default)"),
        ({"evs.inactive_check_period": "PT2.6S"}, "half of evs.suspect_timeout"),
        ({"evs.inactive_timeout": "PT5S"}, "set evs.inactive_timeout to PT15S"),
        ({"evs.suspect_timeout": "PT30S"}, "set evs.inactive_timeout to PT90S"),
        ({"evs.install_timeout": "PT0.4S"}, "from evs.keepalive_period (PT0.5S, the default)"),
        ({"evs.install_timeout": "PT16S"}, "to evs.inactive_timeout (PT15S, the default)"),
        ({"evs.user_send_window": "5"}, "raise evs.send_window"),
        # What is the node's, what lets two halves go on, what is of no use here.
        ({"pc.weight": "2"}, "the node sets it"),
        ({"gmcast.listen_addr": "tcp://0.0.0.0:4567"}, "own address"),
        ({"ist.recv_addr": "10.0.0.1"}, "own address"),
        ({"pc.ignore_sb": "yes"}, "both go on"),
        ({"pc.ignore_quorum": "yes"}, "both go on"),
        ({"pc.bootstrap": "yes"}, "right to"),
        ({"evs.auto_evict": "1"}, "before 26.4.26"),
        ({"socket.ssl": "yes"}, "network.encrypted"),
        ({"socket.ssl_key": "/x"}, "network.encrypted"),
        ({"gmcast.segment": "1"}, "one data center"),
        ({"gcache.dir": "/tmp"}, "volume galera-data"),
        ({"gcache.siz": "1G"}, "known: gcache.keep_pages_size, gcache.page_size, gcache.size"),
        ({"nonsense": "1"}, "known: cert.log_conflicts"),
    ],
)
def test_a_provider_option_out_of_bounds_is_refused_with_a_remedy(options: dict[str, str], said: str) -> None:
    (problem,) = provider_options.problems(options)
    assert said in problem
    assert "Remedy: " in problem


@pytest.mark.parametrize(
    "options",
    [
        {"gcache.size": "2G", "gcs.fc_limit": "128", "gcs.fc_factor": "0.8", "gcs.fc_single_primary": "yes"},
        # Faster than the image's.
        {
            "evs.suspect_timeout": "PT2.5S",
            "evs.keepalive_period": "PT0.5S",
            "evs.inactive_check_period": "PT0.25S",
            "evs.join_retrans_period": "PT0.5S",
            "evs.inactive_timeout": "PT7.5S",
            "evs.install_timeout": "PT5S",
        },
        {"evs.suspect_timeout": "PT3S"},
        {"evs.suspect_timeout": "30", "evs.inactive_timeout": "PT1M", "evs.install_timeout": "PT1M"},
        {"evs.send_window": "512", "evs.user_send_window": "256"},
    ],
)
def test_provider_options_within_bounds_are_accepted(options: dict[str, str]) -> None:
    assert list(provider_options.problems(options)) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT2.5S", "2.5"),
        ("PT1M30S", "90"),
        ("P1D", "86400"),
        ("P1DT1H", "90000"),
        ("2.5", "2.5"),
        ("P", None),
        ("PT", None),
        ("P1DT", None),
        ("PT1H2H", None),
        ("", None),
    ],
)
def test_durations_are_read_as_galera_reads_them(text: str, seconds: str | None) -> None:
    found = provider_options.seconds(text)
    assert (None if found is None else float(found)) == (None if seconds is None else float(seconds))


# --- The initial SQL ----------------------------------------------------------------------------------------


def folder(tmp_path: Path, files: dict[str, bytes | str]) -> str:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("00.sql", "", "00.sql is empty"),
        ("00.sql", " \n\n", "00.sql is empty"),
        ("00.sql", b"-- caf\xe9\nINSERT INTO t VALUES (1);\n", "00.sql, line 1: this is not UTF-8"),
        ("00.sql", b"SELECT 1;\nINSERT INTO t VALUES ('\xe9');\n", "00.sql, line 2: this is not UTF-8"),
        ("00.sql", b"\xef\xbb\xbfSELECT 1;\n", "00.sql is UTF-8 with a byte order mark"),
        ("00.sql", "SELECT 1;".encode("utf-16"), "00.sql is UTF-16"),
        ("00.SQL", "SELECT 1;", "00.SQL would not be run: only small letters"),
        ("00.sql.gz", b"no archive", "00.sql.gz can't be read"),
        ("00.sql.gz", gzip.compress(b"x" * 90_000, mtime=0)[:-9], "00.sql.gz can't be read"),
        ("00.sql.gz", gzip.compress(b"", mtime=0), "00.sql.gz is empty"),
        ("00.sql.gz", gzip.compress(b"SELECT '\xe9';", mtime=0), "00.sql.gz, line 1: this is not UTF-8"),
        ("03.sh", "echo", "03.sh would not be run: only SQL is"),
        ("README.md", "hello", "README.md would not be run"),
        ("odd name.sql", "SELECT 1;", "'odd name.sql' is no name"),
        (
            "00.sql",
            "CREATE TABLE t (\n  id INT\n) ENGINE=MyISAM DEFAULT CHARSET=utf8;\n",
            "00.sql, line 3: rows of MyISAM",
        ),
        ("00.sql", "create table t (id int) engine = aria;", "00.sql, line 1: rows of aria"),
        ("00.sql", "ALTER TABLE t ENGINE MEMORY;", "00.sql, line 1: rows of MEMORY"),
        (
            "00.sql",
            "CREATE TABLE `t` (\n  `v` varchar(9) COLLATE utf8mb4_0900_ai_ci\n) ENGINE=InnoDB;\n",
            "00.sql, line 2: MariaDB 10.11 has no collation utf8mb4_0900_ai_ci",
        ),
    ],
)
def test_initial_sql_that_would_fail_is_refused_by_file_and_line(
    tmp_path: Path, name: str, content: bytes | str, said: str
) -> None:
    place = folder(tmp_path, {"99-good.sql": "SELECT 1;\n", name: content})
    (problem,) = initial_sql.problems(place, strict=True, version="10.11")
    assert problem.startswith(said)
    assert "Remedy: " in problem


@pytest.mark.parametrize("version", ["11.8", None])
def test_collations_of_mysql_8_are_left_to_a_server_that_has_them_or_may(
    tmp_path: Path, version: str | None
) -> None:
    place = folder(tmp_path, {"00.sql": "CREATE TABLE t (v TEXT) COLLATE utf8mb4_0900_ai_ci;\n"})
    assert not list(initial_sql.problems(place, strict=True, version=version))


def test_a_folder_in_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    found = list(initial_sql.problems(str(tmp_path), strict=True))
    assert "more is a folder" in found[0]
    assert "holds no *.sql file" in found[1]


def test_text_in_rows_is_no_definition_and_hidden_files_are_nobodys(tmp_path: Path) -> None:
    place = folder(
        tmp_path,
        {
            "01.sql": "INSERT INTO post VALUES (1, 'CREATE TABLE t (id INT) ENGINE=MyISAM'),\n"
            "(2, 'COLLATE utf8mb4_0900_ai_ci');\nCREATE TEMPORARY TABLE x (id INT) ENGINE=MEMORY;\n"
            "CREATE TABLE t (id INT) ENGINE=InnoDB;\n",
            "02.sql.gz": gzip.compress("INSERT INTO t VALUES ('é漢😀');\n".encode()),
            ".gitkeep": "",
        },
    )
    assert list(initial_sql.problems(place, strict=True)) == []
    assert [path.name for path in initial_sql.files(place)] == ["01.sql", "02.sql.gz"]


def test_all_files_together_must_fit_into_one_config(tmp_path: Path) -> None:
    noise = random.Random(7)
    text = "".join(f"INSERT INTO t VALUES ('{noise.randbytes(400).hex()}');\n" for _ in range(800))
    place = folder(tmp_path, {"01.sql": text, "02.sql": text[::-1]})
    (problem,) = initial_sql.problems(place, strict=True)
    assert "holds 500000" in problem
    assert "docs/how-to/moving-in.md" in problem
    # What packs well may be much more, up to a limit of its own.
    (tmp_path / "02.sql").write_text("INSERT INTO t VALUES (1);\n" * 100_000)
    (tmp_path / "01.sql").unlink()
    assert list(initial_sql.problems(place, strict=True)) == []
    (tmp_path / "02.sql").write_text("INSERT INTO t VALUES (1);\n" * 3_000_000)
    (problem,) = initial_sql.problems(place, strict=True)
    assert "the most for a first bootstrap" in problem


def test_equal_files_give_an_equal_archive(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    files: dict[str, bytes | str] = {"02.sql": "two", "01.sql": "one"}
    archive = initial_sql.bundle(folder(tmp_path / "a", files))
    assert archive == initial_sql.bundle(folder(tmp_path / "b", files))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert tar.getnames() == ["01.sql", "02.sql"]
