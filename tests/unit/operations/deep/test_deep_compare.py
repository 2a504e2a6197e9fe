"""The deep check on played nodes: what counts as a difference, what is tried again, what is left behind.

Whether real servers answer as these do is in tests/images/test_deep_check.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from operations.deep import check, one_position, rows, sessions
from operations.deep.check import Odd, Outcome
from operations.deep.sessions import SessionLost
from operations.errors import OperationsError
from tests.unit.operations.deep.played_nodes import UNHASHED, Failed, Nodes, Played, Rows

pytestmark = pytest.mark.unit

FIFTY = {number: number * 7 for number in range(1, 51)}
CHANGED = "1412 Table definition has changed, please retry transaction"


@pytest.fixture(autouse=True)
def small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few rows, and no pauses."""
    real = asyncio.sleep
    monkeypatch.setattr(rows, "ROWS", 8)
    monkeypatch.setattr(rows, "MOST_ROWS", 8)
    monkeypatch.setattr(asyncio, "sleep", lambda _: real(0))


@contextlib.contextmanager
def heard() -> Iterator[list[str]]:
    """What the check says for the user meanwhile."""
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sessions, "say", lambda text: said.append(text.removeprefix("deep check: ")))
        yield said


def compared(nodes: Nodes) -> tuple[Outcome, list[str]]:
    """What came of it, and what was said meanwhile."""
    with heard() as said:
        return asyncio.run(check.compare(tuple(nodes.nodes), nodes.opener)), said


def test_nodes_that_hold_the_same_have_no_difference_and_are_left_as_they_were() -> None:
    nodes = Nodes({"app.t": FIFTY, "app.empty": {}, "app.heap": FIFTY}, keyless={"app.heap"})
    outcome, said = compared(nodes)
    assert outcome.odd == []
    assert outcome.changed == outcome.loose == said == []
    assert (outcome.tables, outcome.rows, outcome.objects) == (3, 100, 4)
    assert outcome.whole == ["app.heap"]
    assert outcome.positions == (40, 40)
    assert outcome.pauses >= 1
    assert nodes.schemas == set()
    assert not any(node.locked for node in nodes.nodes.values())


def test_rows_that_differ_are_narrowed_down_to_the_first_of_them() -> None:
    nodes = Nodes({"app.t": FIFTY})
    nodes["g2"].tables["app.t"][7] += 1
    nodes["g2"].tables["app.t"][33] += 1
    outcome, _ = compared(nodes)
    how = "2 of 7 pieces differ, first at id > 6 and id <= 7: 1 row on g1, 1 row on g2, 1 row on g3"
    assert outcome.odd == [Odd("rows of app.t", (("g1", "g3"), ("g2",)), how)]


def test_rows_that_are_missing_are_counted_by_node() -> None:
    nodes = Nodes({"app.t": FIFTY})
    del nodes["g3"].tables["app.t"][1]
    (odd,) = compared(nodes)[0].odd
    assert odd.groups == (("g1", "g2"), ("g3",))
    assert odd.how.endswith("1 row on g1, 1 row on g2, 0 rows on g3")


def test_of_a_table_without_a_key_it_is_only_known_that_it_differs() -> None:
    nodes = Nodes({"app.heap": FIFTY}, keyless={"app.heap"})
    nodes["g1"].tables["app.heap"][9] = 0
    (odd,) = compared(nodes)[0].odd
    assert "1 of 1 pieces differ, first at the whole table" in odd.how


def test_a_row_that_the_server_cannot_hash_ends_the_check_with_the_remedy() -> None:
    nodes = Nodes({"app.t": FIFTY})
    nodes["g2"].tables["app.t"][3] = UNHASHED
    with pytest.raises(OperationsError, match=r"can't hash on g2 .*Remedy: a larger max_allowed_packet"):
        compared(nodes)
    assert nodes.schemas == set()


SHOW = "SHOW CREATE TABLE `app`.`t`"


def test_a_table_that_is_defined_differently_is_an_object_that_differs_and_its_rows_are_compared() -> None:
    nodes = Nodes({"app.t": FIFTY})
    nodes["g1"].texts[SHOW] = "with an index of its own"
    outcome, _ = compared(nodes)
    assert outcome.odd == [Odd("table app.t", (("g2", "g3"), ("g1",)), "defined differently")]
    assert outcome.whole == ["app.t"]  # by no index that a node may lack


def test_a_table_that_a_node_lacks_is_said_to_be_missing_there() -> None:
    nodes = Nodes({"app.t": FIFTY, "app.u": {}})
    del nodes["g2"].tables["app.t"]

    def shows(asked: str) -> Rows | None:
        if asked == SHOW:
            raise Failed("1146 Table 'app.t' doesn't exist")
        return None

    nodes["g2"].odd = shows
    outcome, _ = compared(nodes)
    assert outcome.odd == [Odd("table app.t", (("g1", "g3"), ("g2",)), "missing on g2")]
    assert outcome.tables == 1


