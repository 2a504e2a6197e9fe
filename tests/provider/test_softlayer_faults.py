"""Every fault and every bad value: what the user reads, and what is left behind (nothing).

Three tables: faults that the API may answer an order with, values that the lab's API itself refuses, and ways
in which the transport may fail. Codes and texts are SoftLayer's where they are published.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.softlayer import client as client_module
from components.softlayer import guests
from components.softlayer.client import Backoff
from components.softlayer.errors import OrderUnknown, SoftLayerFailed
from components.softlayer.security_group_provider import SecurityGroupProvider
from components.softlayer.ssh_key_provider import SshKeyProvider
from components.softlayer.virtual_guest_provider import VirtualGuestProvider
from harness.lab_api import LabApi
from lab.api.records import SecurityGroup
from tests.provider.providers import GUEST, OWNER, configured
from tests.provider.test_ssh_key import new_key

pytestmark = pytest.mark.provider
SL = "SoftLayer_Exception_"


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(client_module.Backoff, "__init__", _quick_backoff)


_REAL = Backoff.__init__


def _quick_backoff(self: Backoff, first: float = 0.01, most: float = 0.02, limit: float = 0.1) -> None:
    _REAL(self, min(first, 0.01), min(most, 0.02), min(limit, 0.1))


FAULTS: list[tuple[str, str, str, str]] = [
    # fault code, its text, the reason that is read, the remedy that is read
    (f"{SL}InvalidLegacyToken", "Invalid authentication token.", "do not belong together", "SL_USERNAME"),
    (f"{SL}User_Customer_Unauthorized", "Unauthorized.", "do not belong together", "SL_USERNAME"),
    (f"{SL}Public", "Access Denied. ", "does not accept the user and key", "SL_API_KEY"),
    (f"{SL}Public", "Invalid API token.", "does not accept the user and key", "SL_API_KEY"),
    (f"{SL}Permission_Denied", "Nope.", "lacks a permission", "owner"),
    (f"{SL}Order_NoPermission", "Nope.", "lacks a permission", "owner"),
    (f"{SL}Public", "You do not have permission to place orders.", "lacks a permission", "owner"),
    (f"{SL}Public", "User is not authorized to do this.", "lacks a permission", "owner"),
    (
        f"{SL}WebService_RateLimitExceeded",
        "Rate limit of 50 requests for every 1 second(s) exceeded.",
        "limits requests",
        "wait a minute",
    ),
    ("-32601", "requested method not found", "does not know this call", "endpoint"),
    ("-32602", "invalid method parameters", "does not know this call", "endpoint"),
    (
        f"{SL}Public",
        'Function ("createObject") is not a valid method for this service.',
        "does not know this call",
        "version 3.1",
    ),
    (f"{SL}Public", 'Service ("X") does not exist.', "does not know this call", "version 3.1"),
    (f"{SL}ObjectNotFound", "Unable to find object with id of '4711'.", "does not exist", "pulumi refresh"),
    (f"{SL}ObjectNotFound", "Unable to find object with id of ''.", "an id is missing", "pulumi refresh"),
    (
        f"{SL}Virtual_Guest_ActiveTransactionExists",
        "There is currently an outstanding transaction for this cloud instance.",
        "outstanding transaction",
        "ticket",
    ),
    (
        f"{SL}Public",
        "This cancellation could not be processed. There is currently an active transaction.",
        "outstanding transaction",
        "ticket",
    ),
    (f"{SL}Public", "The item is already cancelled.", "cancelled already", "pulumi refresh"),
    (
        f"{SL}Order_InvalidLocation",
        "The location provided for this order is invalid.",
        "no such datacenter",
        "slcli vs create-options",
    ),
    (f"{SL}NotFound", "Unable to find price for core capacity of 1642.", "that many cores", "`cores`"),
    (f"{SL}NotFound", "Unable to find price for ram of 7.", "that much memory", "`memory`"),
    (f"{SL}NotFound", "Unable to find price for guest_disk of 33.", "no disk of that size", "`disks`"),
    (f"{SL}NotFound", "Unable to find price for port_speed of 33.", "of that speed", "`nicSpeed`"),
    (
        f"{SL}InvalidValue",
        "Invalid value provided for 'operatingSystemReferenceCode'. X",
        "no such operating system",
        "`os`",
    ),
    (
        f"{SL}InvalidValue",
        "Invalid value provided for 'blockDeviceTemplateGroup.globalIdentifier'.",
        "no such image",
        "slcli image list",
    ),
    (f"{SL}InvalidValue", "Invalid value provided for 'networkVlan.id'.", "no such VLAN", "slcli vlan list"),
    (f"{SL}InvalidValue", "Invalid value provided for 'primarySubnet.id'.", "no such subnet", "slcli subnet"),
    (
        f"{SL}Order_InvalidData",
        "Invalid data on the order for property: placementGroupId. X",
        "no such placement group",
        "placementgroup list",
    ),
    (f"{SL}InvalidValue", "Invalid value provided for 'sshKeys'. X", "no such SSH key", "slcli sshkey list"),
    (f"{SL}InvalidValue", "Invalid value provided for 'securityGroup'. X", "no such security group", "slcli"),
    (f"{SL}InvalidValue", "Invalid value provided for 'tags'. Invalid tag names: a,b", "a tag", "hyphens"),
    (
        f"{SL}Order_InvalidData",
        "Invalid data on the order for property: hardware. Hostname and domain are not set properly.",
        "host or domain name",
        "hyphens",
    ),
    (f"{SL}InvalidDataLength", "Invalid data length.", "too long", "shorten"),
    (f"{SL}MissingCreationProperty", "The property 'startCpus' must be set.", "lacks a property", "set the"),
    (
        f"{SL}Order_Item_Invalid",
        "The price 4 GB (216541) is not valid for package (1035).",
        "not sold",
        "create-options",
    ),
    (f"{SL}Order_Item_Unavailable", "Gone.", "not sold", "create-options"),
    (f"{SL}Order_InsufficientCapacity", "Insufficient capacity.", "no room", "another datacenter"),
    (
        f"{SL}Public",
        "There is insufficient capacity to complete the request.",
        "no room",
        "another datacenter",
    ),
    (f"{SL}Public", "Your account has reached its maximum number of instances.", "may not order", "support"),
    (f"{SL}Order_Fraud", "The payment could not be processed.", "may not order", "billing"),
    (
        f"{SL}Order_Whatever",
        "Something about the order.",
        "does not take the order",
        "slcli vs create --test",
    ),
    (f"{SL}InvalidValue", "Invalid value provided for 'x'.", "does not accept a value", "the API names"),
    (f"{SL}Brand_New", "Never seen before.", "does not know", "see the API's text"),
]


@pytest.mark.parametrize(("code", "text", "why", "remedy"), FAULTS, ids=lambda value: str(value)[:34])
def test_a_refused_order_is_explained_and_leaves_nothing(
    lab_api: LabApi, code: str, text: str, why: str, remedy: str
) -> None:
    lab_api.fault("fault", method="createObject", code=code, message=text)
    with pytest.raises(SoftLayerFailed) as refused:
        configured(VirtualGuestProvider, lab_api).create(dict(GUEST))
    message = str(refused.value)
    assert message.startswith("ordering galera-1.example.com failed: ")
    assert why in message
    assert remedy in message
    assert "Nothing has been ordered." in message
    assert f"(SoftLayer: {code}: " in message
    assert lab_api.ordered == 0
    assert lab_api.guests() == []


class Change:
    """Something that is done to a thing of the stack, and refused by one call of the API."""

    def __init__(self, lab: LabApi, method: str) -> None:
        self.lab, self.method = lab, method
        self.guests = configured(VirtualGuestProvider, lab)
        self.groups = configured(SecurityGroupProvider, lab)
        self.rules = {"owner": OWNER, "resource": "firewall", "rules": [{"direction": "egress"}]}
        group = self.groups.create(dict(self.rules))
        self.group_id, self.group_state = group.id, dict(group.outs or {})
        self.declared = {**GUEST, "private_security_groups": [group.id]}
        guest = self.guests.create(dict(self.declared))
        self.id, self.state = guest.id, dict(guest.outs or {})
        lab.wait_idle(int(guest.id))

    def attempt(self) -> None:
        """Do it, as Pulumi would."""
        changed: dict[str, Any] = {
            "placeOrder": {"cores": 2.0, "disks": [25.0, 100.0]},
            "reloadOperatingSystem": {"reload_token": "2026-11"},
        }
        if self.method == "deleteObject":
            self.guests.delete(self.id, self.state)
        elif self.method == "addRules":
            rules = [{"direction": "ingress"}, {"direction": "egress"}]
            self.groups.update(self.group_id, self.group_state, {**self.rules, "rules": rules})
        else:
            self.guests.update(self.id, self.state, {**self.declared, **changed[self.method]})

    def left(self) -> Any:
        """All that the account has."""
        groups = [group.model_dump() for group in self.lab.server.store.all(SecurityGroup)]
        guests = [guest.model_dump(exclude={"modified"}) for guest in self.lab.guests()]
        return guests, groups, self.lab.backend.machines[int(self.id)].system_disk


METHODS = ["placeOrder", "deleteObject", "reloadOperatingSystem", "addRules"]


@pytest.mark.parametrize("method", METHODS)
def test_a_change_that_is_refused_is_explained_and_leaves_all_as_it_was(
    lab_api: LabApi, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Every fault of the table above, for every call that changes something."""
    monkeypatch.setattr(guests, "TRANSACTION_LIMIT", 0.1)
    change = Change(lab_api, method)
    before = change.left()
    for code, text, why, remedy in FAULTS:
        if (
            method in ("deleteObject", "detachNetworkComponents", "removeRules")
            and code == f"{SL}ObjectNotFound"
        ):
            continue  # what is to go is gone: no error, see the tests of these
        rule = lab_api.fault("fault", method=method, code=code, message=text)
        with pytest.raises(SoftLayerFailed) as refused:
            change.attempt()
        lab_api.clear_faults(rule)
        message = str(refused.value)
        assert "transaction" in message if "transaction" in why else why in message, (code, text, message)
        assert remedy in message, (code, text, message)
        assert change.left() == before, (code, text)


