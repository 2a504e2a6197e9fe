"""Object filters: which objects are kept, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from lab.api.errors import Fault
from lab.api.filters import apply
from lab.api.masks import Entity

pytestmark = pytest.mark.unit


def _reference(name: str) -> Entity:
    return Entity("Tag_Reference", {"id": 1}, {"tag": lambda: Entity("Tag", {"name": name})})


def _guest(number: int, hostname: str, cores: int, tags: list[str], place: str, **more: Any) -> Entity:
    references = [_reference(name) for name in tags]
    local = {
        "id": number,
        "hostname": hostname,
        "maxCpu": cores,
        "localDiskFlag": cores > 1,
        "notes": None,
        **more,
    }
    return Entity(
        "Virtual_Guest",
        local,
        {
            "tagReferences": lambda: references,
            "datacenter": lambda: Entity("Location", {"name": place}),
            "activeTransaction": lambda: None,
        },
    )


GUESTS = [
    _guest(3, "galera-1", 1, ["dockerhost", "db"], "tor01", createDate="2026-03-01T10:00:00+00:00"),
    _guest(1, "galera-2", 2, ["dockerhost"], "dal13", createDate="2026-03-02T10:00:00+00:00", notes="mine"),
    _guest(2, "Web-1", 4, [], "tor01", createDate="2026-03-03T10:00:00+00:00"),
]


def _options(operation: str, **values: list[Any]) -> dict[str, Any]:
    return {
        "operation": operation,
        "options": [{"name": name, "value": value} for name, value in values.items()],
    }


@pytest.mark.parametrize(
    ("tree", "ids"),
    [
        ({}, [3, 1, 2]),
        ("", [3, 1, 2]),
        (None, [3, 1, 2]),
        ({"hostname": {}}, [3, 1, 2]),
        ({"hostname": {"operation": "galera-1"}}, [3]),
        ({"id": {"operation": 1}}, [1]),
        ({"localDiskFlag": {"operation": True}}, [1, 2]),
        ({"hostname": {"operation": "_= GALERA-1"}}, [3]),
        ({"hostname": {"operation": "^= galera"}}, [3, 1]),
        ({"hostname": {"operation": "$= -1"}}, [3, 2]),
        ({"hostname": {"operation": "*= eb"}}, [2]),
        ({"hostname": {"operation": "~ alera"}}, [3, 1]),
        ({"hostname": {"operation": "!~ alera"}}, [2]),
        ({"hostname": {"operation": "!= galera-1"}}, [1, 2]),
        ({"maxCpu": {"operation": "> 1"}}, [1, 2]),
        ({"maxCpu": {"operation": ">= 2"}}, [1, 2]),
        ({"maxCpu": {"operation": "< 2"}}, [3]),
        ({"maxCpu": {"operation": "<= 2"}}, [3, 1]),
        ({"id": _options("in", data=[1, 2])}, [1, 2]),
        ({"id": _options("not in", data=[1, 2])}, [3]),
        ({"tagReferences": {"tag": {"name": _options("in", data=["db"])}}}, [3]),
        ({"tagReferences": {"tag": {"name": {"operation": "dockerhost"}}}}, [3, 1]),
        ({"datacenter": {"name": {"operation": "tor01"}}, "maxCpu": {"operation": "> 1"}}, [2]),
        ({"notes": {"operation": "is null"}}, [3, 2]),
        ({"notes": {"operation": "not null"}}, [1]),
        ({"activeTransaction": {"id": {"operation": 5}}}, []),
        ({"id": _options("orderBy", sort=["ASC"])}, [1, 2, 3]),
        ({"id": _options("orderBy", sort=["DESC"])}, [3, 2, 1]),
        (
            {
                "datacenter": {"name": _options("orderBy", sort=["ASC"])},
                "id": _options("orderBy", sort=["DESC"]),
            },
            [1, 3, 2],
        ),
        ({"hostname": {"operation": "*= a"}, "id": _options("orderBy", sort=["ASC"])}, [1, 3]),
        (
            {
                "createDate": _options(
                    "betweenDate", startDate=["03/01/2026 12:00:00"], endDate=["03/02/2026 12:00:00"]
                )
            },
            [1],
        ),
        ({"createDate": _options("greaterThanDate", date=["03/02/2026"])}, [1, 2]),
        ({"createDate": _options("lessThanDate", date=["2026-03-02T00:00:00.000000+00:00"])}, [3]),
    ],
)
def test_a_filter_keeps_and_orders(tree: Any, ids: list[int]) -> None:
    assert [guest.local["id"] for guest in apply(GUESTS, tree)] == ids


@pytest.mark.parametrize(
    "tree",
    [
        {"nonsense": {"operation": 1}},
        {"datacenter": {"nonsense": {"operation": 1}}},
        {"id": _options("within", data=[1])},
        {"hostname": "galera-1"},
        {"createDate": _options("greaterThanDate", date=["yesterday"])},
        {"createDate": _options("greaterThanDate")},
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_rather_than_ignored(tree: Any) -> None:
    with pytest.raises(Fault) as refused:
        apply(GUESTS, tree)
    assert refused.value.code == "SoftLayer_Exception_WebService_ObjectFilter"


def test_a_filter_leaves_the_list_that_it_was_given_alone() -> None:
    apply(GUESTS, {"id": _options("orderBy", sort=["ASC"])})
    assert [guest.local["id"] for guest in GUESTS] == [3, 1, 2]
