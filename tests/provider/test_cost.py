"""Prices asked of the API, and nothing ordered by it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from components.softlayer.changes import interrupted
from components.softlayer.client import Api, Credentials
from components.softlayer.cost import NOTHING, Estimate, compared, estimate
from components.softlayer.errors import CostTooHigh, SoftLayerFailed
from components.softlayer.virtual_guest_provider import VirtualGuestProvider
from harness.lab_api import LabApi
from settings.server import Server
from tests.provider.providers import GUEST, OWNER, api_of, configured

pytestmark = pytest.mark.provider


def server_of(**fields: Any) -> Server:
    return Server.of(**{"domain": "example.com", "datacenter": "tor01", **fields})


SERVER = server_of()


def plan(lab: LabApi, *names: str, server: Server = SERVER, limit: Any = None) -> Estimate:
    return estimate(api_of(lab), dict.fromkeys(names, server), limit)


def beside(lab: LabApi, *names: str, owner: str | None = OWNER) -> Estimate:
    return compared(api_of(lab), plan(lab, *names), owner)


def order(lab: LabApi, name: str, **declared: Any) -> None:
    configured(VirtualGuestProvider, lab).create(
        {**GUEST, "resource": f"{name}-guest", "hostname": name, **declared}
    )


def test_an_estimate_orders_nothing(lab_api: LabApi) -> None:
    plan(lab_api, "a", "b")
    assert lab_api.ordered == 0
    assert lab_api.count("Product_Order", "placeOrder") == 0
    assert lab_api.count("Virtual_Guest", "createObject") == 0


def test_equal_servers_are_asked_for_once(lab_api: LabApi) -> None:
    found = plan(lab_api, *(f"galera-{number}" for number in range(99)))
    assert lab_api.count("Product_Order", "verifyOrder") == 1
    assert len(found.hosts) == 99
    assert found.total.hourly == found.hosts["galera-0"].hourly * 99


def test_a_larger_server_costs_more(lab_api: LabApi) -> None:
    small = plan(lab_api, "a").total
    large = plan(lab_api, "a", server=server_of(cores=4, memory=8192, disks=(25, 100))).total
    assert 0 < small.monthly < large.monthly


def test_a_monthly_server_is_priced_by_the_month(lab_api: LabApi) -> None:
    monthly = plan(lab_api, "a", server=server_of(disks=(25,), hourly=False)).total
    assert monthly.monthly > 0
    assert monthly.hourly == monthly.monthly / 730


def test_a_server_from_an_image_is_priced_with_its_disks(lab_api: LabApi) -> None:
    image = lab_api.client()["Virtual_Guest_Block_Device_Template_Group"].getPublicImages()[0]
    servers = (
        server_of(os=None, image=image["globalIdentifier"], disks=disks) for disks in ((25,), (25, 100))
    )
    one, two = (plan(lab_api, "a", server=server).total for server in servers)
    assert 0 < one.monthly < two.monthly


def test_what_is_estimated_is_what_is_paid(lab_api: LabApi) -> None:
    expected = plan(lab_api, "galera-1").total
    order(lab_api, "galera-1")
    assert beside(lab_api, "galera-1").before == expected


def test_the_estimate_says_what_the_plan_adds_removes_and_resizes(lab_api: LabApi) -> None:
    for name in ("stays", "goes"):
        order(lab_api, name)
    order(lab_api, "grows", memory=1024.0)
    for guest in lab_api.guests():
        lab_api.wait_idle(guest.id)
    order(lab_api, "foreign", owner="swarm-galera/other/0123456789ab")
    found = beside(lab_api, "stays", "grows", "comes")
    assert (found.adds, found.removes, found.resized) == (("comes",), ("goes",), ("grows",))
    assert found.added == found.hosts["comes"]
    assert found.removed == found.hosts["stays"]
    assert found.change == found.total - found.before
    assert found.change.monthly > 0
    assert set(found.guests) == {"stays", "goes", "grows"}
    assert interrupted(found.guests, dict.fromkeys(("stays", "grows", "comes"), SERVER), ()) == ["grows"]


def test_what_others_pay_for_is_no_part_of_it(lab_api: LabApi, template: Any) -> None:
    """A stack of the same name on another machine, and a server that was ordered by hand."""
    order(lab_api, "galera-1", owner="swarm-galera/test/ffffffffffff")
    lab_api.client().call("Virtual_Guest", "createObject", template())
    found = beside(lab_api, "galera-1")
    assert (found.before, found.adds) == (NOTHING, ("galera-1",))


def test_a_server_that_never_got_its_tags_is_paid_for_as_well(lab_api: LabApi) -> None:
    order(lab_api, "galera-1")
    (guest,) = lab_api.guests()
    lab_api.client().call("Virtual_Guest", "setTags", "", id=guest.id)
    found = beside(lab_api, "galera-1")
    assert (found.before, found.adds) == (found.total, ())


def test_a_second_server_of_a_name_is_one_too_many(lab_api: LabApi) -> None:
    for resource in ("galera-1-guest", "left-over"):
        order(lab_api, "galera-1", resource=resource)
    found = beside(lab_api, "galera-1")
    assert (found.adds, found.removes, found.removed) == ((), ("galera-1",), found.total)


def test_a_stack_without_an_identity_has_nothing_yet(lab_api: LabApi) -> None:
    order(lab_api, "galera-1")
    lab_api.server.forget_calls()
    found = beside(lab_api, "galera-1", owner=None)
    assert (found.before, found.adds) == (NOTHING, ("galera-1",))
    assert lab_api.count("Account", "getVirtualGuests") == 0


def test_a_plan_above_the_limit_is_refused_with_both_figures(lab_api: LabApi) -> None:
    total = plan(lab_api, "a").total
    with pytest.raises(CostTooHigh, match=rf"{total.monthly:.2f} USD.*10\.00.*nothing has been ordered"):
        plan(lab_api, "a", limit=Decimal(10))
    assert plan(lab_api, "a", limit=total.monthly).total == total


def test_a_wrong_key_is_one_clear_error(lab_api: LabApi) -> None:
    api = Api(Credentials(lab_api.username, "wrong", lab_api.endpoint))
    with pytest.raises(SoftLayerFailed, match=r"do not belong together; check SL_USERNAME") as refused:
        estimate(api, {"a": SERVER})
    assert "wrong" not in str(refused.value)


def test_an_api_that_is_not_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.softlayer.cost.PATIENCE", 0.3)
    api = Api(Credentials("me", "key", "http://127.0.0.1:9/xmlrpc/v3.1"))
    with pytest.raises(SoftLayerFailed, match=r"nothing answers.*whether that is up.*Nothing has been"):
        estimate(api, {"a": SERVER})


def test_an_unknown_datacenter_is_refused_before_anything_is_ordered(lab_api: LabApi) -> None:
    with pytest.raises(SoftLayerFailed, match=r"no such datacenter.*slcli vs create-options"):
        plan(
            lab_api,
            "a",
            server=server_of(datacenter="nix99", disks=(25,)),
        )
    assert lab_api.ordered == 0
