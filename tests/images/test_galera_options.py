"""The rules of settings/database/ against the images' own servers and Galera libraries, of both versions.

When an image gets another version of MariaDB or its time zones change, the lists are made anew with what
these tests print.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.image_containers import Container
from harness.image_roots import FORMER, PRESENT, image_root
from images.galera.galera_node import data_version
from lab import images
from settings.database import initial_sql, provider_options, server_options, versions
from tests.images.galera_site import GaleraSite

pytestmark = pytest.mark.images

PREPARE = """
import sys; sys.path[:0] = ["/usr/local/lib/galera-node"]
from pathlib import Path; from galera_node.seed_data import unpack
seed = Path("/var/lib/mysql/seed"); seed.mkdir()
unpack(Path("/usr/local/lib/galera-node/seed.tar.gz"), seed)
"""
# Starts a server that is a cluster by itself, asks it, and ends it; says what it was told, or the errors.
# Each on data of its own: some options make a sudden end leave torn pages, on which no other would start.
TRY = r"""
provider=$1 question=$2; shift 2
cp -a /var/lib/mysql/seed /var/lib/mysql/now
/usr/sbin/mariadbd --datadir=/var/lib/mysql/now --wsrep-new-cluster \
  --innodb-buffer-pool-size=32M --innodb-buffer-pool-size-max=256M \
  --wsrep-cluster-address=gcomm:// --wsrep-cluster-name=x --wsrep-node-address=127.0.0.1 \
  --wsrep-provider-options="gcache.size=32M;$provider" "$@" >/tmp/log 2>&1 &
until /usr/bin/mariadb -N -e "SELECT 1" >/dev/null 2>&1; do
  kill -0 $! 2>/dev/null || { grep -F '[ERROR]' /tmp/log | head -n 5; rm -r /var/lib/mysql/now; exit 1; }
  sleep 0.1
done
answer=$(/usr/bin/mariadb -N -e "$question" 2>&1); code=$?
printf '%s' "$answer"
kill -9 $!; wait 2>/dev/null; rm -r /var/lib/mysql/now
exit $code
"""


SERVERS = {"11.8": PRESENT, "10.11": FORMER[0]}
"""The versions of MariaDB, and which of Debian's releases each is of."""


@pytest.fixture(scope="module", params=SERVERS)
def version(request: pytest.FixtureRequest) -> str:
    """Each version of MariaDB after the other."""
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def probe(version: str) -> Iterator[Container]:
    """A container in which servers of that version can be tried."""
    with GaleraSite({"galera": image_root("galera", SERVERS[version])}) as site:
        container = site.add_galera(1)
        container.command = ("/bin/sleep", "3600")
        container.start()
        container.init_pid()
        done = container.run("/usr/bin/python3", "-c", PREPARE)
        assert done.returncode == 0, done.stderr
        yield container


def tried(
    probe: Container, provider: str = "", question: str = "SELECT 1", *options: str
) -> tuple[bool, str]:
    """Whether a server with these options starts and answers, and what it then says."""
    done = probe.run("/bin/bash", "-c", TRY, "try", provider, question, *options)
    return done.returncode == 0, done.stdout


def test_the_images_tag_and_its_own_note_name_its_server(probe: Container, version: str) -> None:
    said = probe.run("/usr/sbin/mariadbd", "--version").stdout
    assert f" Ver {version}." in said
    note = probe.run("/bin/cat", "/usr/local/lib/galera-node/galera_node/mariadb-version").stdout
    assert note.strip() == version
    (image,) = [found for found in images.discover(suite=SERVERS[version]) if found.name == "galera"]
    assert versions.of_image(f"registry.lab:5000/{image.repository}:{image.tag}") == version


def test_the_prepared_tables_say_which_server_they_are_of(probe: Container, version: str) -> None:
    assert data_version.of_data(probe.volume / "seed") == version


def test_the_list_of_options_is_the_servers_own(probe: Container, version: str) -> None:
    printed = probe.run("/usr/sbin/mariadbd", "--no-defaults", "--verbose", "--help").stdout
    names = {name.lower() for name in re.findall(r"^ +(?:-\S, )?--([A-Za-z0-9.-]+)", printed, re.MULTILINE)}
    assert len(names) > 600
    assert sorted(names) == sorted(server_options.NAMES_OF[version])


