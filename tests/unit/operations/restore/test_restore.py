"""`restore`, `restore-drill`: what is asked and refused first, the order of steps, going on, going back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from operations import outputs
from operations.checks import backup as backup_checks
from operations.checks import drill as drill_checks
from operations.checks.check import Check
from operations.cli import build
from operations.deep import verify as deep_verify
from operations.errors import OperationsError
from operations.facts.cluster import HostFacts
from operations.outputs import Outputs, parse
from operations.remote_hosts import Answer
from operations.restore import beside as restore_beside
from operations.restore import drill
from operations.restore import plan as restore_plan
from operations.restore import whole as restore_whole
from operations.restore.plan import Wish
from tests.unit.fake_host import FakeHost
from tests.unit.operations.test_verify import VALUES

pytestmark = pytest.mark.unit

KEY = "AGE-SECRET-KEY-1QQQQ\n"
NODES = ["galera-1", "galera-2", "galera-3"]
FOUND = parse(
    "dev",
    {
        **VALUES,
        "galera": {**VALUES["galera"], "members": NODES, "size": 3},
        "backup": {"bucket": "backups", "prefix": ""},
    },
)
PLAN = {
    "target": "latest",
    "timeline": "line",
    "number": 95,
    "position": "1-1-95",
    "base": "20261128T120000Z-full",
    "logs": 2,
    "room": 1000,
    "stored": 100,
    "lost": {},
    "lines": ["to latest", "lost: none for good"],
}
STEP = re.compile(r"galera-node ([a-z]+ \S+)")


def record(phase: str, **other: Any) -> dict[str, Any]:
    return {"phase": phase, "node": "galera-2", "target": "latest", "position": "1-1-95", **other}


class Cluster:
    """Nodes that answer as their program does.

    Attributes:
        asked: node and step, in order. given: what came on standard input, by step.
        silent: nodes that do not answer. on: what a step changes. compared: nodes whose rows were compared;
        checks: what came of that.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.given: dict[str, str] = {}
        self.silent: set[str] = set()
        self.free = {"galera-1": 5000, "galera-2": 9000, "galera-3": 5000}
        self.record: dict[str, Any] | None = None
        self.formed, self.runs = True, [f"{name} (synced)" for name in NODES]
        self.on: dict[str, Callable[[], None]] = {}
        self.answers: dict[str, Any] = {"restore plan": PLAN, "restore begin": None, "restore undo": None}
        self.texts: list[str] = []
        self.aside: dict[str, str] = {}
        self.keep: list[str] = []
        self.compared: list[list[str]] = []
        self.checks = [Check("cluster", "all nodes hold the same", True, "3 tables with 9 rows")]

    def status(self, name: str) -> dict[str, Any]:
        return {
            "node": name,
            "free": self.free[name],
            "record": self.record,
            "told": f"The restore is in {self.record['phase']}." if self.record else "",
            "aside": self.aside.get(name, ""),
            "keep": self.keep,
            "runs": self.runs,
            "formed": self.formed,
            "uuid": "new",
        }

    async def run(self, name: str, text: str, stdin: str = "", limit: float = 120.0) -> Answer:
        self.texts.append(text)
        found = STEP.search(text)
        step = found[1] if found else "sql"
        if name in self.silent:
            return Answer(error="no SSH")
        self.asked.append((name, step))
        self.given[step] = stdin
        if step == "restore status":
            if step in self.on:
                self.on[step]()
            return Answer(json.dumps(self.status(name)))
        answer = self.answers.get(step)
        if isinstance(answer, Answer):
            return answer
        if step in self.on:
            self.on[step]()
        return Answer("" if answer is None else answer if isinstance(answer, str) else json.dumps(answer))

    async def run_all(
        self, texts: dict[str, str], stdin: str = "", limit: float = 120.0
    ) -> dict[str, Answer]:
        return {name: await self.run(name, text, stdin, limit) for name, text in texts.items()}

    def steps(self) -> list[tuple[str, str]]:
        return [(name, step) for name, step in self.asked if step != "restore status"]

    def set(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()

    @contextlib.asynccontextmanager
    async def connected(_found: Outputs) -> AsyncIterator[Cluster]:
        yield made

    async def told(_hosts: object, name: str, text: str, stdin: str) -> str:
        answer = await made.run(name, text, stdin)
        if answer.error:
            raise OperationsError(answer.error)
        return answer.text

    async def alike(_found: Outputs, nodes: list[str], _hosts: object) -> list[Check]:
        made.compared.append(list(nodes))
        if made.silent:
            raise OSError("no session on galera-3")
        return made.checks

    monkeypatch.setattr(deep_verify, "of_nodes", alike)
    for module in (restore_whole, restore_beside, drill):
        monkeypatch.setattr(module, "connected", connected)
        monkeypatch.setattr(module, "told", told)
    monkeypatch.setattr(restore_whole, "EVERY", 0.0)
    monkeypatch.setattr(drill, "EVERY", 0.0)
    return made


def begins(cluster: Cluster) -> None:
    """From the word that all stop to a cluster that has formed."""
    cluster.on["restore begin"] = lambda: cluster.set(record=record("stop"), formed=False)
    looks = [0]

    def look() -> None:
        looks[0] += 1
        if cluster.record is not None and cluster.record["phase"] == "stop" and looks[0] > 5:
            cluster.runs = []
        if cluster.record is not None and cluster.record["phase"] == "join" and looks[0] > 8:
            cluster.formed = True

    cluster.on["restore status"] = look
    cluster.on["restore load"] = lambda: cluster.set(record=record("join"))


# ---- the whole cluster


def test_a_restore_from_the_plan_to_a_cluster_that_has_formed(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    begins(cluster)
    asyncio.run(restore_whole.whole(FOUND, Wish("latest", "", ""), KEY, yes=True))
    # On the node with the most room, and in this order; what loads has waited until nobody ran.
    assert cluster.steps() == [
        ("galera-2", "restore plan"),
        ("galera-2", "restore begin"),
        ("galera-2", "restore load"),
    ]
    assert cluster.runs == []
    said = capsys.readouterr().err
    assert "lost: none for good" in said
    assert "has formed at 1-1-95" in said
    assert cluster.compared == [NODES]
    assert "ok: all nodes hold the same: 3 tables with 9 rows" in said
    assert "restore --undo" in said
    begun = json.loads(cluster.given["restore begin"])
    assert (begun["position"], begun["timeline"]) == ("1-1-95", "line")
    assert "python -m operations restore" in begun["by"]


def test_the_private_key_is_on_standard_input_alone(cluster: Cluster) -> None:
    begins(cluster)
    asyncio.run(restore_whole.whole(FOUND, Wish("latest", "", ""), KEY, yes=True))
    assert cluster.given["restore plan"] == cluster.given["restore load"] == KEY
    assert not [text for text in cluster.texts if "SECRET" in text]
    assert "SECRET" not in cluster.given["restore begin"]


@pytest.mark.parametrize(
    ("change", "wish", "words"),
    [
        pytest.param(
            lambda c: c.silent.add("galera-3"),
            Wish("latest", "", ""),
            "galera-3 could not be asked",
            id="away",
        ),
        pytest.param(
            lambda c: c.free.update({"galera-1": 10}),
            Wish("latest", "", ""),
            "galera-1 has 0 MB free",
            id="room",
        ),
        pytest.param(lambda _: None, Wish("", "", ""), "Say what to restore to", id="no target"),
        pytest.param(
            lambda _: None, Wish("latest", "", "galera-9"), "galera-9 is no node", id="no such node"
        ),
        pytest.param(
            lambda c: c.answers.update({"restore plan": Answer(error="1-1-200 is not archived")}),
            Wish("1-1-200", "", ""),
            "1-1-200 is not archived",
            id="unreachable",
        ),
        pytest.param(
            lambda c: c.silent.update(NODES), Wish("latest", "", ""), "No node could be asked", id="nobody"
        ),
    ],
)
def test_what_is_refused_touches_nothing(
    cluster: Cluster, change: Callable[[Cluster], object], wish: Wish, words: str
) -> None:
    change(cluster)
    with pytest.raises(OperationsError, match=words):
        asyncio.run(restore_whole.whole(FOUND, wish, KEY, yes=True))
    assert not {"restore begin", "restore load"} & {step for _, step in cluster.asked}


def test_nothing_is_touched_before_a_person_has_agreed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: False)
    with pytest.raises(typer.Exit):
        asyncio.run(restore_whole.whole(FOUND, Wish("latest", "", ""), KEY, yes=False))
    assert cluster.steps() == [("galera-2", "restore plan")]


@pytest.mark.parametrize(
    ("phase", "steps"),
    [("stop", ["restore load"]), ("load", ["restore load"]), ("join", [])],
)
def test_an_interrupted_restore_goes_on_where_it_was(cluster: Cluster, phase: str, steps: list[str]) -> None:
    begins(cluster)
    cluster.set(record=record(phase), runs=[], formed=False)
    asyncio.run(restore_whole.whole(FOUND, Wish("", "", ""), KEY, yes=True))
    assert [step for _, step in cluster.steps()] == steps


def test_another_target_waits_for_the_end_of_the_first(cluster: Cluster) -> None:
    cluster.set(record=record("load"))
    with pytest.raises(OperationsError, match="and not to target 1-1-7"):
        asyncio.run(restore_whole.whole(FOUND, Wish("1-1-7", "", ""), KEY, yes=True))
    cluster.set(record=record("undo"))
    with pytest.raises(OperationsError, match="--undo"):
        asyncio.run(restore_whole.whole(FOUND, Wish("", "", ""), KEY, yes=True))
    assert cluster.steps() == []


@pytest.mark.parametrize(
    "wish", [Wish("", "other", ""), Wish("", "", "galera-1"), Wish("latest", "line", "galera-3")]
)
def test_another_timeline_or_node_is_not_passed_over_on_the_way(cluster: Cluster, wish: Wish) -> None:
    cluster.set(record=record("load", timeline="line"))
    with pytest.raises(OperationsError, match="and not to"):
        asyncio.run(restore_whole.whole(FOUND, wish, KEY, yes=True))
    assert cluster.steps() == []


def test_a_restore_that_waits_for_a_word_is_not_taken_for_the_one_that_is_wanted_now(
    cluster: Cluster,
) -> None:
    """Monday's went to `latest`, too: whoever asks on Wednesday must not hear that it has been done."""
    cluster.set(record=record("join"), formed=True)
    with pytest.raises(OperationsError, match="nothing was restored now"):
        asyncio.run(restore_whole.whole(FOUND, Wish("latest", "", ""), KEY, yes=True))
    assert cluster.steps() == []


@pytest.mark.parametrize("phase", ["stop", "join"])
def test_one_that_somebody_else_has_undone_meanwhile_has_not_come_to_its_end(
    cluster: Cluster, phase: str
) -> None:
    cluster.set(record=record(phase, id="one"), formed=False)
    looks = [0]

    def look() -> None:
        looks[0] += 1
        if looks[0] > 5:  # the cluster of before is a formed one, too
            cluster.set(record=record("undo", id="one"), formed=True)

    cluster.on["restore status"] = look
    with pytest.raises(OperationsError, match="undone by somebody else"):
        asyncio.run(restore_whole.whole(FOUND, Wish("", "", ""), KEY, yes=True))
    assert "restore load" not in [step for _, step in cluster.steps()]


def test_nodes_that_differ_after_a_restore_are_an_error_and_what_was_not_compared_is_said(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.set(record=record("join"), formed=True)
    cluster.checks = [Check("galera-3", "rows of app.word as on galera-1", False, "2 rows, not 3")]
    with pytest.raises(OperationsError, match=r"nodes differ after the restore \(rows of app\.word"):
        asyncio.run(restore_whole.whole(FOUND, Wish("", "", ""), KEY, yes=True))
    cluster.checks = [Check("cluster", "all nodes hold the same", False, "not compared: a node has gone")]
    asyncio.run(restore_whole.whole(FOUND, Wish("", "", ""), KEY, yes=True))
    assert "NOT: all nodes hold the same: not compared: a node has gone" in capsys.readouterr().err
    cluster.silent.add("galera-3")
    asyncio.run(restore_whole.whole(FOUND, Wish("", "", ""), KEY, yes=True))
    assert "not compared: no session on galera-3" in capsys.readouterr().err


def test_where_new_rows_may_not_fit_is_said_before_anything_is_touched(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: False)
    for growth, said in ((4000, False), (4001, True)):
        cluster.answers["restore plan"] = {**PLAN, "growth": growth}
        with pytest.raises(typer.Exit):
            asyncio.run(restore_whole.whole(FOUND, Wish("latest", "", ""), KEY, yes=False))
        assert ("Room may not do" in capsys.readouterr().err) is said


def test_a_load_that_fails_is_the_error_and_nothing_is_waited_for(cluster: Cluster) -> None:
    begins(cluster)
    cluster.answers["restore load"] = Answer(error="x/data.mbs.zst.age is damaged")
    with pytest.raises(OperationsError, match="is damaged"):
        asyncio.run(restore_whole.whole(FOUND, Wish("latest", "", ""), KEY, yes=True))


def test_the_way_back_waits_for_all_nodes(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.set(record=record("join", id="one"), aside={"galera-3": "one"})
    cluster.on["restore undo"] = lambda: cluster.set(record=record("undo"))
    looks = [0]

    def look() -> None:
        looks[0] += 1
        if cluster.record == record("undo") and looks[0] > 6:
            cluster.record = record("undone")

    cluster.on["restore status"] = look
    asyncio.run(restore_whole.undo(FOUND, yes=True))
    assert cluster.steps() == [("galera-2", "restore undo")]
    assert "runs again, with all nodes" in capsys.readouterr().err
    with pytest.raises(OperationsError, match="no restore that could be undone"):
        asyncio.run(restore_whole.undo(FOUND, yes=True))


@pytest.mark.parametrize("aside", [{}, {"galera-1": "an elder one"}])
def test_there_is_no_way_back_to_data_that_nobody_keeps(cluster: Cluster, aside: dict[str, str]) -> None:
    """All hosts were replaced since: each node would empty itself."""
    cluster.set(record=record("join", id="one"), aside=aside)
    with pytest.raises(OperationsError, match="would remove the restored data, and bring nothing"):
        asyncio.run(restore_whole.undo(FOUND, yes=True))
    cluster.silent.add("galera-3")
    with pytest.raises(OperationsError, match="have galera-3 answer, which may keep it"):
        asyncio.run(restore_whole.undo(FOUND, yes=True))
    assert cluster.steps() == []


def test_there_is_a_way_back_where_the_data_of_before_is_in_its_place_still(cluster: Cluster) -> None:
    """An empty node was loaded, having the most room, and its server does not start: nobody has made way."""
    cluster.set(record=record("join", id="one"), keep=["galera-1", "galera-3"])
    cluster.on["restore undo"] = lambda: cluster.set(record=record("undone", id="one"))
    asyncio.run(restore_whole.undo(FOUND, yes=True))
    assert [step for _, step in cluster.steps()] == ["restore undo"]


@pytest.mark.parametrize("phase", ["stop", "load"])
def test_the_way_back_right_after_the_word_needs_nothing_aside(cluster: Cluster, phase: str) -> None:
    cluster.set(record=record(phase, id="one"))
    cluster.on["restore undo"] = lambda: cluster.set(record=record("undone", id="one"))
    asyncio.run(restore_whole.undo(FOUND, yes=True))
    assert [step for _, step in cluster.steps()] == ["restore undo"]


def test_data_of_before_is_removed_by_a_word_of_its_own(cluster: Cluster) -> None:
    cluster.set(record=record("join"))
    asyncio.run(restore_whole.done(FOUND, yes=True))
    assert [step for _, step in cluster.steps()] == ["restore done"]
    cluster.set(record=record("done"))
    with pytest.raises(OperationsError, match="no restore whose data"):
        asyncio.run(restore_whole.done(FOUND, yes=True))


# ---- the command line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "latest", "--undo"], "exclude each other"),
        (["--undo", "--done"], "exclude each other"),
        (["--to", "latest", "--into", "app_before", "--what", "app.word"], "both be a database, or both"),
        (["--to", "latest", "--into", "a/b"], "must be DATABASE or DATABASE.TABLE"),
        (["--to", "latest", "--into", "a.b.c", "--what", "a.b"], "must be DATABASE or DATABASE.TABLE"),
        (["--to", "latest", "--into=-x", "--what", "app"], "must be DATABASE or DATABASE.TABLE"),
        # Whoever forgets INTO wants a table, and not all nodes stopped.
        (["--to", "latest", "--what", "app.word", "--yes"], "would restore the whole cluster"),
        (["--undo", "--into", "app_before"], "exclude each other"),
        (["--done", "--what", "app.word"], "exclude each other"),
    ],
)
def test_words_that_contradict_each_other_are_refused_before_anything_is_asked(
    words: list[str], said: str
) -> None:
    done = CliRunner().invoke(build(), ["restore", *words])
    assert done.exit_code == 1
    assert said in str(done.exception)


@pytest.mark.parametrize("word", ["undo", "done"])
def test_a_restore_is_ended_without_the_section_of_backups(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    without = parse("dev", {name: value for name, value in VALUES.items() if name != "backup"})
    monkeypatch.setattr(outputs, "of_stack", lambda _stack: without)
    called: list[str] = []

    async def ends(_found: Outputs, yes: bool) -> None:
        called.append(f"{word} {yes}")

    monkeypatch.setattr(restore_whole, word, ends)
    ran = CliRunner().invoke(build(), ["restore", f"--{word}", "--yes"])
    assert ran.exit_code == 0, ran.exception
    assert called == [f"{word} True"]


def test_the_private_key_comes_from_a_file_or_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"# public key: age1\r\n\n  {KEY}\n{KEY}")
    # No empty line: on a host it ends the key, and the archive begins.
    assert restore_plan.private_key(str(file)) == KEY + KEY
    file.write_text("age1public")
    with pytest.raises(OperationsError, match="no identity of age") as raised:
        restore_plan.private_key(str(file))
    assert "age1public" not in str(raised.value)
    with pytest.raises(OperationsError, match="can't be read"):
        restore_plan.private_key(str(tmp_path / "nothing"))


# ---- beside the running one


def test_what_exists_is_not_written_over(cluster: Cluster) -> None:
    for into, what, counts in (("app", "app", "1\n0\n0\n"), ("app.word", "app.word", "1\n1\n0\n")):
        cluster.answers["sql"] = counts
        with pytest.raises(OperationsError, match=f"{into} exists, and would be written over"):
            asyncio.run(restore_beside.beside(FOUND, Wish("latest", "", ""), KEY, (what, into), yes=True))
    assert cluster.steps() == [("galera-2", "sql")] * 2


@pytest.mark.parametrize("names", [("app", "half"), ("app.word", "half.word")])
def test_half_of_a_database_that_a_killed_command_has_left_is_said_to_be_that(
    cluster: Cluster, names: tuple[str, str]
) -> None:
    cluster.answers["sql"] = "1\n0\n1\n"
    with pytest.raises(OperationsError, match="half of what a restore was to bring"):
        asyncio.run(restore_beside.beside(FOUND, Wish("latest", "", ""), KEY, names, yes=True))


def test_a_scratch_server_that_would_fill_the_disk_of_its_host_is_not_started(cluster: Cluster) -> None:
    cluster.answers |= {"sql": "0\n0\n0\n", "restore plan": {**PLAN, "room": 9001}}
    with pytest.raises(OperationsError, match="galera-2 has 0 MB free"):
        asyncio.run(restore_beside.beside(FOUND, Wish("latest", "", ""), KEY, ("app", "new"), yes=True))
    assert "restore send" not in [step for _, step in cluster.steps()]


def test_no_more_is_loaded_than_the_fullest_node_has_room_for() -> None:
    spare = restore_beside.SPARE
    said = {"a": {"free": spare + 5000}, "b": {"free": spare + 4000}}
    assert restore_beside.room_on_all(said, "a", {"room": 100}) == 4000
    assert restore_beside.room_on_all(said, "a", {"room": 3000}) == 2000  # the scratch server has its part
    assert restore_beside.room_on_all(said, "b", {"room": 9000}) == 0


@pytest.mark.parametrize(
    ("into", "what", "counts", "created"),
    [
        ("app_before", "app", "0\n0\n0\n", True),
        ("app.word_before", "app.word", "1\n0\n0\n", False),
        ("new.word", "app.word", "0\n0\n0\n", True),
    ],
)
def test_one_of_them_is_loaded_under_another_name(
    cluster: Cluster, into: str, what: str, counts: str, created: bool
) -> None:
    cluster.answers["sql"] = counts
    asyncio.run(restore_beside.beside(FOUND, Wish("1-1-95", "", ""), KEY, (what, into), yes=True))
    assert [step for _, step in cluster.steps()] == ["sql", "restore plan", "restore send"]
    text = cluster.texts[-1]
    loaded = rf"{into.partition('.')[0]}\.restoring_[0-9a-f]{{8}}" if "." in into else into
    assert re.search(rf"^words=\(dump {what} {loaded} 0\)$", text, re.MULTILINE)
    assert f"created={'1' if created else chr(39) * 2}" in text
    assert "--network none" in text
    assert cluster.given["restore send"] == KEY


DOCKER = """
case "$1 $2" in
"ps "*) echo c1 ;;
"inspect "*) case $* in *Running*) echo true ;; *) echo image@sha256:1 ;; esac ;;
"exec c1") echo "sent $*" ;;
"container ls") [ ! -f "$host/scratch" ] || cat "$host/scratch" ;;
"exec "*)
  cat >"$host/now"; cat "$host/now" >>"$host/sql"
  read -r word _ <"$host/now"; [ ! -f "$host/refuse-$word" ] ;;
"run "*) cat >"$host/into-scratch"; echo "-- SQL"; [ ! -f "$host/broken" ] ;;
esac
"""


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path / "host")
    made.program("docker", DOCKER)
    return made


