"""Virtual servers from order to reclaim: what the API shows at each moment, and what it refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import SoftLayer
from SoftLayer import SoftLayerAPIError

from harness.lab_api import LabApi
from lab.hosts.backend import PowerState

pytestmark = pytest.mark.provider

Template = Callable[..., dict[str, Any]]
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJVz7u4C1yYbO0xQOqPUo1hqWc9s1x9S5v3yV2vQ0l0a"
READY = "mask[id,provisionDate,activeTransaction[id,transactionStatus[name]],lastOperatingSystemReload[id]]"


def _code(call: Callable[..., Any], *args: Any, **options: Any) -> str:
    with pytest.raises(SoftLayerAPIError) as refused:
        call(*args, **options)
    return str(refused.value.faultCode)


@pytest.fixture
def guest(client: Any, lab_api: LabApi, template: Template) -> int:
    """An ordered guest that is ready."""
    number = int(client["Virtual_Guest"].createObject(template())["id"])
    lab_api.wait_idle(number)
    return number


def test_an_order_returns_at_once_with_an_identifier_and_no_provision_date(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    lab_api.fault("stuck", step="ASSIGN_HOST")
    created = client["Virtual_Guest"].createObject(template())
    assert created["globalIdentifier"]
    assert created["provisionDate"] is None


def test_between_order_and_first_transaction_a_guest_seems_idle_but_is_not_ready(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    lab_api.durations(START_DELAY=30.0)
    number = client["Virtual_Guest"].createObject(template())["id"]
    seen = client["Virtual_Guest"].getObject(id=number, mask=f"{READY[:-1]},status,primaryBackendIpAddress]")
    assert "activeTransaction" not in seen
    assert seen["provisionDate"] is None
    assert seen["status"]["keyName"] == "ACTIVE"
    assert _code(lambda: client["Virtual_Guest"].deleteObject(id=number)).endswith("ActiveTransactionExists")


def test_provisioning_goes_through_softlayers_steps_and_shows_addresses_before_it_ends(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    steps = (
        "ASSIGN_HOST",
        "CLONE_CLOUD_TEMPLATE",
        "ATTACH_PRIMARY_DISK",
        "CLOUD_PROVISION_SETUP",
        "POWER_ON",
        "SERVICE_SETUP",
    )
    rules = [lab_api.fault("stuck", step=step) for step in steps]
    number = client["Virtual_Guest"].createObject(template())["id"]
    seen = {}
    for step, rule in zip(steps, rules, strict=True):
        lab_api.wait_step(number, step)
        mask = f"{READY[:-1]},status,primaryIpAddress,primaryBackendIpAddress,powerState]"
        lab_api.wait_until(
            lambda: "activeTransaction" in client["Virtual_Guest"].getObject(id=number, mask=READY),
            "it to show",
        )
        seen[step] = client["Virtual_Guest"].getObject(id=number, mask=mask)
        assert seen[step]["activeTransaction"]["transactionStatus"]["name"] == step
        assert seen[step]["provisionDate"] is None
        assert seen[step]["status"]["keyName"] == "ACTIVE"
        lab_api.clear_faults(rule)
    assert "primaryBackendIpAddress" not in seen["ASSIGN_HOST"]
    assert seen["CLONE_CLOUD_TEMPLATE"]["primaryBackendIpAddress"] == "10.144.12.10"
    assert "primaryIpAddress" not in seen["CLONE_CLOUD_TEMPLATE"]
    assert seen["CLOUD_PROVISION_SETUP"]["primaryIpAddress"] == "203.0.113.10"
    assert seen["POWER_ON"]["powerState"]["keyName"] == "HALTED"
    assert seen["SERVICE_SETUP"]["powerState"]["keyName"] == "RUNNING"
    lab_api.wait_idle(number)


def test_the_provision_date_comes_before_the_last_transaction_clears(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    lab_api.durations(SERVICE_SETUP=60.0)
    number = client["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_until(lambda: lab_api.guest(number).provisioned is not None, "the provision date")
    seen = client["Virtual_Guest"].getObject(id=number, mask=READY)
    assert seen["provisionDate"]
    assert seen["activeTransaction"]["transactionStatus"]["name"] == "SERVICE_SETUP"
    manager = SoftLayer.VSManager(client)
    assert manager.wait_for_ready(number, 0)
    assert not manager.wait_for_ready(number, 0, pending=True)


def test_a_guest_is_not_provisioned_before_its_machine_answers(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    lab_api.backend.fail("answers", "not yet")
    number = client["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_step(number, "SERVICE_SETUP")
    assert lab_api.guest(number).provisioned is None
    lab_api.backend.fail("answers", None)
    lab_api.wait_idle(number)
    assert lab_api.guest(number).provisioned is not None


def test_the_machine_gets_what_was_ordered(client: Any, lab_api: LabApi, template: Template) -> None:
    key = client["Security_Ssh_Key"].createObject({"key": f"{ED25519} me", "label": "me"})
    number = client["Virtual_Guest"].createObject(
        template(
            startCpus=2,
            maxMemory=2048,
            sshKeys=[{"id": key["id"]}],
            userData=[{"value": "hello"}],
            postInstallScriptUri="https://example.com/install",
            blockDevices=[
                {"device": "0", "diskImage": {"capacity": 25}},
                {"device": "2", "diskImage": {"capacity": 100}},
            ],
        )
    )["id"]
    lab_api.wait_idle(number)
    spec = lab_api.backend.machines[number].spec
    assert (spec.hostname, spec.domain, spec.image) == ("galera-1", "example.com", "debian-12")
    assert (spec.cores, spec.memory, spec.disks) == (2, 2048, (25, 100))
    assert spec.ssh_keys == (f"{ED25519} me",)
    assert (spec.user_data, spec.post_install_uri) == ("hello", "https://example.com/install")
    assert (spec.private.address, spec.private.gateway, spec.private.prefix) == (
        "10.144.12.10",
        "10.144.12.1",
        24,
    )
    assert spec.public is not None
    assert spec.public.address == "203.0.113.10"
    assert spec.public.mac != spec.private.mac


DEVICES = "mask[id,device,bootableFlag,mountType,diskImage[id,capacity,units,type[keyName]]]"


def _devices(client: Any, number: int) -> list[tuple[str, int, str, str, int]]:
    """Device, size, unit, kind and whether it boots of a guest's block devices."""
    return [
        (
            entry["device"],
            entry["diskImage"]["capacity"],
            entry["diskImage"]["units"],
            entry["diskImage"]["type"]["keyName"],
            entry["bootableFlag"],
        )
        for entry in client["Virtual_Guest"].getBlockDevices(id=number, mask=DEVICES)
    ]