VALUES: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown datacenter", {"datacenter": "nix99"}, "no such datacenter"),
    ("cores that nobody sells", {"cores": 3.0}, "that many cores"),
    ("memory that nobody sells", {"memory": 3072.0}, "that much memory"),
    ("a disk that nobody sells", {"disks": [25.0, 33.0]}, "no disk of that size"),
    ("an unknown operating system", {"os": "BEOS_LATEST"}, "no such operating system"),
    ("an unknown image", {"os": None, "image": "00000000-0000-0000-0000-000000000000"}, "no such image"),
    ("an unknown VLAN", {"private_vlan": 4711.0}, "no VLAN with this id"),
    ("a VLAN's number", {"private_vlan": 1200.0}, "numbers, an id has 7"),
    ("a VLAN of the other side", {"private_vlan": 2263101.0}, "no such VLAN"),
    ("the public VLAN alone", {"public_vlan": 2263101.0}, "only together with the private one"),
    ("VLANs of two pods", {"public_vlan": 2263103.0, "private_vlan": 2263100.0}, "different pods"),
    ("an unknown SSH key", {"ssh_key_ids": ["4711"]}, "no such SSH key"),
    ("an unknown security group", {"private_security_groups": ["4711"]}, "no such security group"),
    ("an unknown placement group", {"placement_group": 4711.0}, "no such placement group"),
]