def script(into: str, created: bool) -> str:
    return restore_beside.script(FOUND, PLAN, ("app", into), created, 1000)


def test_the_scratch_server_gets_the_key_first_and_then_the_archive(host: FakeHost) -> None:
    done = host.run(script("a`b", created=True), KEY)
    assert done.code == 0, done.err
    assert done.out == "result=loaded\n"
    key, empty, sent = (host.folder / "into-scratch").read_text().split("\n", 2)
    assert (f"{key}\n", empty) == (KEY, "")
    assert sent.startswith("sent exec c1 galera-node restore send line 95")
    assert (host.folder / "sql").read_text().splitlines() == [
        "CREATE DATABASE `a``b` COMMENT 'restore: not whole yet'",
        "-- SQL",
        "ALTER DATABASE `a``b` COMMENT ''",
    ]
    assert not [call for call in done.calls if "SECRET" in call]
    assert done.calls[-1].startswith("docker rm -f -v galera-restore-")


def test_a_table_gets_its_name_once_it_is_whole_and_writes_over_nothing(host: FakeHost) -> None:
    done = host.run(script("app.w", created=False), KEY)
    assert done.code == 0, done.err
    sql, rename = (host.folder / "sql").read_text().splitlines()
    assert sql == "-- SQL"
    staging = re.fullmatch(r"RENAME TABLE `app`\.`(restoring_[0-9a-f]{8})` TO `app`\.`w`", rename)
    assert staging is not None
    (run,) = [call for call in done.calls if call.startswith("docker run")]
    assert run.endswith(f"scratch dump app app.{staging[1]} 1000")
    # Somebody has made a table of that name meanwhile: it is not theirs that goes.
    host.file("sql", "")
    host.file("refuse-RENAME", "")
    done = host.run(script("app.w", created=False), KEY)
    assert done.code == 1
    undone = (host.folder / "sql").read_text().splitlines()[-1]
    assert re.fullmatch(r"DROP TABLE IF EXISTS `app`\.`restoring_[0-9a-f]{8}`", undone)