def test_a_definition_that_was_only_on_its_way_is_no_difference() -> None:
    """Nodes were asked one after the other; what counts is what they say while they stand still."""
    nodes = Nodes({"app.t": FIFTY})

    def late(asked: str) -> Rows | None:
        if asked == SHOW and not nodes["g3"].locked:
            return [("t", "as it was before")]
        return None

    nodes["g3"].odd = late
    assert compared(nodes)[0].odd == []


def test_a_table_that_is_changed_meanwhile_is_compared_again() -> None:
    nodes = Nodes({"app.t": FIFTY})
    broken = iter([True])

    def breaks(asked: str) -> Rows | None:
        if asked.startswith("SELECT COUNT(*)") and "`app`.`t`" in asked and next(broken, False):
            raise Failed(CHANGED)
        return None

    nodes["g2"].odd = breaks
    outcome, said = compared(nodes)
    assert (outcome.odd, outcome.changed, outcome.tables) == ([], [], 1)
    assert said == [
        f"app.t is changed meanwhile, it is compared again later (g2: ERROR {CHANGED.replace(' ', ': ', 1)})"
    ]


def test_a_table_that_never_keeps_still_is_named() -> None:
    nodes = Nodes({"app.t": FIFTY, "app.u": FIFTY})

    def breaks(asked: str) -> Rows | None:
        if asked.startswith("SELECT COUNT(*)") and "`app`.`t`" in asked:
            raise Failed(CHANGED)
        return None

    nodes["g2"].odd = breaks
    outcome, said = compared(nodes)
    assert (outcome.odd, outcome.changed, outcome.tables) == ([], ["app.t"], 1)
    assert len(said) == check.TRIES


def test_a_change_that_broke_into_the_list_of_definitions_has_it_read_again() -> None:
    nodes = Nodes({"app.t": FIFTY})
    broken = iter([True])

    def breaks(asked: str) -> Rows | None:
        if "information_schema.TABLES" in asked and next(broken, False):
            raise Failed("1213 Deadlock found when trying to get lock; try restarting transaction")
        return None

    nodes["g1"].odd = breaks
    assert compared(nodes)[0].tables == 1


def test_accounts_that_differ_are_found_while_all_stand_still() -> None:
    nodes = Nodes({})
    nodes["g2"].accounts += 1
    outcome, _ = compared(nodes)
    how = "mysql.global_priv differs: 3 rows on g1, 3 rows on g2, 3 rows on g3"
    assert outcome.odd == [Odd("accounts and privileges", (("g1", "g3"), ("g2",)), how)]


def test_rows_that_an_engine_does_not_replicate_are_named_with_it() -> None:
    nodes = Nodes({"app.here": FIFTY, "app.same": FIFTY}, loose={"app.here", "app.same"})
    nodes["g2"].tables["app.here"] = {}
    outcome, _ = compared(nodes)
    assert outcome.loose == ["app.here (MyISAM)", "app.same (MyISAM)"]
    (odd,) = outcome.odd
    assert (odd.what, odd.why) == ("rows of app.here", "MyISAM does not replicate rows")
    assert odd.how == "50 rows on g1, 0 rows on g2, 50 rows on g3"


def test_a_loose_table_that_goes_meanwhile_is_named() -> None:
    nodes = Nodes({"app.here": FIFTY}, loose={"app.here"})

    def breaks(asked: str) -> Rows | None:
        if asked.startswith("SELECT COUNT(*)") and "`app`" in asked:
            raise Failed("1146 Table 'app.here' doesn't exist")
        return None

    nodes["g2"].odd = breaks
    outcome, _ = compared(nodes)
    assert (outcome.odd, outcome.changed) == ([], ["app.here"])


# ---- one position


def test_a_node_with_much_to_apply_is_given_time_first() -> None:
    nodes = Nodes({"app.t": FIFTY})
    nodes["g3"].queue = [60, 70, 10]
    outcome, said = compared(nodes)
    assert outcome.odd == []
    assert said == ["waiting: g3 has 60 write-sets to apply"]
    assert nodes["g3"].queue == []


def test_flow_control_that_holds_writes_up_is_waited_for() -> None:
    nodes = Nodes({"app.t": FIFTY})
    nodes["g1"].queue = [60]  # so that there is a second look
    nodes["g2"].paused = [0, 10**15, 10**15]  # between the first two: all of the time
    assert compared(nodes)[0].odd == []
    assert sum("wsrep_flow_control_paused_ns" in asked for asked in nodes["g3"].told) == 3


