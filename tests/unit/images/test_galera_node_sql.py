"""What mariadbd says of itself, as the node's program takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("state", "ready", "serves"),
    [
        pytest.param("Synced", True, True, id="synced"),
        pytest.param("Donor/Desynced", True, True, id="a donor"),
        pytest.param("Joined", True, True, id="a donor that is done"),
        pytest.param("Joined", False, False, id="a joiner that has all but the last write-sets"),
        pytest.param("Joining: receiving State Transfer", False, False, id="a joiner"),
        pytest.param("Synced", False, False, id="synced, and cut off"),
    ],
)
def test_a_donor_serves_until_it_is_synced_again_and_a_joiner_only_then(
    modules: Any, state: str, ready: bool, serves: bool
) -> None:
    status = modules.sql.ServerStatus(state, True, True, ready, "u", 7, 3)
    assert status.synced is serves


class Connection:
    """The client library's. `ends`: what each next statement fails with; None: it does not."""

    def __init__(self, *ends: Exception | None) -> None:
        self.ends, self.asked = list(ends), list[str]()
        self.status = {"wsrep_local_state_comment": "Donor/Desynced", "wsrep_cluster_weight": "3"}

    def cursor(self) -> Connection:
        return self

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    def execute(self, statement: str, _: object) -> None:
        self.asked.append(statement)
        if self.ends and not statement.startswith("SET ") and (end := self.ends.pop(0)) is not None:
            raise end

    def fetchall(self) -> list[tuple[str, str]]:
        return list(self.status.items())


@pytest.fixture
def to(modules: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What asks a server with these connections, one after the other; an error is one that is refused."""

    def made(*connections: Connection | Exception) -> Any:
        left = list(connections)

        def connect(**_: object) -> Connection:
            found = left.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(modules.sql.pymysql, "connect", connect, raising=False)
        return modules.sql.Sql(Path("/socket"))

    return made


def test_a_connection_that_somebody_has_ended_is_no_server_that_has_gone(to: Any) -> None:
    asked = to(Connection(None, Exception(2013, "Lost connection")), Connection())
    assert [asked.status().votes for _ in range(2)] == [3, 3]


def test_a_server_that_has_gone_is_asked_no_further(modules: Any, to: Any) -> None:
    gone = Exception(2003, "Connection refused")
    asked = to(Connection(None, Exception(2013, "Lost connection")), gone, gone)
    asked.status()
    for _ in range(2):
        with pytest.raises(modules.sql.SqlError) as error:
            asked.status()
        assert not isinstance(error.value, modules.sql.SqlLateError)


def test_an_answer_that_is_late_is_not_asked_for_again(modules: Any, to: Any) -> None:
    asked = to(Connection(None, TimeoutError("timed out")))
    asked.status()
    with pytest.raises(modules.sql.SqlLateError):
        asked.status()


@pytest.mark.parametrize(
    "refusal",
    [Exception(1040, "Too many connections"), BlockingIOError(11, "Try again")],
    ids=["1040", "queue"],
)
def test_a_server_that_clients_have_filled_is_there(modules: Any, to: Any, refusal: Exception) -> None:
    with pytest.raises(modules.sql.SqlLateError):
        to(refusal).status()


def test_a_donor_is_asked_one_question_as_any_other(to: Any) -> None:
    connection = Connection()
    to(connection).status()
    assert [text.split()[0] for text in connection.asked] == ["SET", "SHOW"]


@pytest.mark.parametrize(("weight", "quorum"), [("3", True), ("0", False), (None, True)])
def test_a_majority_that_is_lost_is_known_before_mariadbd_hears_of_it(
    to: Any, weight: str | None, quorum: bool
) -> None:
    connection = Connection()
    connection.status = {} if weight is None else {"wsrep_cluster_weight": weight}
    assert to(connection).status().quorum is quorum