@pytest.mark.parametrize(
    ("into", "created", "undone"),
    [
        ("new", True, "DROP DATABASE `new`"),
        ("new.w", True, "DROP DATABASE `new`"),
        ("app.w", False, r"DROP TABLE IF EXISTS `app`\.`restoring_[0-9a-f]{8}`"),
    ],
)
def test_half_of_it_does_not_stay(host: FakeHost, into: str, created: bool, undone: str) -> None:
    host.file("broken", "")
    done = host.run(script(into, created), KEY)
    assert done.code == 1
    assert "what had been loaded is removed again" in done.err
    assert re.fullmatch(undone, (host.folder / "sql").read_text().splitlines()[-1])


def test_a_second_scratch_server_on_a_host_is_refused_and_what_does_not_run_goes(host: FakeHost) -> None:
    host.file("scratch", "galera-drill-1 exited\ngalera-drill-2 created\n")
    done = host.run(script("new", created=True), KEY)
    assert done.code == 0, done.err
    removed = [call for call in done.calls if call.startswith("docker rm")]
    assert removed[:2] == ["docker rm -f -v galera-drill-1", "docker rm -f -v galera-drill-2"]
    (run,) = [call for call in done.calls if call.startswith("docker run")]
    (ls,) = [call for call in done.calls if call.startswith("docker container ls")]
    assert "--label swarm-galera.scratch " in run
    assert "label=swarm-galera.scratch " in ls
    host.file("scratch", "galera-drill-3 running\n")
    done = host.run(script("new", created=True), KEY)
    assert done.code == 1
    assert "works on this host already (galera-drill-3)" in done.err
    assert not [call for call in done.calls if "run" in call.split()[:2] or "galera-drill-3" in call]


