"""A further database and its account: what the node's root is told, and whom the script refuses to touch."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.host_scripts import account
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

HASH = account.stored("marked-password")
DOCKER = r"""
case "$1" in
  ps) [[ -e $host/away ]] && rm "$host/away" || echo c1 ;;
  exec)
    sql=$(cat)
    printf '%s\n----\n' "$sql" >>"$host/sql"
    if [[ -e $host/refuse ]]; then
      cat "$host/refuse"; [[ -e $host/for-ever ]] || rm "$host/refuse"; exit 1
    fi
    [[ $sql != SELECT* ]] || cat "$host/rights" ;;
esac
"""


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path / "host")
    made.program("docker", DOCKER)
    made.program("sleep")
    made.file("rights", "0\n")
    return made


def run(host: FakeHost, database: str = "wordpress", user: str = "wordpress", stdin: str = HASH) -> Ran:
    text = account.made("galera", database, user)
    if (host.folder / "for-ever").exists():
        text = text.replace(f"patience={account.PATIENCE}", "patience=0")
    return host.run(text, f"{stdin}\n")


def told(host: FakeHost) -> list[str]:
    return (host.folder / "sql").read_text().split("\n----\n")[:-1]


def test_database_and_account_are_made_in_a_way_that_may_be_repeated(host: FakeHost) -> None:
    ran = run(host)
    assert (ran.code, ran.out) == (0, "wordpress\n"), ran.err
    asked, made = told(host)
    assert "WHERE User = 'wordpress' AND Host = '%'" in asked
    assert "JSON_VALUE(Priv, '$.access')" in asked
    way = f"IDENTIFIED VIA mysql_native_password USING '{HASH}'"
    assert made.splitlines() == [
        "CREATE DATABASE IF NOT EXISTS `wordpress`;",
        f"CREATE USER IF NOT EXISTS 'wordpress'@'%' {way};",
        f"ALTER USER 'wordpress'@'%' {way};",
        "GRANT ALL PRIVILEGES ON `wordpress`.* TO 'wordpress'@'%';",
    ]


def test_a_former_password_counts_as_well_and_is_asked_for_last(host: FakeHost) -> None:
    former = account.stored("marked-former")
    text = account.made("galera", "wordpress", "wordpress", former=True)
    ran = host.run(text, f"{HASH}\n{former}\n")
    assert (ran.code, ran.out) == (0, "wordpress\n"), ran.err
    native = "mysql_native_password USING"
    assert f"IDENTIFIED VIA {native} '{HASH}' OR {native} '{former}';" in told(host)[-1]
    assert former not in " ".join(ran.calls) + ran.out + ran.err
    (host.folder / "sql").unlink()
    ran = host.run(text, f"{HASH}\n")
    assert ran.code == 1
    assert "no former password came" in ran.err


def test_a_grant_is_for_this_database_and_for_none_of_a_similar_name(host: FakeHost) -> None:
    assert run(host, "my_blog_1", "writer").code == 0
    made = told(host)[-1]
    assert "CREATE DATABASE IF NOT EXISTS `my_blog_1`;" in made
    assert r"GRANT ALL PRIVILEGES ON `my\_blog\_1`.* TO 'writer'@'%';" in made


def test_the_password_is_on_no_command_line_and_in_no_statement(host: FakeHost) -> None:
    ran = run(host)
    assert HASH not in " ".join(ran.calls)
    assert HASH not in ran.out + ran.err
    assert "marked-password" not in account.made("galera", "wordpress", "wordpress") + "".join(told(host))


def test_an_account_with_rights_on_all_databases_is_left_alone(host: FakeHost) -> None:
    host.file("rights", "1\n")
    ran = run(host)
    assert ran.code == 1
    assert len(told(host)) == 1
    assert "account wordpress@% is there already, with rights on all databases" in ran.err
    assert "Remedy: choose another name (application.database.user)" in ran.err


def test_a_node_that_does_not_answer_yet_is_asked_again(host: FakeHost) -> None:
    host.file("away", "")
    host.file("refuse", "ERROR 1047 (08S01): WSREP has not yet prepared node for application use\n")
    ran = run(host)
    assert ran.code == 0, ran.err
    assert len(ran.called("sleep")) == 2
    assert "no container of galera runs here" in ran.err
    assert "ERROR 1047" in ran.err


def test_one_that_never_answers_ends_the_run_with_its_words(host: FakeHost) -> None:
    host.file("refuse", "ERROR 1047 (08S01): WSREP has not yet prepared node for application use\n")
    host.file("for-ever", "")
    ran = run(host)
    assert ran.code == 1
    assert "could not be made: ERROR 1047" in ran.err
    assert "Remedy: 'verify'" in ran.err


def test_without_a_password_nothing_is_asked(host: FakeHost) -> None:
    ran = run(host, stdin="")
    assert ran.code == 1
    assert not (host.folder / "sql").exists()