def test_nodes_that_stand_at_different_positions_go_on_and_are_stopped_again() -> None:
    nodes = Nodes({"app.t": FIFTY})
    nodes.ahead = {"g2": 1}

    def again(asked: str) -> Rows | None:
        if asked.startswith("ALTER TABLE") and asked.endswith("-2'"):
            nodes.ahead = {}
        return None

    nodes["g1"].odd = again
    outcome, said = compared(nodes)
    assert outcome.odd == []
    assert said == [
        "waiting for one position of all nodes: "
        "a change of a definition, or the load, holds one of the nodes up"
    ]


def test_nodes_that_cannot_be_brought_to_one_position_end_the_check_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(one_position, "PATIENCE", 0.0)
    nodes = Nodes({"app.t": FIFTY})
    nodes.ahead = {"g2": 1}
    with pytest.raises(OperationsError, match=r"could not be brought to one position.*SHOW PROCESSLIST"):
        compared(nodes)
    assert nodes.schemas == set()


def test_a_node_that_goes_meanwhile_ends_the_check_with_its_name() -> None:
    nodes = Nodes({"app.t": FIFTY})

    def goes(asked: str) -> Rows | None:
        nodes["g3"].gone = nodes["g3"].gone or asked.startswith("SHOW CREATE")
        return None

    nodes["g3"].odd = goes
    with pytest.raises(SessionLost, match="g3"):
        compared(nodes)
    assert nodes.schemas == set()


def test_what_a_check_leaves_behind_is_cleared_away_over_another_node_or_said() -> None:
    nodes = Nodes({"app.t": FIFTY})

    def goes(asked: str) -> Rows | None:
        nodes["g1"].gone = nodes["g1"].gone or asked.startswith("SHOW CREATE")
        return None

    nodes["g1"].odd = goes
    with pytest.raises(SessionLost, match="g1"):
        compared(nodes)
    assert nodes.schemas == set()
    assert any("DROP DATABASE" in asked for asked in nodes["g2"].told)

    nodes = Nodes({"app.t": FIFTY})

    def all_go(asked: str) -> Rows | None:
        if asked.startswith("SHOW CREATE"):
            for node in nodes.nodes.values():
                node.gone = True
        return None

    nodes["g1"].odd = all_go
    with heard() as said, pytest.raises(SessionLost):
        asyncio.run(check.compare(tuple(nodes.nodes), nodes.opener))
    assert "may be left: g3: the session" in said[-1]
    assert "The next deep check removes it." in said[-1]
    assert len(nodes.schemas) == 1


def test_the_traces_of_an_interrupted_check_are_removed() -> None:
    nodes = Nodes({"app.t": FIFTY})
    nodes.schemas = {"swarm_galera_check_0a"}
    outcome, said = compared(nodes)
    assert outcome.odd == []
    assert said == ["Removed what an interrupted deep check left: the schema swarm_galera_check_0a."]
    assert nodes.schemas == set()


def test_two_checks_at_a_time_are_refused_and_the_first_one_s_schema_stays() -> None:
    nodes = Nodes({"app.t": FIFTY})
    nodes.alone, nodes.schemas = False, {"swarm_galera_check_0a"}
    with pytest.raises(OperationsError, match="Another deep check is going on"):
        compared(nodes)
    assert nodes.schemas == {"swarm_galera_check_0a"}


def test_definitions_that_may_not_wait_are_refused_with_the_remedy() -> None:
    nodes = Nodes({"app.t": FIFTY})
    nodes["g2"].lock_wait = 5
    with pytest.raises(OperationsError, match=r"lock_wait_timeout is 5 s on g2.*Remedy: SET GLOBAL"):
        compared(nodes)


def test_a_long_check_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "TELL", 0.0)
    _, said = compared(Nodes({"app.t": FIFTY}))
    assert said[0] == "0:00 definitions"
    assert "0:00 app.t: piece 7, 50 rows, about 100 %; of all about 100 %" in said


def test_a_statement_without_an_answer_is_told_of_and_its_answer_still_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "QUIET", 0.01)
    nodes, said = Nodes({}), list[str]()
    told = asyncio.Event()

    def say(text: str) -> None:
        said.append(text)
        told.set()

    monkeypatch.setattr(sessions, "say", say)

    class Slow(Played):
        async def readline(self) -> bytes:
            await told.wait()
            return await super().readline()

    async def ask() -> list[Rows]:
        slow = Slow(nodes, nodes["g2"])
        session = sessions.Session("g2", sessions.Client(slow, slow, lambda: None))
        return await session.ask("SHOW CREATE TABLE `app`.`account`")

    assert asyncio.run(ask()) == [[("account", "as usual")]]
    assert said[0] == "deep check: waiting for g2, for 0 s: SHOW CREATE TABLE `app`.`account`"