# ---- the drill


SUMS = {"number": 95, "tables": {"app.word": [3, 17]}}


def drills(cluster: Cluster, **report: Any) -> None:
    cluster.answers |= {
        "status --json": {"writer": "galera-1"},
        "drill sums": SUMS,
        "backups --json": {"archive": {"last": 95}},
        "restore send": json.dumps({"restoring": 4.0, **SUMS}),
        "drill report": {"equal": True, "told": "equal", **report},
    }


def test_a_drill_compares_the_archive_with_a_node_that_does_not_take_the_writes(cluster: Cluster) -> None:
    drills(cluster)
    report = asyncio.run(drill._drill(FOUND, KEY, ""))
    assert report["equal"]
    assert cluster.steps() == [
        ("galera-1", "status --json"),
        ("galera-2", "drill sums"),
        ("galera-2", "backups --json"),
        ("galera-2", "restore plan"),
        ("galera-2", "restore send"),
        ("galera-2", "drill report"),
    ]
    given = json.loads(cluster.given["drill report"])
    assert given["cluster"] == SUMS
    assert given["restored"]["tables"] == SUMS["tables"]
    assert given["values"]["position"] == "1-1-95"
    assert given["values"]["restoring"] == 4.0
    assert "SECRET" not in cluster.given["drill report"]
    assert "restore plan 1-1-95" in " ".join(cluster.texts)


