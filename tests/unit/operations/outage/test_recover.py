"""`recover`: what each node has, what each way out would lose, and that only what was chosen is done."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import typer

from operations.errors import OperationsError
from operations.outage import recover, recovery
from operations.outage.recovery import Outage, ways
from operations.remote_hosts import Answer
from tests.unit.fake_host import FakeHost
from tests.unit.operations.around_run.test_care import FOUND

pytestmark = pytest.mark.unit

U = "9f3c1e0a-0000-11ee-8000-000000000001"
OTHER = "bbbbbbbb-0000-11ee-8000-000000000001"
MEMBERS = ("galera-1", "galera-2", "galera-3")


def status(
    seqno: int = 100, *, epoch: str = "", uuid: str = U, store: str = "", **published: int
) -> dict[str, Any]:
    """What a node that waits says: of itself, and of the others by what they have published."""
    own = {"node": None, "epoch": epoch, "uuid": uuid, "seqno": seqno, "health": "waiting", "healthy": False}
    if store:
        return {"cluster": None, "self": own, "members": {}, "view": [], "store": store}
    members = {
        name: {"state": "stopped", "published": published.get(name.replace("-", "_"), 90), "forgotten": False}
        for name in MEMBERS
    }
    return {
        "cluster": {"uuid": U, "phase": "formed", "seed": "galera-1", "epoch": ""},
        "self": own,
        "members": members,
        "view": list(MEMBERS),
        "decided": [],
    }


def host(told: Mapping[str, Any] | None, **lines: str) -> Answer:
    """What a host prints; without `told` no container runs there."""
    rows = []
    if told is not None:
        rows = ["container\tc1", *(f"status\t{line}" for line in json.dumps(told, indent=1).splitlines())]
    return Answer(
        "\n".join([*rows, *(f"{key}\t{line}" for key, text in lines.items() for line in text.split("\n"))])
    )


AWAY = Answer(error="no SSH at 203.0.113.3: timed out")


def outage(*answers: Answer) -> Outage:
    return recovery.read(dict(zip(MEMBERS, answers, strict=True)))


def by_command(seen: Outage) -> dict[str, str]:
    """What each way would lose."""
    return {way.command: way.loses for way in ways(seen)}


# -- what there is


def test_what_a_node_has_is_read_from_its_program_or_from_its_files() -> None:
    grastate = f"# GALERA saved state\nversion: 2.1\nuuid:    {U}\nseqno:   97\nsafe_to_bootstrap: 1"
    seen = outage(
        host(
            status(100),
            grastate=f"uuid: {U}\nseqno: -1\nsafe_to_bootstrap: 0",
            written="2026-11-30 04:00:00 UTC",
        ),
        host(None, grastate=grastate, note='{"epoch": "e2"}'),
        AWAY,
    )
    one, two, three = seen.nodes
    assert (one.uuid, one.seqno, one.epoch, one.safe, one.published) == (U, 100, "", False, 90)
    assert one.written == "2026-11-30 04:00:00 UTC"
    assert (two.runs, two.uuid, two.seqno, two.epoch, two.safe) == (False, U, 97, "e2", True)
    assert (three.away, three.published, three.seqno) == (AWAY.error, 90, -1)
    assert (seen.uuid, seen.epoch, seen.view) == (U, "", MEMBERS)


def test_a_damaged_file_keeps_nothing_else_from_sight() -> None:
    seen = outage(host(None, grastate=f"uuid: {U}\nseqno: x9"), host(status(100)), AWAY)
    assert [node.seqno for node in seen.nodes] == [-1, 100, -1]


def test_the_script_reads_a_host_and_changes_nothing(tmp_path: Path) -> None:
    made = FakeHost(tmp_path / "host")
    data = made.file("volume/grastate.dat", f"uuid: {U}\nseqno: 97\nsafe_to_bootstrap: 1\n").parent
    made.file("volume/galera-node.note", '{"epoch": "e2"}\n')
    made.program("timeout", 'shift; exec "$@"')
    made.program(
        "docker",
        f"""case "$1 $2" in
  "ps -q") cat "$host/runs" 2>/dev/null ;;
  "exec c1") echo '{json.dumps(status(100))}' ;;
  "volume inspect") echo "|{data}" ;;