@pytest.mark.parametrize(("_name", "change", "why"), VALUES, ids=lambda value: str(value)[:34])
def test_a_value_that_the_api_refuses_is_explained_and_leaves_nothing(
    lab_api: LabApi, _name: str, change: dict[str, Any], why: str
) -> None:
    with pytest.raises(SoftLayerFailed) as refused:
        configured(VirtualGuestProvider, lab_api).create({**GUEST, **change})
    assert why in str(refused.value)
    assert "Nothing has been ordered." in str(refused.value)
    assert lab_api.ordered == 0


CREDENTIALS = [
    ({"apiKey": "wrong-key"}, "do not belong together"),
    ({"username": "apikey", "apiKey": "wrong-key"}, "does not accept the user and key"),
    ({"endpoint": "http://127.0.0.1:9/xmlrpc/v3.1"}, "nothing answers at the API's address"),
    ({"endpoint": "http://no.such.host.invalid/"}, "plain text"),
    ({"endpoint": "https://no.such.host.invalid/"}, "resolved"),
]


@pytest.mark.parametrize(("settings", "why"), CREDENTIALS, ids=lambda value: str(value)[:40])
def test_credentials_and_endpoints_that_cannot_work_are_explained(
    lab_api: LabApi, settings: dict[str, Any], why: str
) -> None:
    with pytest.raises(SoftLayerFailed, match=why) as refused:
        configured(VirtualGuestProvider, lab_api, **settings).create(dict(GUEST))
    assert "wrong-key" not in str(refused.value)
    assert lab_api.ordered == 0