def test_the_list_of_time_zones_is_the_images_own(probe: Container) -> None:
    works, answer = tried(probe, "", "SELECT Name FROM mysql.time_zone_name")
    assert works, answer
    assert set(answer.split()) == server_options.TIME_ZONES
    assert {"Europe/Berlin", "UTC", "America/Toronto"} <= server_options.TIME_ZONES


PROVIDER: list[tuple[dict[str, str], bool]] = [
    ({"evs.suspect_timeout": "PT1.5S"}, True),
    ({"evs.suspect_timeout": "PT1.4S"}, False),
    ({"evs.suspect_timeout": "PT1.4S", "evs.keepalive_period": "PT0.4S"}, True),
    ({"evs.keepalive_period": "PT1.6S"}, True),
    ({"evs.keepalive_period": "PT1.7S"}, False),
    ({"evs.inactive_check_period": "PT2.5S"}, True),
    ({"evs.inactive_check_period": "PT2.6S"}, False),
    ({"evs.install_timeout": "PT0.4S"}, False),
    ({"evs.install_timeout": "PT0.5S"}, True),
    ({"evs.install_timeout": "PT15S"}, True),
    ({"evs.install_timeout": "PT16S"}, False),
    ({"evs.join_retrans_period": "PT0.05S"}, False),
    ({"evs.user_send_window": "5"}, False),
    ({"evs.suspect_timeout": "PT5"}, False),
    ({"gcache.size": "1.5G"}, False),
    ({"gcache.size": "64M"}, True),
    ({"gcs.fc_factor": "1.5"}, False),
    ({"gcs.max_throttle": "1.5"}, False),
    ({"gcs.fc_limit": "abc"}, False),
    ({"evs.nonsense": "1"}, False),
]


@pytest.mark.parametrize(("options", "starts"), PROVIDER, ids=str)
def test_what_the_library_refuses_is_refused_before(
    probe: Container, options: dict[str, str], starts: bool
) -> None:
    given = {**provider_options.OF_THE_IMAGE, **options}
    works, answer = tried(probe, ";".join(f"{key}={value}" for key, value in given.items()))
    assert works == starts, answer
    assert (not list(provider_options.problems(options))) == starts


def test_every_option_of_the_library_that_may_be_set_is_one_and_the_defaults_are_these(
    probe: Container,
) -> None:
    works, answer = tried(probe, "", "SELECT @@wsrep_provider_options")
    assert works, answer
    known = {
        key.strip(): value.strip() for key, _, value in (item.partition("=") for item in answer.split(";"))
    }
    assert set(provider_options.ALLOWED) - set(known) == set()
    assert {key: known[key] for key in provider_options.DEFAULTS} == provider_options.DEFAULTS


def test_a_fast_failover_is_accepted_by_both(probe: Container) -> None:
    options = {
        "evs.suspect_timeout": "PT2.5S",
        "evs.keepalive_period": "PT0.5S",
        "evs.inactive_check_period": "PT0.25S",
        "evs.join_retrans_period": "PT0.5S",
        "evs.inactive_timeout": "PT7.5S",
        "evs.install_timeout": "PT5S",
    }
    assert list(provider_options.problems(options)) == []
    works, answer = tried(
        probe, ";".join(f"{key}={value}" for key, value in options.items()), "SELECT @@wsrep_provider_options"
    )
    assert works, answer
    assert "evs.suspect_timeout = PT2.5S" in answer


SERVER: list[tuple[str, str, str]] = [
    # option as written, what to ask, what the server makes of it: ways round a guard, as MariaDB reads them
    ("skip-innodb-doublewrite", "@@innodb_doublewrite IN ('0', 'OFF')", "1"),
    ("Innodb_DoubleWrite=0", "@@innodb_doublewrite IN ('0', 'OFF')", "1"),
    ("enable-innodb-doublewrite=0", "@@innodb_doublewrite IN ('0', 'OFF')", "1"),
    ("loose-skip-innodb-doublewrite", "@@innodb_doublewrite IN ('0', 'OFF')", "1"),
    ("innodb-flush-log-at-trx=0", "@@innodb_flush_log_at_trx_commit", "0"),
    ("log-bin=0", "@@log_bin", "1"),
]


@pytest.mark.parametrize(("option", "question", "answer"), SERVER)
def test_ways_round_a_guard_are_real_and_refused(
    probe: Container, version: str, option: str, question: str, answer: str
) -> None:
    works, said = tried(probe, "", f"SELECT {question}", f"--{option}")
    assert (works, said) == (True, answer)
    key, _, value = option.partition("=")
    assert len(list(server_options.problems({key: value}, version))) == 1


