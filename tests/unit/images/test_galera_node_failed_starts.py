"""A mariadbd that dies at each start: the write-set cache goes, once, and a person is told what is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from images.galera.galera_node import server
from images.galera.galera_node.failed_starts import FailedStarts, how
from images.galera.galera_node.local_state import Kind, Local
from images.galera.galera_node.transfer import Progress
from tests.unit.images import test_galera_node_life
from tests.unit.images.test_galera_node_life import DatabaseError, Site, U, stop

pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]
site, joins = test_galera_node_life.site, test_galera_node_life.joins

DAMAGED = "a buffer that is larger than the file"
MARIADBD = """#!/bin/sh
cd {root}
ulimit -c 0
case "$*" in *--wsrep-recover*) echo "WSREP: Recovered position: {uuid}:9"; exit 0 ;; esac
echo "$@" > arguments
echo "$(cat data/galera.cache 2>/dev/null)" >> caches
[ -e data/galera.cache ] || echo new > data/galera.cache
if [ "$(cat ends)" ]; then eval "$(cat ends)"; fi
if [ "$(cat data/galera.cache)" = "{damaged}" ]; then kill -s SEGV $$; fi
touch up
trap 'echo in order > end; exit 0' TERM
while :; do sleep 0.02; done
"""
DATA = Local(Kind.DATA, U, 7)


def plays(site: Site, ends: str = "", cache: str = DAMAGED) -> None:
    """mariadbd dies of a damaged cache, and of `ends` (shell); until it is up it answers nothing."""
    (site.root / "mariadbd").write_text(MARIADBD.format(root=site.root, uuid=U, damaged=DAMAGED))
    (site.root / "ends").write_text(ends)
    (site.data / "galera.cache").write_text(cache)
    (site.data / "ibdata1").write_text("rows")
    execute = site.database.execute

    def execute_if_up(statement: str, parameters: tuple[str, ...]) -> None:
        if not (site.root / "up").exists():
            raise DatabaseError("no socket")
        execute(statement, parameters)

    site.database.execute = execute_if_up  # type: ignore[method-assign]


def caches(site: Site) -> list[str]:
    """What each start has found."""
    return (site.root / "caches").read_text().splitlines()


def test_a_joiner_that_dies_of_its_cache_comes_up_without_it(
    joins: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    joins.has_data(-1)
    plays(joins)
    joins.database.on_look = {6: stop}
    assert joins.lives(joins.node(size=3, start_period=3600.0)) == 0
    assert caches(joins) == [DAMAGED, DAMAGED, ""]
    # All else is as it was: it goes on from InnoDB's position, and not by a full copy.
    assert joins.arguments.endswith(f"--wsrep-start-position={U}:9\n")
    assert (joins.data / "ibdata1").read_text() == "rows"
    said = capsys.readouterr().err
    assert said.count("mariadbd has died 2 times in a row before it answered anything (SIGSEGV)") == 1
    assert "removed: galera.cache" in said
    assert "No row is lost" in said
    assert "take a full copy unless another one has them" in said
    assert (joins.root / "end").exists()  # it was up


def test_the_only_node_with_data_restarts_the_cluster_without_its_cache_from_where_it_is(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.has_data(-1)
    plays(site)
    site.cluster(seed="a")
    site.database.on_look = {8: stop}
    assert site.lives(site.node(start_period=3600.0)) == 0
    assert caches(site) == [DAMAGED, DAMAGED, ""]
    assert site.arguments.endswith(f"--wsrep-new-cluster --wsrep-start-position={U}:9\n")
    assert (site.data / "ibdata1").read_text() == "rows"
    assert "removed: galera.cache" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ends", "found", "removed", "told"),
    [
        (
            "kill -s KILL $$",
            ["old", "old", "", "new", "new"],
            1,
            "mariadbd has ended 5 times in a row before it answered anything, without its write-set cache, "
            "too, the last time with SIGKILL",
        ),
        (
            "exit 1",
            ["old"] * 5,
            0,
            "mariadbd has ended 5 times in a row before it answered anything, the last time with exit code 1",
        ),
    ],
    ids=["a signal, as without memory", "an error of its own"],
)
def test_what_is_not_the_cache_costs_it_once_at_the_most_and_a_person_is_told(
    joins: Site, ends: str, found: list[str], removed: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plays(joins, ends, cache="old")
    shown, words = list[str](), list[str]()
    node = joins.node(size=3, start_period=3600.0)
    start = node.parts.server.start

    def starts(options: list[str]) -> None:
        if details := joins.etcd.held().get("details/a"):
            shown.append(json.loads(details)["problem"])
        words.append((joins.run / "health").read_text())
        start(options)

    node.parts.server.start = starts
    assert joins.lives(node) == 1
    assert caches(joins) == found
    said = capsys.readouterr().err
    assert said.count("removed: galera.cache") == removed
    assert (joins.data / "ibdata1").read_text() == "rows"
    # `galera-node status`, and with it `verify`, the health check, and the log's last words.
    assert [bool(text) for text in shown] == [False, False, False, True, True]
    assert shown[-1].startswith("mariadbd has ended 4 times in a row")
    assert "has ended 4 times in a row before it answered anything" in words[-1]
    assert f"{told}: its own words in the log say why. If memory or disk is short" in said
    assert "only a person may give that up" in said
    assert "empty its volume, and it takes a full copy" in said


def test_copies_that_come_to_nothing_are_not_taken_for_its_cache(
    joins: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Galera aborts then: "Will never receive state"."""
    progress = json.dumps({"role": "joiner", "phase": "receiving", "done": 1, "at": 0.0})
    waits = "while [ ! -e seen ]; do sleep 0.02; done; rm seen"
    plays(joins, f"echo '{progress}' > run/transfer; {waits}; kill -s ABRT $$", cache="old")
    read = joins.module("transfer").read

    def seen(run_dir: Path) -> Progress | None:
        found: Progress | None = read(run_dir)
        if found is not None:
            (joins.root / "seen").touch()
        return found

    joins.module("watch").transfer.read = seen
    assert joins.lives(joins.node(size=3, start_period=3600.0)) == 1
    assert caches(joins) == ["old"] * 5
    assert "write-set cache" not in capsys.readouterr().err