def test_a_guest_has_a_system_disk_swap_and_data_disks_from_device_2_on(
    client: Any, template: Template
) -> None:
    """Under SoftLayer's Xen these are xvda, xvdb, xvdc, xvdd; the API tells numbers only."""
    disks = [
        {"device": device, "diskImage": {"capacity": size}}
        for device, size in (("0", 25), ("2", 50), ("3", 10))
    ]
    number = client["Virtual_Guest"].createObject(template(localDiskFlag=False, blockDevices=disks))["id"]
    assert _devices(client, number) == [
        ("0", 25, "GB", "SYSTEM", 1),
        ("1", 2, "GB", "SWAP", 0),
        ("2", 50, "GB", "DATA", 0),
        ("3", 10, "GB", "DATA", 0),
    ]
    ids = [entry["id"] for entry in client["Virtual_Guest"].getBlockDevices(id=number, mask="id")]
    assert len(set(ids)) == 4


def test_a_guest_with_user_data_has_a_small_disk_that_shows_it(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    """No disk that was ordered: no machine gets one, and clients tell it by its flag."""
    number = client["Virtual_Guest"].createObject(template(userData=[{"value": "hello"}]))["id"]
    disks = client["Virtual_Guest"].getBlockDevices(
        id=number,
        mask="mask[id,device,mountType,bootableFlag,diskImage[capacity,units,metadataFlag,type[keyName]]]",
    )
    assert [disk["device"] for disk in disks if not disk["diskImage"]["metadataFlag"]] == ["0", "1", "2"]
    (metadata,) = (disk for disk in disks if disk["diskImage"]["metadataFlag"])
    assert (metadata["device"], metadata["mountType"], metadata["bootableFlag"]) == ("7", "Disk", 0)
    image = metadata["diskImage"]
    assert (image["capacity"], image["units"], image["type"]["keyName"]) == (64, "MB", "METADATA")
    assert len({disk["id"] for disk in disks}) == 4
    lab_api.wait_idle(number)
    assert lab_api.backend.machines[number].spec.disks == (25, 25)

    plain = client["Virtual_Guest"].createObject(template())["id"]
    assert [device for device, *_ in _devices(client, plain)] == ["0", "1", "2"]
    client["Virtual_Guest"].setUserMetadata(["late"], id=plain)
    assert [device for device, *_ in _devices(client, plain)] == ["0", "1", "2", "7"]


def test_a_private_only_guest_has_no_public_side(client: Any, lab_api: LabApi, template: Template) -> None:
    number = client["Virtual_Guest"].createObject(template(privateNetworkOnlyFlag=True))["id"]
    lab_api.wait_idle(number)
    seen = client["Virtual_Guest"].getObject(
        id=number,
        mask="primaryIpAddress,primaryBackendIpAddress,networkComponents[port],networkVlans[networkSpace]",
    )
    assert seen["primaryBackendIpAddress"] == "10.144.12.10"
    assert "primaryIpAddress" not in seen
    assert [component["port"] for component in seen["networkComponents"]] == [0]
    assert [vlan["networkSpace"] for vlan in seen["networkVlans"]] == ["PRIVATE"]
    assert lab_api.backend.machines[number].spec.public is None


def test_addresses_are_never_shared_and_the_lowest_free_ones_are_given_again(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    numbers: list[int] = []

    def order(name: str) -> None:
        numbers.append(lab_api.client()["Virtual_Guest"].createObject(template(hostname=name))["id"])

    threads = [threading.Thread(target=order, args=(f"node-{index}",)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    guests = lab_api.guests()
    private = {guest.private.address for guest in guests}
    assert private == {f"10.144.12.{number}" for number in range(10, 22)}
    assert len({guest.public.address for guest in guests if guest.public}) == 12
    for number in numbers:
        lab_api.wait_idle(number)
    second = next(guest for guest in guests if guest.private.address == "10.144.12.11")
    client["Virtual_Guest"].deleteObject(id=second.id)
    lab_api.wait_idle(second.id)
    again = client["Virtual_Guest"].createObject(template())["id"]
    assert lab_api.guest(again).private.address == "10.144.12.11"


def test_guests_provision_side_by_side(client: Any, lab_api: LabApi, template: Template) -> None:
    rule = lab_api.fault("stuck", step="CLOUD_PROVISION_SETUP")
    numbers = [
        client["Virtual_Guest"].createObject(template(hostname=f"n-{index}"))["id"] for index in range(9)
    ]
    lab_api.wait_until(
        lambda: all(lab_api.step(number) == "CLOUD_PROVISION_SETUP" for number in numbers),
        "all nine guests to be in the same step at once",
    )
    lab_api.clear_faults(rule)
    for number in numbers:
        lab_api.wait_idle(number)


def test_equal_orders_create_two_guests(client: Any, lab_api: LabApi, template: Template) -> None:
    first = client["Virtual_Guest"].createObject(template())
    second = client["Virtual_Guest"].createObject(template())
    assert first["id"] != second["id"]
    assert lab_api.ordered == 2


def test_vlans_have_ids_that_are_not_their_numbers_and_port_0_is_private(client: Any, guest: int) -> None:
    seen = client["Virtual_Guest"].getObject(
        id=guest, mask="networkComponents[port,networkVlan[id,vlanNumber,networkSpace],primarySubnet[id]]"
    )
    spaces = {part["port"]: part["networkVlan"]["networkSpace"] for part in seen["networkComponents"]}
    assert spaces == {0: "PRIVATE", 1: "PUBLIC"}
    assert all(
        part["networkVlan"]["id"] != part["networkVlan"]["vlanNumber"] for part in seen["networkComponents"]
    )


def _side(vlan: int, **more: Any) -> dict[str, Any]:
    return {"networkVlan": {"id": vlan, **more}}


def test_vlans_and_subnets_can_be_chosen(client: Any, lab_api: LabApi, template: Template) -> None:
    vlans = client["Account"].getNetworkVlans(
        mask="id,networkSpace,primarySubnet[id],primaryRouter[hostname]",
        filter={"networkVlans": {"primaryRouter": {"hostname": {"operation": "*= 02a.tor01"}}}},
    )
    assert {vlan["networkSpace"]: vlan["primaryRouter"]["hostname"] for vlan in vlans} == {
        "PRIVATE": "bcr02a.tor01",
        "PUBLIC": "fcr02a.tor01",
    }
    private, public = sorted(vlans, key=lambda vlan: str(vlan["networkSpace"]))
    number = client["Virtual_Guest"].createObject(
        template(
            primaryBackendNetworkComponent=_side(private["id"]),
            primaryNetworkComponent=_side(public["id"], primarySubnet={"id": public["primarySubnet"]["id"]}),
        )
    )["id"]
    guest = lab_api.guest(number)
    assert guest.public is not None
    assert (guest.private.vlan_id, guest.public.vlan_id) == (private["id"], public["id"])


def test_beside_a_chosen_private_vlan_the_public_one_is_of_the_same_pod(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    for private, public in ((2263100, 2263101), (2263102, 2263103)):
        number = client["Virtual_Guest"].createObject(
            template(primaryBackendNetworkComponent=_side(private))
        )["id"]
        guest = lab_api.guest(number)
        assert guest.public is not None
        assert (guest.private.vlan_id, guest.public.vlan_id) == (private, public)


@pytest.mark.parametrize(
    ("private", "public", "text"),
    [
        (
            None,
            2263101,
            "Only the frontend VLAN was specified. Please specify the backend VLAN as well.",
        ),
        (2263100, 1207, "Could not obtain network VLAN with id #1207."),
        (1200, None, "Could not obtain network VLAN with id #1200."),
        (
            2263100,
            2263103,
            "The frontend VLAN (tor01.fcr02a.1221) and the backend VLAN (tor01.bcr01a.1200) must be in the "
            "same pod.",
        ),
    ],
    ids=["the public one alone", "a number for the id", "a private number", "two pods"],
)
def test_vlans_that_do_not_belong_together_are_refused_in_softlayers_words(
    client: Any,
    lab_api: LabApi,
    template: Template,
    private: int | None,
    public: int | None,
    text: str,
) -> None:
    sides = {
        **({"primaryBackendNetworkComponent": _side(private)} if private else {}),
        **({"primaryNetworkComponent": _side(public)} if public else {}),
    }
    container = client["Virtual_Guest"].generateOrderTemplate(template())
    for side in ("primaryBackendNetworkComponent", "primaryNetworkComponent"):
        del container["virtualGuests"][0][side]
    container["virtualGuests"][0].update(sides)
    for service, method, argument in (
        ("Virtual_Guest", "createObject", template(**sides)),
        ("Virtual_Guest", "generateOrderTemplate", template(**sides)),
        ("Product_Order", "verifyOrder", container),
        ("Product_Order", "placeOrder", container),
    ):
        with pytest.raises(SoftLayerAPIError) as refused:
            client.call(service, method, argument)
        assert (refused.value.faultCode, refused.value.faultString) == ("SoftLayer_Exception_Public", text)
    assert lab_api.ordered == 0


def test_a_router_or_a_placement_group_names_the_pod(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    pods = client["Network_Pod"].getAllObjects()
    (second,) = (pod for pod in pods if pod["name"] == "tor01.pod02")
    group = client["Virtual_PlacementGroup"].createObject(
        {"name": "spread", "ruleId": 1, "backendRouterId": second["backendRouterId"]}
    )["id"]
    router = {"primaryBackendNetworkComponent": {"router": {"id": second["backendRouterId"]}}}
    for asked in (router, {"placementGroupId": group}):
        number = client["Virtual_Guest"].createObject(template(**asked))["id"]
        assert lab_api.guest(number).private.vlan_id == 2263102
    code = _code(
        client["Virtual_Guest"].createObject,
        template(placementGroupId=group, primaryBackendNetworkComponent=_side(2263100)),
    )
    assert code == "SoftLayer_Exception_InvalidValue"


BAD_TEMPLATES: list[tuple[str, dict[str, Any], str]] = [
    ("no host name", {"hostname": None}, "MissingCreationProperty"),
    ("no domain", {"domain": None}, "MissingCreationProperty"),
    ("no cores", {"startCpus": None}, "MissingCreationProperty"),
    ("no memory", {"maxMemory": None}, "MissingCreationProperty"),
    ("no billing", {"hourlyBillingFlag": None}, "MissingCreationProperty"),
    ("no disk kind", {"localDiskFlag": None}, "MissingCreationProperty"),
    ("no system", {"operatingSystemReferenceCode": None}, "MissingCreationProperty"),
    ("no datacenter", {"datacenter": None}, "MissingCreationProperty"),
    ("unknown datacenter", {"datacenter": {"name": "xyz99"}}, "InvalidValue"),
    ("unknown system", {"operatingSystemReferenceCode": "BEOS_5"}, "InvalidValue"),
    ("host name with underscore", {"hostname": "a_b"}, "InvalidValue"),
    ("host name too long", {"hostname": "a" * 64}, "InvalidDataLength"),
    ("domain without dot", {"domain": "local"}, "InvalidValue"),
    ("odd number of cores", {"startCpus": 3}, "NotFound"),
    ("cores as text", {"startCpus": "many"}, "InvalidValue"),
    ("odd memory", {"maxMemory": 1642}, "NotFound"),
    ("odd disk", {"blockDevices": [{"device": "0", "diskImage": {"capacity": 26}}]}, "NotFound"),
    (
        "SAN size on local disk",
        {
            "blockDevices": [
                {"device": "0", "diskImage": {"capacity": 25}},
                {"device": "2", "diskImage": {"capacity": 2000}},
            ]
        },
        "NotFound",
    ),
    (
        "swap device",
        {
            "blockDevices": [
                {"device": "0", "diskImage": {"capacity": 25}},
                {"device": "1", "diskImage": {"capacity": 25}},
            ]
        },
        "InvalidValue",
    ),
    (
        "a gap in the devices",
        {
            "blockDevices": [
                {"device": "0", "diskImage": {"capacity": 25}},
                {"device": "3", "diskImage": {"capacity": 25}},
            ]
        },
        "InvalidValue",
    ),
    (
        "three local disks",
        {"blockDevices": [{"device": device, "diskImage": {"capacity": 25}} for device in ("0", "2", "3")]},
        "InvalidValue",
    ),
    ("odd speed", {"networkComponents": [{"maxSpeed": 42}]}, "NotFound"),
    ("private VLAN as public", {"primaryNetworkComponent": {"networkVlan": {"id": 2263100}}}, "InvalidValue"),
    ("VLAN elsewhere", {"primaryNetworkComponent": {"networkVlan": {"id": 2263111}}}, "InvalidValue"),
    (
        "subnet elsewhere",
        {"primaryNetworkComponent": {"networkVlan": {"id": 2263101, "primarySubnet": {"id": 9}}}},
        "InvalidValue",
    ),
    (
        "public VLAN of a private guest",
        {"privateNetworkOnlyFlag": True, "primaryNetworkComponent": {"networkVlan": {"id": 2263101}}},
        "InvalidValue",
    ),
    ("unknown key", {"sshKeys": [{"id": 4711}]}, "ObjectNotFound"),
    (
        "unknown group",
        {"primaryNetworkComponent": {"securityGroupBindings": [{"securityGroup": {"id": 4711}}]}},
        "ObjectNotFound",
    ),
    ("unknown placement group", {"placementGroupId": 4711}, "ObjectNotFound"),
    (
        "unknown image",
        {"operatingSystemReferenceCode": None, "blockDeviceTemplateGroup": {"globalIdentifier": "x"}},
        "ObjectNotFound",
    ),
    ("unknown flavor", {"supplementalCreateObjectOptions": {"flavorKeyName": "XXL"}}, "InvalidValue"),
    ("unknown dedicated host", {"dedicatedHost": {"id": 4711}}, "ObjectNotFound"),
]


@pytest.mark.parametrize(("what", "change", "code"), BAD_TEMPLATES, ids=[entry[0] for entry in BAD_TEMPLATES])
def test_a_bad_template_is_refused_and_leaves_nothing(
    client: Any, lab_api: LabApi, template: Template, what: str, change: dict[str, Any], code: str
) -> None:
    for method in ("createObject", "generateOrderTemplate"):
        refused = _code(getattr(client["Virtual_Guest"], method), template(**change))
        assert refused == f"SoftLayer_Exception_{code}"
    assert lab_api.guests() == []
    assert lab_api.ordered == 0


def test_tags_are_replaced_as_a_set_and_cleared_by_an_empty_text(
    client: Any, lab_api: LabApi, guest: int
) -> None:
    service = client["Virtual_Guest"]
    for text, expected in (("a,b", ["a", "b"]), (" b , c ,", ["b", "c"]), ("", [])):
        assert service.setTags(text, id=guest) is True
        assert lab_api.guest(guest).tags == expected
    with pytest.raises(SoftLayerAPIError) as refused:
        service.setTags("good,b@d,wor$e", id=guest)
    assert refused.value.faultCode == "SoftLayer_Exception_InvalidValue"
    assert refused.value.faultString == "Invalid value provided for 'tags'. Invalid tag names: b@d, wor$e"
    assert lab_api.guest(guest).tags == []


def test_editing_changes_names_and_notes_and_nothing_else(client: Any, lab_api: LabApi, guest: int) -> None:
    service = client["Virtual_Guest"]
    assert service.editObject({"hostname": "new", "domain": "example.net", "notes": "n"}, id=guest) is True
    seen = lab_api.guest(guest)
    assert (seen.name, seen.notes) == ("new.example.net", "n")
    spec = lab_api.backend.machines[guest].spec
    assert (spec.hostname, spec.domain) == ("new", "example.net")
    for change in ({"maxMemory": 4096}, {"hostname": "a_b"}, {"domain": "x"}):
        assert _code(service.editObject, change, id=guest) == "SoftLayer_Exception_InvalidValue"
    assert (
        _code(lambda: service.editObject({"notes": "x" * 1001}, id=guest))
        == "SoftLayer_Exception_InvalidDataLength"
    )
    assert service.setUserMetadata(["data"], id=guest) is True
    assert service.getObject(id=guest, mask="userData")["userData"][0]["value"] == "data"


def test_the_speed_of_a_card_goes_up_to_what_was_ordered(client: Any, lab_api: LabApi, guest: int) -> None:
    manager = SoftLayer.VSManager(client)
    assert manager.change_port_speed(guest, True, 10) is True
    assert manager.change_port_speed(guest, False, 0) is True
    assert [(nic.speed, nic.max_speed) for nic in lab_api.guest(guest).nics] == [(0, 100), (10, 100)]
    assert _code(lambda: manager.change_port_speed(guest, True, 1000)) == "SoftLayer_Exception_InvalidValue"
    assert _code(lambda: manager.change_port_speed(guest, True, 42)) == "SoftLayer_Exception_InvalidValue"


def test_cores_and_memory_are_upgraded_through_a_reboot(client: Any, lab_api: LabApi, guest: int) -> None:
    boots = lab_api.backend.machines[guest].boots
    rule = lab_api.fault("stuck", step="UPGRADE_RESIZE")
    assert SoftLayer.VSManager(client).upgrade(guest, cpus=2, memory=4) is True
    lab_api.wait_step(guest, "UPGRADE_RESIZE")
    seen = client["Virtual_Guest"].getObject(id=guest, mask=READY)
    assert "UPGRADE" in seen["activeTransaction"]["transactionStatus"]["name"]
    assert lab_api.backend.state(guest) is PowerState.HALTED
    assert (lab_api.guest(guest).cores, lab_api.guest(guest).memory) == (1, 1024)
    lab_api.clear_faults(rule)
    lab_api.wait_idle(guest)
    spec = lab_api.backend.machines[guest].spec
    assert (spec.cores, spec.memory) == (2, 4096)
    assert lab_api.backend.machines[guest].boots == boots + 1


def test_the_network_is_upgraded_without_a_reboot(client: Any, lab_api: LabApi, guest: int) -> None:
    boots = lab_api.backend.machines[guest].boots
    SoftLayer.VSManager(client).upgrade(guest, nic_speed=1000)
    lab_api.wait_idle(guest)
    assert [nic.max_speed for nic in lab_api.guest(guest).nics] == [1000, 1000]
    assert lab_api.backend.machines[guest].boots == boots


def _disk_order(client: Any, guest: int, capacity: int, slot: str) -> dict[str, Any]:
    prices = client["Virtual_Guest"].getUpgradeItemPrices(
        True, id=guest, mask="mask[id,item[capacity],categories[id,categoryCode]]"
    )
    price = next(
        price
        for price in prices
        if price["item"]["capacity"] == str(capacity)
        and slot in {category["categoryCode"] for category in price["categories"]}
    )
    category = next(category for category in price["categories"] if category["categoryCode"] == slot)
    return {
        "complexType": "SoftLayer_Container_Product_Order_Virtual_Guest_Upgrade",
        "properties": [{"name": "MAINTENANCE_WINDOW", "value": "2020-01-01 00:00:00+0000"}],
        "virtualGuests": [{"id": guest}],
        "prices": [{"id": price["id"], "categories": [{"id": category["id"]}]}],
    }


def test_disks_grow_and_are_added_but_never_shrink(client: Any, lab_api: LabApi, template: Template) -> None:
    one_disk = template(localDiskFlag=False, blockDevices=[{"device": "0", "diskImage": {"capacity": 25}}])
    number = client["Virtual_Guest"].createObject(one_disk)["id"]
    lab_api.wait_idle(number)
    for capacity, slot, disks in (
        (50, "guest_disk1", (25, 50)),
        (100, "guest_disk1", (25, 100)),
        (10, "guest_disk2", (25, 100, 10)),
    ):
        client["Product_Order"].placeOrder(_disk_order(client, number, capacity, slot))
        lab_api.wait_idle(number)
        assert lab_api.backend.machines[number].spec.disks == disks
    for capacity, slot in ((100, "guest_disk1"), (50, "guest_disk1"), (10, "guest_disk4")):
        order = _disk_order(client, number, capacity, slot)
        assert _code(client["Product_Order"].placeOrder, order) == "SoftLayer_Exception_Order_InvalidData"
    assert [disk.device for disk in lab_api.guest(number).disks] == [0, 2, 3]


def test_an_upgrade_is_checked_and_priced_without_being_placed(
    client: Any, lab_api: LabApi, guest: int
) -> None:
    order = _disk_order(client, guest, 100, "guest_disk1")
    verified = client["Product_Order"].verifyOrder(order)
    assert [price["item"]["description"] for price in verified["prices"]] == ["100 GB (LOCAL)"]
    assert lab_api.step(guest) is None
    del order["properties"]
    assert _code(lambda: client["Product_Order"].placeOrder(order)) == "SoftLayer_Exception_Order_InvalidData"


def test_an_upgrade_waits_for_its_maintenance_window(client: Any, lab_api: LabApi, guest: int) -> None:
    order = _disk_order(client, guest, 100, "guest_disk1")
    order["properties"][0]["value"] = "2099-01-01 00:00:00+0000"
    client["Product_Order"].placeOrder(order)
    assert "activeTransaction" not in client["Virtual_Guest"].getObject(id=guest, mask=READY)
    assert lab_api.guest(guest).transaction is not None


def test_a_reload_wipes_the_system_disk_and_keeps_the_data(client: Any, lab_api: LabApi, guest: int) -> None:
    key = client["Security_Ssh_Key"].createObject({"key": f"{ED25519} me", "label": "me"})
    machine = lab_api.backend.machines[guest]
    data = dict(machine.data_disks)
    rule = lab_api.fault("stuck", step="CLONE_CLOUD_TEMPLATE")
    manager = SoftLayer.VSManager(client)
    assert manager.reload_instance(guest, ssh_keys=[key["id"]]) == "1"
    lab_api.wait_step(guest, "CLONE_CLOUD_TEMPLATE")
    seen = client["Virtual_Guest"].getObject(id=guest, mask=READY)
    assert seen["lastOperatingSystemReload"]["id"] == seen["activeTransaction"]["id"]
    assert not manager.wait_for_ready(guest, 0)
    lab_api.clear_faults(rule)
    lab_api.wait_idle(guest)
    assert manager.wait_for_ready(guest, 0)
    assert machine.system_disk == 2
    assert machine.data_disks == data
    assert machine.spec.ssh_keys == (f"{ED25519} me",)


def test_an_outstanding_transaction_refuses_upgrade_reload_speed_and_cancel(
    client: Any, lab_api: LabApi, guest: int
) -> None:
    lab_api.fault("stuck", step="RELOAD_POWER_OFF")
    manager = SoftLayer.VSManager(client)
    manager.reload_instance(guest)
    busy = "SoftLayer_Exception_Virtual_Guest_ActiveTransactionExists"
    assert _code(lambda: manager.upgrade(guest, cpus=2)) == busy
    assert _code(lambda: manager.reload_instance(guest)) == busy
    assert _code(lambda: manager.change_port_speed(guest, True, 10)) == busy
    with pytest.raises(
        SoftLayerAPIError, match=r"This cancellation could not be processed\. .* active transaction"
    ):
        manager.cancel_instance(guest)


def test_a_cancelled_guest_stays_visible_until_it_is_reclaimed(
    client: Any, lab_api: LabApi, guest: int
) -> None:
    rule = lab_api.fault("stuck", step="RECLAIM_WAIT")
    assert client["Virtual_Guest"].deleteObject(id=guest) is True
    lab_api.wait_until(
        lambda: "activeTransaction" in client["Virtual_Guest"].getObject(id=guest, mask=READY),
        "the reclaim to show",
    )
    assert [entry["id"] for entry in client["Account"].getVirtualGuests(mask="id")] == [guest]
    lab_api.clear_faults(rule)
    lab_api.wait_idle(guest)
    assert _code(lambda: client["Virtual_Guest"].getObject(id=guest)) == "SoftLayer_Exception_ObjectNotFound"
    assert lab_api.backend.state(guest) is PowerState.ABSENT


def test_a_guest_can_be_cancelled_by_its_billing_item(client: Any, lab_api: LabApi, guest: int) -> None:
    item = client["Virtual_Guest"].getObject(id=guest, mask="billingItem[id]")["billingItem"]["id"]
    assert client["Billing_Item"].cancelService(id=item) is True
    lab_api.wait_idle(guest)
    assert lab_api.guests() == []


def test_the_power_state_is_the_machines(client: Any, lab_api: LabApi, guest: int) -> None:
    service = client["Virtual_Guest"]
    assert service.getPowerState(id=guest)["keyName"] == "RUNNING"
    service.powerOff(id=guest)
    lab_api.wait_idle(guest)
    assert service.getPowerState(id=guest)["keyName"] == "HALTED"
    service.powerOn(id=guest)
    lab_api.wait_idle(guest)
    lab_api.backend.stop(guest, hard=True)
    assert service.getPowerState(id=guest)["keyName"] == "HALTED", "a host that died shows as halted"


def test_the_sdks_default_mask_brings_the_os_password_so_clients_use_their_own(
    client: Any, guest: int
) -> None:
    default = SoftLayer.VSManager(client).get_instance(guest)
    assert f"LAB-OS-PASSWORD-{guest}" in str(default)
    assert "PASSWORD" not in str(
        client["Virtual_Guest"].getObject(id=guest, mask="id,operatingSystemReferenceCode")
    )