esac""",
    )
    for runs, seqno in (("", 97), ("c1\n", 100)):
        made.file("runs", runs)
        ran = made.run(recovery.look(FOUND))
        assert ran.code == 0, ran.err
        (node, *_) = recovery.read({"galera-1": Answer(ran.out)}).nodes
        assert (node.uuid, node.seqno, node.runs, node.safe) == (U, seqno, bool(runs), True)
        assert node.epoch == ("" if runs else "e2")
        assert node.written.endswith("UTC")


# -- the ways out, and what each would lose


def test_where_all_are_here_waiting_loses_nothing_and_comes_first() -> None:
    first, *rest = ways(outage(host(status(100)), host(status(100)), host(status(98))))
    assert (first.command, first.loses) == ("", "")
    assert {way.command: way.loses for way in rest} == {
        "recover --from galera-1": "",
        "recover --from galera-2": "",
        "recover --from galera-3": "at least 2 transactions that galera-1 has had; at least 2 "
        "transactions that galera-2 has had",
    }


def test_who_is_missing_is_to_be_brought_back_and_giving_it_up_has_its_price() -> None:
    seen = outage(host(status(100, galera_3=104)), host(status(99, galera_3=104)), AWAY)
    first, forget, *_ = ways(seen)
    assert "Have galera-3 back" in first.what
    assert first.loses == ""
    assert forget.command == "recover --forget galera-3"
    assert "at least 4 transactions (104 was published, 100 is here)" in forget.loses
    lost = by_command(seen)["recover --from galera-2"]
    assert "at least 1 transactions that galera-1 has had" in lost
    assert "at least 5 transactions that galera-3 has had" in lost
    assert "what only galera-3 may have committed last" in lost


def test_one_that_was_not_ahead_may_still_have_committed_what_it_never_told() -> None:
    loses = by_command(outage(host(status(100)), host(status(99)), AWAY))["recover --forget galera-3"]
    assert (
        loses
        == "of galera-3 what it alone has committed, at the most after it last told its position (every 10 s)"
    )


def test_a_node_whose_position_is_not_known_is_as_one_that_is_missing() -> None:
    seen = outage(host(status(100)), host(status(99)), host(status(-1)))
    assert [node.name for node in seen.missing] == ["galera-3"]
    assert "recover --forget galera-3" in by_command(seen)
    assert "recover --from galera-3" not in by_command(seen)


def test_data_of_another_cluster_or_an_unfinished_copy_is_no_way_out_and_an_older_epoch_is_said() -> None:
    seen = outage(host(status(100)), host(status(500, epoch="e1")), host(status(300, uuid=OTHER)))
    lost = by_command(seen)
    assert "recover --from galera-3" not in lost
    assert "all since epoch the first began: its data is of epoch e1" in lost["recover --from galera-2"]
    partial = outage(host(status(100)), host(status(99)), host(status(98), partial="yes"))
    assert "recover --from galera-3" not in by_command(partial)


def test_without_the_store_or_with_a_node_that_serves_there_is_nothing_to_choose() -> None:
    silent = outage(*(host(status(100, store="etcd does not answer")) for _ in MEMBERS))
    assert (silent.store, ways(silent)) == ("etcd does not answer", [])
    assert "the store does not answer" in recovery.refusal(silent, "galera-1", [])
    nobody = outage(*(host(None) for _ in MEMBERS))
    assert nobody.store == "no node runs that could ask it"
    told = status(100)
    told["members"]["galera-1"]["state"] = "synced"
    serving = outage(host(told), host(status(100)), AWAY)
    assert ways(serving) == []
    assert "there is nothing to recover" in recovery.refusal(serving, "galera-1", [])


@pytest.mark.parametrize(
    ("source", "forget", "told"),
    [
        ("galera-1", [], ""),
        ("", ["galera-3"], ""),
        ("galera-1", ["galera-3"], "two ways"),
        ("galera-9", [], "galera-9 is no node of this cluster"),
        ("galera-3", [], "galera-3 is not here with data"),
        ("", ["galera-9"], "galera-9 is no node"),
    ],
)
def test_only_what_can_be_is_told_to_the_nodes(source: str, forget: list[str], told: str) -> None:
    found = recovery.refusal(outage(host(status(100)), host(status(99)), AWAY), source, forget)
    assert told in found
    assert bool(found) is bool(told)


def test_one_that_runs_is_not_forgotten_and_one_that_only_waits_is() -> None:
    told = status(100)
    told["members"]["galera-2"]["state"] = "running"
    seen = outage(host(told), host(status(99)), AWAY)
    assert "galera-2 runs" in recovery.refusal(seen, "", ["galera-2"])
    assert recovery.refusal(outage(host(status(1)), host(status(-1)), AWAY), "", ["galera-2"]) == ""


@pytest.mark.parametrize(
    ("forget", "words"),
    [
        # Nobody has offered these ways; what they lose is known all the same.
        (["galera-1"], "of galera-1 at least 6 transactions (105 is there, 99 is here)"),
        (
            ["galera-3", "galera-1"],
            "of galera-1 at least 6 transactions (105 is there, 99 is here); of galera-3 at least 5 "
            "transactions (104 was published, 99 is here), and what it alone has committed",
        ),
        (["galera-2"], ""),
    ],
)
def test_a_choice_that_is_none_of_the_ways_has_its_price_too(forget: list[str], words: str) -> None:
    seen = outage(host(status(105, galera_3=104)), host(status(99, galera_3=104)), AWAY)
    assert f"recover {' '.join(f'--forget {name}' for name in forget)}" not in by_command(seen)
    assert recovery.price(seen, "", forget).startswith(words)
    assert bool(recovery.price(seen, "", forget)) is bool(words)
    for command, loses in by_command(seen).items():
        words_of = command.split()[1:]
        chosen = words_of[1] if "--from" in words_of else ""
        assert recovery.price(seen, chosen, [] if chosen else words_of[1::2]) == loses


def test_nobody_gives_up_all_that_is_here() -> None:
    seen = outage(host(status(100)), host(status(-1)), AWAY)
    assert "nobody is here with data" in recovery.refusal(seen, "", ["galera-1", "galera-3"])


def test_while_a_restore_holds_all_nodes_it_is_the_way_out() -> None:
    told = {**status(100), "restore": "The restore to latest is loading on galera-2.", "restorePhase": "load"}
    seen = outage(*(host(told) for _ in MEMBERS))
    assert list(by_command(seen)) == ["restore", "restore --undo"]
    assert "is loading on galera-2" in recovery.refusal(seen, "galera-1", [])
    assert recovery.refusal(seen, "", ["galera-3"]) == ""  # who is away keeps it from going on
    over = outage(*(host({**told, "restorePhase": "join"}) for _ in MEMBERS))
    assert "restore" not in by_command(over)


# -- the command


class Hosts:
    """In place of the hosts: what they say, and what they were told."""

    unreachable: ClassVar[dict[str, str]] = {}

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Answer) -> None:
        self.answers = dict(zip(MEMBERS, answers, strict=True))
        self.told: list[str] = []
        monkeypatch.setattr(recover, "connected", self.connected)

    @contextlib.asynccontextmanager
    async def connected(self, _found: object) -> AsyncIterator[Any]:
        yield self

    async def run_all(self, texts: Mapping[str, str]) -> dict[str, Answer]:
        assert list(texts) == list(MEMBERS)
        return self.answers

    async def run(self, name: str, text: str) -> Answer:
        words = next(line for line in text.splitlines() if line.startswith("words="))
        self.told.append(f"{name}: {words.partition(' --by ')[0]}")
        assert " --by " in words
        return Answer("done\n")

    def recover(self, source: str = "", *forget: str, as_json: bool = False, yes: bool = True) -> None:
        asyncio.run(recover._recover(FOUND, source, forget, as_json, yes))


def test_without_a_choice_all_is_shown_and_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = status(100)
    told["decided"] = [
        {"what": "forget galera-9", "by": "ann@desk", "at": "2026-11-01 00:00:00 UTC", "lost": "x"}
    ]
    made = Hosts(monkeypatch, host(told), host(status(99)), AWAY)
    made.recover()
    out = capsys.readouterr().out
    assert "python -m operations recover --forget galera-3" in out
    assert "Decided 2026-11-01 00:00:00 UTC by ann@desk: forget galera-9; left behind: x" in out
    made.recover(as_json=True)
    assert json.loads(capsys.readouterr().out)["ways"][0]["loses"] == ""
    assert made.told == []


def test_what_was_chosen_is_told_through_a_node_that_runs_with_who_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Hosts(monkeypatch, host(None), host(status(99)), AWAY)
    made.recover("", "galera-1", "galera-3")
    assert made.told == [
        "galera-2: words=(forget galera-1",
        "galera-2: words=(forget galera-3",
    ]
    assert (
        "You choose: --forget galera-1 --forget galera-3. It may lose: of galera-1" in capsys.readouterr().out
    )
    made.told.clear()
    made.recover("galera-2")
    assert made.told == ["galera-2: words=(recover-from galera-2"]


def test_a_no_and_a_refusal_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Hosts(monkeypatch, host(status(100)), host(status(99)), AWAY)
    monkeypatch.setattr(typer, "confirm", lambda _: False)
    with pytest.raises(typer.Exit):
        made.recover("galera-1", yes=False)
    with pytest.raises(OperationsError, match="galera-3 is not here with data"):
        made.recover("galera-3")
    assert made.told == []
