"""Orders: one catalog for templates, verifying, placing and options; both forms of container; refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import SoftLayer
from SoftLayer import SoftLayerAPIError

from harness.lab_api import LabApi
from lab.api import price_list
from lab.api.errors import Fault
from lab.api.ordering import checkout, templates

pytestmark = pytest.mark.provider

Template = Callable[..., dict[str, Any]]
NAMES = {"hostname": "a", "domain": "example.com"}


@pytest.fixture
def container(client: Any, template: Template) -> dict[str, Any]:
    """An order container as generateOrderTemplate gives it."""
    return dict(client["Virtual_Guest"].generateOrderTemplate(template()))


def _code(call: Callable[..., Any], *args: Any, **options: Any) -> str:
    with pytest.raises(SoftLayerAPIError) as refused:
        call(*args, **options)
    return str(refused.value.faultCode)


def _lines(prices: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(price["id"], price.get("hourlyRecurringFee"), price.get("recurringFee")) for price in prices]


def test_template_verification_and_order_come_to_the_same_prices(
    client: Any, lab_api: LabApi, container: dict[str, Any]
) -> None:
    verified = client["Product_Order"].verifyOrder(container)
    assert lab_api.guests() == [], "nothing is created by verifying"
    placed = client["Product_Order"].placeOrder(container)
    assert _lines(container["prices"]) == _lines(verified["prices"])
    assert _lines(verified["prices"]) == _lines(placed["orderDetails"]["prices"])
    hourly = sum(Decimal(price.get("hourlyRecurringFee", "0")) for price in verified["prices"])
    assert Decimal(verified["postTaxRecurring"]) == hourly
    assert verified["currencyShortName"] == "USD"


def test_the_receipt_tells_ids_and_names(client: Any, lab_api: LabApi, container: dict[str, Any]) -> None:
    receipt = client["Product_Order"].placeOrder(container)
    (guest,) = receipt["orderDetails"]["virtualGuests"]
    assert guest["id"] == lab_api.guests()[0].id
    assert guest["fullyQualifiedDomainName"] == "galera-1.example.com"
    assert guest["globalIdentifier"]
    assert receipt["orderDate"].endswith("+00:00")
    order = client["Billing_Order"].getObject(id=receipt["orderId"], mask="id,userRecord[username],items")
    assert order["userRecord"]["username"] == lab_api.username


def test_a_wrapped_container_is_answered_wrapped(
    client: Any, lab_api: LabApi, container: dict[str, Any]
) -> None:
    wrapped = {"orderContainers": [container]}
    verified = client["Product_Order"].verifyOrder(wrapped)
    assert _lines(verified["orderContainers"][0]["prices"]) == _lines(container["prices"])
    client["Product_Order"].placeOrder(wrapped)
    assert lab_api.ordered == 1


def test_one_order_may_hold_several_guests(client: Any, lab_api: LabApi, container: dict[str, Any]) -> None:
    guest = container["virtualGuests"][0]
    container["virtualGuests"] = [{**guest, "hostname": name} for name in ("a", "b", "c")]
    container["quantity"] = 3
    single = Decimal(sum(Decimal(price.get("hourlyRecurringFee", "0")) for price in container["prices"]))
    assert Decimal(client["Product_Order"].verifyOrder(container)["postTaxRecurring"]) == 3 * single
    client["Product_Order"].placeOrder(container)
    assert [guest.hostname for guest in lab_api.guests()] == ["a", "b", "c"]


def test_monthly_and_hourly_orders_have_fees_of_their_own(client: Any, template: Template) -> None:
    manager = SoftLayer.VSManager(client)
    options = {"hostname": "a", "domain": "example.com", "cpus": 2, "memory": 4096, "datacenter": "tor01"}
    options |= {"os_code": "DEBIAN_LATEST", "disks": [25, 100], "local_disk": True}
    hourly = manager.order_guest({**options, "hourly": True}, test=True)
    monthly = manager.order_guest({**options, "hourly": False}, test=True)
    assert Decimal(hourly["postTaxRecurring"]) < 1 < 50 < Decimal(monthly["postTaxRecurring"])
    bandwidth = {price["item"]["keyName"] for price in monthly["prices"] if "hourlyRecurringFee" not in price}
    assert bandwidth == {"BANDWIDTH_250_GB"}, "fees may be absent"


def test_an_order_keeps_what_the_template_cannot_say(client: Any, lab_api: LabApi) -> None:
    placement = client["Virtual_PlacementGroup"].createObject(
        {
            "name": "spread",
            "ruleId": 1,
            "backendRouterId": SoftLayer.managers.PlacementManager(
                client
            ).get_backend_router_id_from_hostname("bcr01a.tor01")[0],
        }
    )["id"]
    SoftLayer.VSManager(client).order_guest(
        {
            "hostname": "a",
            "domain": "example.com",
            "cpus": 1,
            "memory": 1024,
            "datacenter": "tor01",
            "os_code": "DEBIAN_LATEST",
            "disks": [25, 25],
            "hourly": True,
            "nic_speed": 1000,
            "userdata": "hello",
            "placement_id": placement,
            "tags": "x,y",
            "private_vlan": 2263100,
            "public_vlan": 2263101,
            "public_subnet": 1934201,
            "ipv6": True,
        }
    )
    (guest,) = lab_api.guests()
    assert (guest.user_data, guest.placement_group, guest.tags) == ("hello", placement, ["x", "y"])
    assert guest.private.max_speed == 1000
    with pytest.raises(SoftLayerAPIError, match="must be empty"):
        client["Virtual_PlacementGroup"].deleteObject(id=placement)


def test_a_template_forgets_user_data_subnet_and_speed_like_softlayers(
    client: Any, template: Template
) -> None:
    wanted = template(
        userData=[{"value": "hello"}],
        primaryBackendNetworkComponent={"networkVlan": {"id": 2263100}},
        primaryNetworkComponent={"networkVlan": {"id": 2263101, "primarySubnet": {"id": 1934201}}},
    )
    made = client["Virtual_Guest"].generateOrderTemplate(wanted)
    assert "userData" not in made["virtualGuests"][0]
    assert "networkComponents" not in made["virtualGuests"][0]
    assert made["virtualGuests"][0]["primaryNetworkComponent"] == {"networkVlan": {"id": 2263101}}


def test_a_flavor_brings_cores_memory_and_disk(client: Any, lab_api: LabApi) -> None:
    options: dict[str, Any] = {
        "hostname": "a",
        "domain": "example.com",
        "flavor": "B1_2X8X25",
        "datacenter": "dal13",
    }
    options |= {"os_code": "UBUNTU_LATEST", "hourly": True, "local_disk": None}
    receipt = SoftLayer.VSManager(client).order_guest(options)
    keys = {price["item"]["keyName"] for price in receipt["orderDetails"]["prices"]}
    assert {"GUEST_CORES_2", "RAM_8_GB", "GUEST_DISK_25_GB_SAN"} <= keys
    (guest,) = lab_api.guests()
    assert (guest.cores, guest.memory, guest.local_disk, guest.datacenter) == (2, 8192, False, "dal13")


def test_an_image_can_be_ordered_by_its_identifier(client: Any, lab_api: LabApi, template: Template) -> None:
    image = client["Virtual_Guest_Block_Device_Template_Group"].getPublicImages()[0]["globalIdentifier"]
    wanted = template(
        operatingSystemReferenceCode=None,
        blockDeviceTemplateGroup={"globalIdentifier": image},
        blockDevices=None,
    )
    client["Product_Order"].placeOrder(client["Virtual_Guest"].generateOrderTemplate(wanted))
    (guest,) = lab_api.guests()
    assert (guest.image_guid, guest.host_image) == (image, "debian-12")


def test_disks_may_not_be_given_together_with_an_image(client: Any, template: Template) -> None:
    image = client["Virtual_Guest_Block_Device_Template_Group"].getPublicImages()[0]["globalIdentifier"]
    wanted = template(operatingSystemReferenceCode=None, blockDeviceTemplateGroup={"globalIdentifier": image})
    for method in ("createObject", "generateOrderTemplate"):
        code = _code(getattr(client["Virtual_Guest"], method), wanted)
        assert code == "SoftLayer_Exception_InvalidValue"


BAD_ORDERS: list[tuple[str, dict[str, Any], str]] = [
    ("no location", {"location": None}, "Order_InvalidLocation"),
    ("unknown location", {"location": "XYZ99"}, "Order_InvalidLocation"),
    ("no package", {"packageId": None}, "Order_InvalidData"),
    ("unknown package", {"packageId": 4711}, "Order_InvalidData"),
    ("no kind", {"complexType": None}, "Order_InvalidData"),
    (
        "another kind",
        {"complexType": "SoftLayer_Container_Product_Order_Hardware_Server"},
        "Order_InvalidData",
    ),
    ("no prices", {"prices": []}, "Order_InvalidData"),
    ("one price only", {"prices": [{"id": 21600}]}, "Order_InvalidData"),
    ("unknown price", {"prices": [{"id": 4711}]}, "Order_Item_Invalid"),
    ("unknown preset", {"packageId": 835, "presetId": 4711}, "Order_InvalidData"),
    ("no guests", {"virtualGuests": []}, "Order_InvalidData"),
    ("a guest without a name", {"virtualGuests": [{"domain": "example.com"}]}, "Order_InvalidData"),
    ("a bad name", {"virtualGuests": [{"hostname": "-", "domain": "example.com"}]}, "InvalidValue"),
    ("another quantity", {"quantity": 2}, "Order_InvalidData"),
    ("unknown key", {"sshKeys": [{"sshKeyIds": [4711]}]}, "ObjectNotFound"),
    ("unknown image", {"imageTemplateGlobalIdentifier": "none"}, "ObjectNotFound"),
    *(
        (
            f"unknown security group, {side}",
            {
                "virtualGuests": [
                    {**NAMES, component: {"securityGroupBindings": [{"securityGroup": {"id": 4711}}]}}
                ]
            },
            "ObjectNotFound",
        )
        for side, component in (
            ("public", "primaryNetworkComponent"),
            ("private", "primaryBackendNetworkComponent"),
        )
    ),
    ("unknown placement group", {"virtualGuests": [{**NAMES, "placementGroupId": 4711}]}, "ObjectNotFound"),
    (
        "unknown placement group by its object",
        {"virtualGuests": [{**NAMES, "placementGroup": {"id": 4711}}]},
        "ObjectNotFound",
    ),
    ("unknown key of a guest", {"virtualGuests": [{**NAMES, "sshKeys": [{"id": 4711}]}]}, "ObjectNotFound"),
    ("hourly bandwidth by the month", {"useHourlyPricing": False}, "Order_InvalidData"),
]


@pytest.mark.parametrize(("what", "change", "code"), BAD_ORDERS, ids=[entry[0] for entry in BAD_ORDERS])
def test_a_bad_order_is_refused_and_leaves_nothing(
    client: Any, lab_api: LabApi, container: dict[str, Any], what: str, change: dict[str, Any], code: str
) -> None:
    order = {name: value for name, value in {**container, **change}.items() if value is not None}
    for method in ("verifyOrder", "placeOrder"):
        assert _code(getattr(client["Product_Order"], method), order) == f"SoftLayer_Exception_{code}"
    second = {"orderContainers": [container, order]}
    assert _code(lambda: client["Product_Order"].placeOrder(second)) == f"SoftLayer_Exception_{code}"
    assert lab_api.guests() == [], "not even the good container of a bad order"


FULL = {
    "primaryNetworkComponent": {
        "networkVlan": {"id": 2263101, "primarySubnet": {"id": 1934201}},
        "securityGroupBindings": [{"securityGroup": {"id": 1}}],
        "router": {"id": 4489942},
    },
    "sshKeys": [{"id": 1}],
    "userData": [{"value": "x"}],
    "postInstallScriptUri": "https://example.com/",
    "placementGroup": {"id": 1},
    "supplementalCreateObjectOptions": {"bootMode": None, "flavorKeyName": ""},
    "dedicatedHost": {"id": 1},
    "blockDeviceTemplateGroup": {"globalIdentifier": "x"},
}
WRONG: tuple[Any, ...] = ("x", 7, -1, 1.5, True, [], [7], [None], [[]], {}, {"x": 1}, {"id": "x"})


def _spoilt(value: Any) -> Iterator[Any]:
    """The value with each of its parts in turn replaced by everything that does not belong there."""
    yield from WRONG
    parts: list[Any] = list(value.items()) if isinstance(value, dict) else []
    parts = list(enumerate(value)) if isinstance(value, list) else parts
    for place, part in parts:
        for wrong in _spoilt(part):
            copy = value.copy()
            copy[place] = wrong
            yield copy


def test_what_is_malformed_is_refused_and_no_bug_of_the_lab_s(
    client: Any, lab_api: LabApi, template: Template, container: dict[str, Any]
) -> None:
    """Anything but a Fault would be told to clients as "Internal Error"."""
    container["prices"] = [{"id": price["id"]} for price in container["prices"]]
    order = {**container, "sshKeys": [{"sshKeyIds": [1]}], "provisionScripts": ["x"], "presetId": 215}
    order["prices"] = [{"id": price["id"], "categories": [{"id": 1}]} for price in container["prices"][:2]]
    number = client["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_idle(number)
    upgrade = {
        "complexType": "SoftLayer_Container_Product_Order_Virtual_Guest_Upgrade",
        "properties": [{"name": "MAINTENANCE_WINDOW", "value": "2020-01-01 00:00:00+0000"}],
        "virtualGuests": [{"id": number}],
        "prices": [{"id": 21601, "categories": [{"id": 80}]}],
    }
    # Each of the rarer properties by itself: together they would hide one another.
    properties = [(name, wrong) for name in FULL for wrong in _spoilt(FULL[name])]
    orders = [wrong for good in (container, order, upgrade) for wrong in _spoilt(good)]
    lab, refused = lab_api.server.lab, 0
    for take, wrong in (
        *((templates.from_template, wrong) for wrong in _spoilt(template())),
        *((templates.from_template, template(**{name: wrong})) for name, wrong in properties),
        *((checkout.verify, wrong) for wrong in orders),
        *((checkout.verify, {"orderContainers": wrong}) for wrong in _spoilt([upgrade])),
    ):
        try:
            take(lab, wrong)
        except Fault:
            refused += 1
    assert refused > 1000


@pytest.mark.parametrize(
    ("service", "method", "arguments"),
    [
        ("Virtual_Guest", "createObject", ("text",)),
        ("Virtual_Guest", "createObjects", ({"a": 1},)),
        ("Virtual_Guest", "setTags", (7,)),
        ("Network_SecurityGroup", "createObject", ({"name": ["x"]},)),
        ("Security_Ssh_Key", "createObject", ({"key": 7, "label": "x"},)),
        ("Security_Ssh_Key", "createObject", ([],)),
        ("Virtual_PlacementGroup", "createObject", ({"name": "x", "ruleId": "y", "backendRouterId": 1},)),
        ("Tag", "setTags", ("a", "GUEST", "none")),
        ("Product_Order", "placeOrder", ("text",)),
        ("Product_Order", "placeQuote", ([],)),
        ("Search", "advancedSearch", (7,)),
    ],
    ids=str,
)
def test_parameters_of_the_wrong_type_are_refused(
    client: Any, service: str, method: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(SoftLayerAPIError, match=r"Invalid (parameters|value provided)"):
        client.call(service, method, *arguments)


def test_a_price_of_another_package_is_named(client: Any, container: dict[str, Any]) -> None:
    packages = client["Product_Package"].getAllObjects(
        filter={"keyName": {"operation": "SUSPEND_CLOUD_SERVER"}}
    )
    (price,) = client["Product_Package"].getItemPrices(id=packages[0]["id"])
    container["prices"].append({"id": price["id"]})
    with pytest.raises(SoftLayerAPIError) as refused:
        client["Product_Order"].verifyOrder(container)
    assert refused.value.faultString == f"The price 4 GB ({price['id']}) is not valid for package (46)."


def test_create_options_agree_with_the_catalog(client: Any, lab_api: LabApi, template: Template) -> None:
    options = client["Virtual_Guest"].getCreateObjectOptions()
    wanted = template()
    by_key = {
        price["item"]["description"]: price
        for price in client["Virtual_Guest"].generateOrderTemplate(wanted)["prices"]
    }
    for group in ("processors", "memory", "blockDevices", "operatingSystems", "networkComponents"):
        for option in options[group]:
            description = option["itemPrice"]["item"]["description"]
            if description in by_key:
                assert option["itemPrice"]["hourlyRecurringFee"] == by_key[description]["hourlyRecurringFee"]
    assert "tor01" in {option["template"]["datacenter"]["name"] for option in options["datacenters"]}
    codes = {option["template"]["operatingSystemReferenceCode"] for option in options["operatingSystems"]}
    assert {"DEBIAN_LATEST", "DEBIAN_12_64", "DEBIAN_13_64", "CENTOS_LATEST", "UBUNTU_22_64"} <= codes
    sdk = SoftLayer.VSManager(client).get_create_options(datacenter="tor01")
    assert [place["key"] for place in sdk["locations"]] == ["tor01"]
    assert "DEBIAN_12_64" in {system["referenceCode"] for system in sdk["operating_systems"]}
    assert {size["key"] for size in sdk["sizes"]} >= {"B1_1X2X25"}


@pytest.mark.parametrize("code", ["DEBIAN_13_64", "DEBIAN_13"])
def test_a_second_debian_can_be_ordered_and_no_other_price_has_another_id(
    client: Any, template: Template, code: str
) -> None:
    prices = client["Virtual_Guest"].generateOrderTemplate(template(operatingSystemReferenceCode=code))[
        "prices"
    ]
    key = {price["item"]["keyName"]: price["id"] for price in prices}
    assert key["OS_DEBIAN_13_MINIMAL_64_BIT"] == max(price.id for price in price_list.PRICES)


def test_every_processor_and_memory_option_can_be_ordered(client: Any, template: Template) -> None:
    options = client["Virtual_Guest"].getCreateObjectOptions()
    for option in options["processors"] + options["memory"] + options["operatingSystems"]:
        container = client["Virtual_Guest"].generateOrderTemplate(template(**option["template"]))
        ids = {price["id"] for price in container["prices"]}
        assert option["itemPrice"]["id"] in ids


def test_the_ordering_manager_verifies_and_places_by_key_names(client: Any, lab_api: LabApi) -> None:
    manager = SoftLayer.OrderingManager(client)
    items = [
        *("GUEST_CORES_1", "RAM_1_GB", "OS_DEBIAN_12_MINIMAL_64_BIT", "GUEST_DISK_25_GB_SAN"),
        *(
            "GUEST_DISK_25_GB_SAN",
            "100_MBPS_PUBLIC_PRIVATE_NETWORK_UPLINKS",
            "BANDWIDTH_0_GB_2",
            "1_IP_ADDRESS",
        ),
        *("REBOOT_REMOTE_CONSOLE", "UNLIMITED_SSL_VPN_USERS_1_PPTP_VPN_USER_PER_ACCOUNT"),
    ]
    arguments: dict[str, Any] = {
        "complex_type": "SoftLayer_Container_Product_Order_Virtual_Guest",
        "extras": {"virtualGuests": [{"hostname": "a", "domain": "example.com"}]},
    }
    verified = manager.verify_order("CLOUD_SERVER", "TORONTO", items, **arguments)
    codes = [price["categories"][0]["categoryCode"] for price in verified["orderContainers"][0]["prices"]]
    assert {"guest_disk0", "guest_disk1"} <= set(codes), "the same price twice makes two disks"
    manager.place_order("CLOUD_SERVER", "tor01", items, **arguments)
    assert [disk.device for disk in lab_api.guests()[0].disks] == [0, 2]
