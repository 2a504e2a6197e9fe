"""An image of another MariaDB beside data that is there."""

from __future__ import annotations

from typing import Any

import pytest

from components import server_version
from settings import parse
from tests.unit import program
from tests.unit.program import run

pytestmark = pytest.mark.unit

IMAGE = "registry.lab:5000/galera:{}-1"


def settings(image: str, upgrade_to: str | None = None) -> dict[str, Any]:
    galera = {"image": IMAGE.format(image)} | ({"upgradeTo": upgrade_to} if upgrade_to else {})
    return {**program.SETTINGS, "galera": galera}


def refused(image: str, last: dict[str, Any], **more: Any) -> list[str]:

    return list(server_version.refusals(parse(settings(image, **more)), last))


RUNS: dict[str, Any] = {"galera": {"clusterName": "galera"}}
OLD = {"galera": {"mariadb": "10.11"}}
NEW = {"galera": {"mariadb": "11.8"}}


@pytest.mark.parametrize("last", [RUNS, OLD, {"keptData": {"mariadb": "10.11"}}])
def test_a_newer_server_on_data_that_is_there_needs_a_persons_word(last: dict[str, Any]) -> None:
    (problem,) = refused("11.8", last)
    assert "MariaDB 11.8, and the data is of 10.11" in problem
    assert "set galera.upgradeTo: '11.8'" in problem
    assert not refused("11.8", last, upgrade_to="11.8")
    assert not refused("10.11", last)


@pytest.mark.parametrize("last", [NEW, {"keptData": {"mariadb": "11.8"}}])
def test_there_is_no_way_back(last: dict[str, Any]) -> None:
    (problem,) = refused("10.11", last, upgrade_to="10.11")
    assert "which no older server reads" in problem
    assert not refused("11.8", last)


@pytest.mark.parametrize("last", [{}, {"keptData": None}, {"galera": {"mariadb": ""}}])
def test_where_nothing_is_known_nothing_is_refused(last: dict[str, Any]) -> None:
    assert not refused("11.8", last)


def test_a_tag_that_says_nothing_is_left_to_the_node() -> None:
    assert not refused("mine", OLD)


def test_the_program_refuses_and_says_which_version_it_has(home: Any) -> None:
    newer = {"galera": {"image": IMAGE.format("11.8")}}
    made = run(newer)
    assert made.outputs["galera"]["mariadb"] == "11.8"
    with pytest.raises(Exception, match=r"galera\.upgradeTo: '11\.8'"):
        run(newer, former={**made.outputs, "galera": {**made.outputs["galera"], "mariadb": "10.11"}})
    allowed = {"galera": {**newer["galera"], "upgradeTo": "11.8"}}
    made = run(allowed)
    env = made.resources["galera-service"].inputs["taskSpec"]["containerSpec"]["env"]
    assert env["UPGRADE_TO"] == "11.8"