@pytest.mark.parametrize("option", ["skip-innodb-doublewrite=0", "skip-log-bin"])
def test_what_only_looks_like_one_is_neither(probe: Container, version: str, option: str) -> None:
    question = "SELECT @@innodb_doublewrite IN ('1', 'ON'), @@log_bin"
    assert tried(probe, "", question, f"--{option}") == (True, "1\t0")
    key, _, value = option.partition("=")
    assert list(server_options.problems({key: value}, version)) == []


@pytest.mark.parametrize(
    "option",
    [
        "innodb-page-size=64k",
        "innodb-data-file-path=ibdata1:100M:autoextend",
        "aria-block-size=4096",
        "no-such=1",
    ],
)
def test_options_that_contradict_the_packed_tables_keep_a_server_from_starting(
    probe: Container, version: str, option: str
) -> None:
    works, said = tried(probe, "", "SELECT 1", f"--{option}")
    assert not works, said
    key, _, value = option.partition("=")
    assert len(list(server_options.problems({key: value}, version))) == 1


def test_wsrep_variables_that_may_be_set_are_taken_by_the_server(probe: Container, version: str) -> None:
    values = {
        "wsrep-slave-threads": "8",
        "wsrep-sync-wait": "15",
        "wsrep-max-ws-rows": "1048576",
        "wsrep-max-ws-size": "1024",
        "wsrep-trx-fragment-unit": "rows",
        "wsrep-trx-fragment-size": "1000",
        "wsrep-retry-autocommit": "10000",
        "wsrep-debug": "CLIENT",
        "wsrep-ignore-apply-errors": "7",
    }
    assert list(server_options.problems(values, version)) == []
    question = ", ".join(f"@@GLOBAL.{key.replace('-', '_')}" for key in values)
    works, said = tried(
        probe, "", f"SELECT {question}", *(f"--{key}={value}" for key, value in values.items())
    )
    assert (works, said.split("\t")) == (True, list(values.values()))


def test_an_option_that_is_gone_keeps_a_server_from_starting_unless_it_is_loose(
    probe: Container, version: str
) -> None:
    """Those that the other version has and this one lacks, one for all."""
    other = next(each for each in SERVERS if each != version)
    option, value = ("max-tmp-tables", "3") if other == "10.11" else ("max-tmp-session-space-usage", "1G")
    assert list(server_options.problems({option: value}, other)) == []
    assert len(list(server_options.problems({option: value}, version))) == 1
    works, said = tried(probe, "", "SELECT 1", f"--{option}={value}")
    assert not works, said
    assert tried(probe, "", "SELECT 1", f"--loose-{option}={value}") == (True, "1")


def test_a_character_set_means_the_same_collation_in_both_versions(probe: Container) -> None:
    """Else nodes of both would make different tables of one statement while a cluster goes to the next."""
    works, said = tried(probe, "", "SELECT COLLATION(_utf8mb4 'a'), @@collation_server")
    assert (works, said.split("\t")) == (True, ["utf8mb4_general_ci"] * 2)


def test_a_node_can_change_its_vote_while_it_runs(probe: Container) -> None:
    """11.8 has a plugin that makes variables of the library's options, and would refuse it."""
    change = "SET GLOBAL wsrep_provider_options='pc.weight=3'"
    question = f"{change}; SELECT @@wsrep_provider_options LIKE '%pc.weight = 3;%'"
    assert tried(probe, "", question) == (True, "1")


def test_collations_of_mysql_8_are_there_where_the_settings_take_them(
    probe: Container, version: str, tmp_path: Path
) -> None:
    works, found = tried(probe, "", "SELECT _utf8mb4 'a' COLLATE utf8mb4_0900_ai_ci = 'A'")
    (tmp_path / "00.sql").write_text("CREATE TABLE t (v TEXT) COLLATE utf8mb4_0900_ai_ci;\n")
    refused = list(initial_sql.problems(str(tmp_path), strict=True, version=version))
    assert works is not bool(refused), found


def test_a_server_of_its_own_has_tls_by_default_from_11_on(probe: Container, version: str) -> None:
    """The nodes' certificates are given to either (test_galera_tls.py)."""
    works, has = tried(probe, "", "SELECT @@have_ssl")
    assert (works, has) == (True, "YES" if version == "11.8" else "DISABLED")