def test_an_endpoint_with_another_path_is_explained(lab_api: LabApi) -> None:
    with pytest.raises(SoftLayerFailed, match=r"no SoftLayer API at this address.*/xmlrpc/v3\.1"):
        configured(
            VirtualGuestProvider, lab_api, endpoint=lab_api.endpoint.replace("/xmlrpc", "/elsewhere")
        ).create(dict(GUEST))


TRANSPORT = [("http-500", "out of order"), ("http-429", "limits requests"), ("drop", "broke")]


@pytest.mark.parametrize(("kind", "why"), TRANSPORT)
def test_a_read_that_never_succeeds_is_explained(lab_api: LabApi, kind: str, why: str) -> None:
    lab_api.fault(kind, method="getVirtualGuests")
    with pytest.raises(SoftLayerFailed, match=why) as refused:
        configured(VirtualGuestProvider, lab_api).create(dict(GUEST))
    assert "Nothing has been ordered." in str(refused.value)
    assert lab_api.ordered == 0


@pytest.mark.parametrize("kind", ["http-500", "drop"])
def test_an_order_with_unknown_outcome_says_so(lab_api: LabApi, kind: str) -> None:
    lab_api.fault(kind, method="createObject")
    with pytest.raises(OrderUnknown, match="python -m operations audit"):
        configured(VirtualGuestProvider, lab_api, orderSettle=0.2).create(dict(GUEST))
    assert lab_api.count("Virtual_Guest", "createObject") == 1
    assert lab_api.ordered == 0


@pytest.mark.parametrize("text", ["Internal Error", "An unexpected error has occurred."])
def test_an_order_in_which_the_api_failed_is_looked_for(lab_api: LabApi, text: str) -> None:
    """It may have been taken before that: this is no refusal."""
    lab_api.fault("fault", method="createObject", count=1, message=text, after=True)
    configured(VirtualGuestProvider, lab_api).create(dict(GUEST))
    assert lab_api.count("Virtual_Guest", "createObject") == 1
    assert lab_api.ordered == 1


def test_an_order_in_which_the_api_failed_and_that_does_not_show_up_is_of_unknown_outcome(
    lab_api: LabApi,
) -> None:
    lab_api.fault("fault", method="createObject", message="Internal Error")
    with pytest.raises(OrderUnknown) as unknown:
        configured(VirtualGuestProvider, lab_api, orderSettle=0.2).create(dict(GUEST))
    assert "Nothing has been ordered" not in str(unknown.value)


@pytest.mark.parametrize("status", [401, 403, 404, 413])
def test_an_order_that_http_refuses_is_refused_at_once(lab_api: LabApi, status: int) -> None:
    lab_api.fault(f"http-{status}", method="createObject")
    with pytest.raises(SoftLayerFailed, match=r"Nothing has been ordered") as refused:
        configured(VirtualGuestProvider, lab_api, orderSettle=0.2).create(dict(GUEST))
    assert not isinstance(refused.value, OrderUnknown)
    assert lab_api.count("Virtual_Guest", "createObject") == 1