def test_a_node_that_forms_the_cluster_has_no_cache_to_give_up(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    plays(site, "kill -s SEGV $$", cache="")
    for name in ("galera.cache", "ibdata1"):
        (site.data / name).unlink()
    assert site.lives(site.node(start_period=3600.0)) == 1
    assert caches(site) == [""] * 5
    assert "write-set cache may be damaged" not in capsys.readouterr().err


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with all that may lie there."""
    (tmp_path / ".before-restore" / "data").mkdir(parents=True)
    for name in (
        *("galera.cache", "gcache.page.000000", "gcache.page.000001"),
        *("grastate.dat", "gvwstate.dat", "ibdata1", "ib_logfile0", "galera-node.note", "binlog.000001"),
        *(".before-restore/data/galera.cache", "galera.cache.mine"),
    ):
        (tmp_path / name).write_text(name)
    return tmp_path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def died(starts: FailedStarts, *codes: int, during: tuple[Progress | None, ...] = ()) -> None:
    """Ended by itself with each of these codes; `during`: state transfers that were seen in the first."""
    for progress in during:
        starts.see(progress)
    for code in codes:
        starts.ended(code, by_itself=True, answered=False)


def test_the_cache_goes_with_its_pages_and_nothing_else(data: Path) -> None:
    before = files(data)
    starts = FailedStarts(data)
    died(starts, -11)
    starts.before(DATA)
    assert files(data) == before
    died(starts, -7)
    starts.before(DATA)
    assert before - files(data) == {"galera.cache", "gcache.page.000000", "gcache.page.000001"}
    assert {(data / name).read_text() for name in files(data)} == files(data)


COPY, WAITS = Progress("joiner", "receiving", 1, 0.0), Progress("joiner", "waiting", 0, 0.0)
WRITE_SETS = Progress("joiner", "incremental", 0, 0.0)


@pytest.mark.parametrize(
    ("between", "local", "goes"),
    [
        (lambda starts: died(starts, -6), DATA, True),
        (lambda starts: starts.ended(-9, by_itself=False, answered=False), DATA, False),
        (lambda starts: starts.ended(-11, by_itself=True, answered=True), DATA, False),
        (lambda starts: died(starts, 1), DATA, False),
        (lambda starts: died(starts, 1, -11), DATA, False),
        (
            lambda starts: died(starts, -6, during=(WAITS, COPY, None)),
            DATA,
            False,
        ),
        (lambda starts: died(starts, -6, during=(WAITS,)), DATA, False),
        (lambda starts: died(starts, -6, during=(WAITS, WRITE_SETS)), DATA, True),
        (lambda starts: died(starts, -11), Local(Kind.DATA, U, -1, unrecovered="torn pages"), False),
        (lambda starts: died(starts, -11), Local(Kind.PARTIAL), True),
    ],
    ids=[
        "it died",
        "the node has ended it",
        "it had answered",
        "it has ended by an error",
        "an error came between",
        "a full copy was under way",
        "it waited for a copy",
        "write-sets came into the cache",
        "InnoDB itself has not told its position",
        "without data",
    ],
)
def test_only_deaths_of_which_the_cache_may_be_the_cause_cost_it(
    data: Path, between: Callable[[FailedStarts], object], local: Local, goes: bool
) -> None:
    starts = FailedStarts(data)
    died(starts, -11)
    between(starts)
    starts.before(local)
    assert (data / "galera.cache").exists() is not goes


def test_once_in_a_row_and_again_in_the_next_one(data: Path) -> None:
    cache, starts = data / "galera.cache", FailedStarts(data)
    died(starts, -11, -11)
    starts.before(DATA)
    cache.touch()
    died(starts, -11)
    starts.before(DATA)
    assert cache.exists()
    assert "without its write-set cache, too" in starts.problem
    starts.ended(0, by_itself=False, answered=True)
    assert starts.problem == ""
    died(starts, -11, -11)
    starts.before(DATA)
    assert not cache.exists()


def test_a_cache_that_cannot_be_removed_is_named_and_the_start_is_tried(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    starts = FailedStarts(data)
    died(starts, -11, -11)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        starts.before(DATA)
    said = capsys.readouterr().err
    assert "can't be removed: [Errno 30] Read-only file system" in said
    died(starts, -11)
    assert "without its write-set cache" not in starts.problem


@pytest.mark.parametrize(
    ("code", "words"), [(-11, "SIGSEGV"), (-9, "SIGKILL"), (1, "exit code 1"), (-200, "signal 200")]
)
def test_an_end_is_told_as_people_know_it(code: int, words: str) -> None:
    assert how(code) == words


def test_a_server_knows_whether_it_was_told_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mariadbd"
    program.write_text('#!/bin/sh\nulimit -c 0\n[ -e "$0.dies" ] && kill -s SEGV $$\nexec sleep 600\n')
    program.chmod(0o755)
    monkeypatch.setattr(server, "MARIADBD", str(program))
    mariadbd = server.Server(tmp_path / "my.cnf")
    mariadbd.start()
    mariadbd.kill()
    assert (mariadbd.exit_code, mariadbd.ended_by_itself) == (-9, False)
    (tmp_path / "mariadbd.dies").touch()
    mariadbd.start()
    assert mariadbd._process is not None
    mariadbd._process.wait()
    mariadbd.kill()  # as who cleans up does: it has ended already
    assert (mariadbd.exit_code, mariadbd.ended_by_itself) == (-11, True)