def test_a_drill_waits_until_the_archive_has_what_the_cluster_had(cluster: Cluster) -> None:
    drills(cluster)
    looks = [0]

    def look() -> None:
        looks[0] += 1
        cluster.answers["backups --json"] = {"archive": {"last": 93 + looks[0]}}

    cluster.on["backups --json"] = look
    cluster.answers["backups --json"] = {"archive": {"last": None}}
    asyncio.run(drill._drill(FOUND, KEY, ""))
    assert looks[0] > 1


def test_numbers_of_the_former_timeline_are_not_taken_for_what_a_drill_waits_for(cluster: Cluster) -> None:
    """Right after a restore: else each drill would fail, and `verify` with it."""
    drills(cluster)
    looks = [0]

    def look() -> None:
        looks[0] += 1
        line = "old.0" if looks[0] < 3 else "new.1-x"
        cluster.answers["backups --json"] = {
            "timeline": "new.1-x",
            "archive": {"last": 95, "timeline": line},
        }

    cluster.on["backups --json"] = look
    cluster.answers["backups --json"] = {"timeline": "new.1-x", "archive": {"last": 900, "timeline": "old.0"}}
    assert asyncio.run(drill._drill(FOUND, KEY, ""))["equal"]
    assert looks[0] >= 3


@pytest.mark.parametrize("step", ["drill sums", "restore plan", "restore send"])
def test_a_drill_that_fails_is_a_fact_too(cluster: Cluster, step: str) -> None:
    drills(cluster, equal=False, told="failed")
    cluster.answers[step] = Answer(error="the store has gone")
    report = asyncio.run(drill._drill(FOUND, KEY, ""))
    assert not report["equal"]
    given = json.loads(cluster.given["drill report"])
    assert "the store has gone" in given["values"]["failed"]
    assert "restored" not in given