@pytest.mark.parametrize("status", [408, 503])
def test_an_order_that_http_may_have_let_through_is_looked_for(lab_api: LabApi, status: int) -> None:
    lab_api.fault(f"http-{status}", method="createObject", count=1, after=True)
    configured(VirtualGuestProvider, lab_api).create(dict(GUEST))
    assert lab_api.ordered == 1


def test_a_look_that_fails_after_an_order_was_sent_does_not_say_that_nothing_was_ordered(
    lab_api: LabApi,
) -> None:
    lab_api.fault("lost-response", method="createObject")
    lab_api.fault("fault", method="getVirtualGuests", skip=1, message="Access Denied. ")
    for _ in range(2):  # the next run does not know it either
        with pytest.raises(SoftLayerFailed, match="An order was sent and its outcome is not known") as failed:
            configured(VirtualGuestProvider, lab_api).create(dict(GUEST))
        assert "Nothing has been ordered" not in str(failed.value)
    lab_api.clear_faults()
    configured(VirtualGuestProvider, lab_api).create(dict(GUEST))
    assert lab_api.ordered == 1


def test_what_a_refusal_says_is_looked_at(lab_api: LabApi) -> None:
    """The request before it may have been taken, or the refusal be wrong."""
    lab_api.fault("fault", method="createObject", code=f"{SL}Order_X", message="No.", after=True)
    created = configured(VirtualGuestProvider, lab_api).create(dict(GUEST))
    assert [guest.id for guest in lab_api.guests()] == [int(created.id)]


def test_a_refusal_that_cannot_be_looked_at_does_not_say_that_nothing_was_ordered(lab_api: LabApi) -> None:
    lab_api.fault("fault", method="createObject", message="Access Denied. ")
    lab_api.fault("fault", method="getVirtualGuests", skip=1, message="Access Denied. ")
    with pytest.raises(
        SoftLayerFailed, match=r"does not accept the user.*anything was ordered could not be looked up"
    ) as refused:
        configured(VirtualGuestProvider, lab_api).create(dict(GUEST))
    assert "Nothing has been ordered" not in str(refused.value)


def test_a_key_upload_that_is_refused_leaves_nothing(lab_api: LabApi) -> None:
    lab_api.fault("fault", method="createObject", code=f"{SL}Public", message="Access Denied. ")
    with pytest.raises(SoftLayerFailed, match=r"uploading the SSH key .*SL_API_KEY"):
        configured(SshKeyProvider, lab_api).create(
            {"owner": OWNER, "resource": "ssh-key", "public_key": new_key()}
        )
    assert lab_api.client().call("Account", "getSshKeys") == []


def test_a_key_that_the_api_repeats_in_its_error_is_blacked_out(lab_api: LabApi) -> None:
    text = f"bad request with {lab_api.api_key}"
    lab_api.fault("fault", method="getVirtualGuests", code=f"{SL}Public", message=text)
    with pytest.raises(SoftLayerFailed) as refused:
        configured(VirtualGuestProvider, lab_api).create(dict(GUEST))
    seen: BaseException | None = refused.value
    while seen is not None:
        assert lab_api.api_key not in repr(seen) + str(seen)
        seen = seen.__cause__ or seen.__context__
    assert "[hidden]" in str(refused.value)


def test_no_answer_ever_holds_an_operating_system_s_password(lab_api: LabApi) -> None:
    provider = configured(VirtualGuestProvider, lab_api)
    created = provider.create(dict(GUEST))
    lab_api.wait_idle(int(created.id))
    default = lab_api.client().call(
        "Virtual_Guest", "getObject", id=int(created.id), mask="mask[operatingSystem[passwords]]"
    )
    password = default["operatingSystem"]["passwords"][0]["password"]
    read = provider.read(created.id, dict(created.outs or {}))
    assert password not in repr(read.outs) + repr(created.outs)