def test_a_drill_that_would_fill_the_disk_of_its_host_is_not_made(cluster: Cluster) -> None:
    drills(cluster, equal=False, told="failed")
    cluster.answers["restore plan"] = {**PLAN, "room": 9001}
    asyncio.run(drill._drill(FOUND, KEY, ""))
    assert "galera-2 has 0 MB free" in json.loads(cluster.given["drill report"])["values"]["failed"]
    assert "restore send" not in [step for _, step in cluster.steps()]


def test_an_archive_that_stands_still_fails_the_drill(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    drills(cluster, equal=False, told="failed")
    monkeypatch.setattr(drill, "ARCHIVED", -1.0)
    cluster.answers["backups --json"] = {"archive": {"last": 7, "problem": "no room"}}
    asyncio.run(drill._drill(FOUND, KEY, ""))
    assert "it is at 7): no room" in json.loads(cluster.given["drill report"])["values"]["failed"]


def test_a_node_that_is_not_synced_is_not_compared_even_if_it_is_named(cluster: Cluster) -> None:
    drills(cluster)
    cluster.runs = ["galera-1 (synced)", "galera-2 (synced)", "galera-3 (starting)"]
    with pytest.raises(OperationsError, match="galera-3 is not Synced"):
        asyncio.run(drill._drill(FOUND, KEY, "galera-3"))
    assert asyncio.run(drill._drill(FOUND, KEY, "galera-1"))["equal"]


def test_without_a_synced_node_there_is_no_drill(cluster: Cluster) -> None:
    drills(cluster)
    cluster.runs = []
    with pytest.raises(OperationsError, match="nothing to compare with"):
        asyncio.run(drill._drill(FOUND, KEY, ""))


# ---- verify


NOW = datetime(2026, 11, 30, 5, tzinfo=UTC)


def told_of(days: float, equal: bool = True, good: bool = True) -> dict[str, Any]:
    when = f"{NOW - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
    last = {"when": when, "equal": equal, "told": f"drill of {when}"}
    return {"last": last, "good": {"when": "2026-11-01T00:00:00Z"} if good else None}


@pytest.mark.parametrize(
    ("said", "ok", "warns", "words"),
    [
        pytest.param(None, True, True, "never", id="of nodes of before"),
        pytest.param({"last": None, "good": None}, True, True, "never", id="never"),
        pytest.param(told_of(3), True, False, "3 d ago", id="young"),
        pytest.param(told_of(9), True, True, "9 d ago", id="too old"),
        pytest.param(told_of(-3), True, True, "yet to come", id="of a clock that is wrong"),
        pytest.param(told_of(1, equal=False), False, False, "the last good one: 2026-11-01", id="differs"),
        pytest.param(told_of(1, equal=False, good=False), False, False, "drill of", id="never a good one"),
    ],
)
def test_verify_says_what_the_backups_are_worth(said: Any, ok: bool, warns: bool, words: str) -> None:
    facts = {name: HostFacts(node_status={"backup": {"drill": said, "sentences": []}}) for name in NODES}
    (check,) = drill_checks.of_drill(FOUND, facts, NOW)
    assert (check.ok, check.warns) == (ok, warns)
    assert words in check.found
    assert bool(check.remedy) == (warns or not ok)


@pytest.mark.parametrize(("timeline", "warns"), [("new.1-x", True), ("old.0", False)])
def test_a_drill_of_a_former_timeline_says_nothing_of_the_present_one(timeline: str, warns: bool) -> None:
    said = told_of(1)
    said["last"]["timeline"] = "old.0"
    status = {"backup": {"drill": said, "timeline": timeline, "sentences": []}}
    facts = {name: HostFacts(node_status=status) for name in NODES}
    (check,) = drill_checks.of_drill(FOUND, facts, NOW)
    assert (check.ok, check.warns, "former timeline old.0" in check.found) == (True, warns, warns)


def test_verify_says_that_a_restore_waits_for_a_word() -> None:
    status = {"backup": {"drill": told_of(3), "sentences": []}, "restore": "The restore to latest …"}
    drill, waits = drill_checks.of_drill(FOUND, {name: HostFacts(node_status=status) for name in NODES}, NOW)
    assert (drill.ok, drill.warns, waits.ok, waits.warns) == (True, False, True, True)
    assert waits.found == "The restore to latest …"
    assert "UNDO=1" in waits.remedy


def test_a_stack_without_backups_needs_no_drill() -> None:
    none = parse("dev", VALUES)
    facts = {name: HostFacts() for name in NODES}
    assert drill_checks.of_drill(none, facts, NOW) == []
    assert drill_checks.of_drill(FOUND, facts, NOW) == []
    assert backup_checks.told(FOUND, facts) == {}
