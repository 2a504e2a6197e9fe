"""Changes in place, replacement, cancellation."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from components.softlayer import guests, reloads, upgrades
from components.softlayer.errors import NotOurs, SoftLayerFailed, WaitedTooLong
from components.softlayer.guest_seen import Guest
from components.softlayer.guest_spec import parse
from components.softlayer.virtual_guest_provider import VirtualGuestProvider
from harness.lab_api import LabApi
from tests.provider.providers import GUEST, OWNER, TAG, configured, guest_of

pytestmark = pytest.mark.provider


class Managed:
    """One guest and its state, changed as Pulumi would."""

    def __init__(self, lab: LabApi, **declared: Any) -> None:
        self.lab = lab
        self.provider = configured(VirtualGuestProvider, lab)
        self.declared = {**GUEST, **declared}
        created = self.provider.create(dict(self.declared))
        self.id = created.id
        self.state: dict[str, Any] = dict(created.outs or {})
        lab.wait_idle(int(self.id))

    def change(self, **properties: Any) -> None:
        """An update, as the engine makes it."""
        wanted = {**self.declared, **properties}
        result = self.provider.diff(self.id, self.state, wanted)
        assert result.changes is True
        assert result.replaces == []
        self.state = dict(self.provider.update(self.id, self.state, dict(wanted)).outs or {})
        self.declared = wanted

    def refresh(self) -> None:
        """What `pulumi refresh` does."""
        self.state = dict(self.provider.read(self.id, self.state).outs or {})

    def settled(self) -> bool:
        """Whether neither state nor reality differ from what is declared."""
        first = self.provider.diff(self.id, self.state, self.declared).changes
        self.refresh()
        return first is False and self.provider.diff(self.id, self.state, self.declared).changes is False

    @property
    def record(self) -> Any:
        """The lab's own record."""
        return self.lab.guest(int(self.id))


@pytest.fixture
def managed(lab_api: LabApi) -> Managed:
    return Managed(lab_api)


def test_a_fresh_guest_has_no_drift(managed: Managed) -> None:
    assert managed.settled()


CHANGES: list[dict[str, Any]] = [
    {"hostname": "galera-9"},
    {"domain": "example.org"},
    {"notes": "for the books"},
    {"tags": ["dockerhost", "blue"]},
    {"tags": []},
    {"user_data": "#cloud-config\n"},
    {"user_data": '{"json": true}'},
    {"cores": 4.0},
    {"memory": 8192.0},
    {"cores": 2.0, "memory": 4096.0},
    {"disks": [25.0, 100.0]},
    {"disks": [100.0, 100.0]},
    {"nic_speed": 1000.0},
    {"nic_speed": 10.0},
    {"ssh_key_ids": ["1"]},
    {"post_install_url": "https://example.com/x"},
]


@pytest.mark.parametrize("change", CHANGES, ids=",".join)
def test_a_change_in_place_keeps_the_guest_and_reaches_it(managed: Managed, change: dict[str, Any]) -> None:
    managed.change(**change)
    assert managed.settled()
    assert managed.lab.ordered == 1
    assert guest_of(managed.lab, managed.id).marker == f"{OWNER}/galera-1-guest"
    assert TAG in managed.record.tags


def test_new_user_data_of_a_running_server_is_said_to_take_effect_later(
    managed: Managed, capsys: pytest.CaptureFixture[str]
) -> None:
    managed.change(user_data="#cloud-config")
    assert (
        "cloud-init acts on it only when the system is new, at the next OS reload" in capsys.readouterr().out
    )
    assert managed.settled()
    managed.change(notes="other")
    assert "cloud-init" not in capsys.readouterr().out


def test_a_guest_that_shows_its_user_data_on_a_disk_has_no_drift(lab_api: LabApi) -> None:
    managed = Managed(lab_api, user_data="#cloud-config\n", disks=[25.0, 100.0])
    devices = lab_api.client().call(
        "Virtual_Guest", "getObject", id=int(managed.id), mask="mask[blockDevices]"
    )
    assert [device["device"] for device in devices["blockDevices"]] == ["0", "1", "2", "7"]
    assert managed.settled()


SIDES = [("public", "primaryNetworkComponent"), ("private", "primaryBackendNetworkComponent")]


@pytest.mark.parametrize(("side", "component"), SIDES)
def test_a_network_that_softlayer_chose_is_pinned_in_place(
    managed: Managed, side: str, component: str
) -> None:
    raw = guest_of(managed.lab, managed.id).raw[component]
    pins = {
        f"{side}_vlan": float(raw["networkVlan"]["id"]),
        f"{side}_subnet": float(raw["primarySubnet"]["id"]),
    }
    managed.change(**pins)
    assert {key: managed.state[key] for key in pins} == pins
    assert managed.settled()
    managed.declared = {**managed.declared, **dict.fromkeys(pins)}
    assert managed.settled()


def test_another_network_than_softlayer_chose_replaces(managed: Managed) -> None:
    there = guest_of(managed.lab, managed.id).placed("private")["vlan"]
    wanted = {**managed.declared, "private_vlan": float(there + 1)}
    assert managed.provider.diff(managed.id, managed.state, wanted).replaces == ["private_vlan"]


def test_a_server_whose_network_is_not_told_is_not_planned_to_be_replaced(
    managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Guest, "placed", lambda *_: {})
    wanted = {**managed.declared, "private_vlan": 1.0}
    with pytest.raises(SoftLayerFailed, match="does not tell"):
        managed.provider.diff(managed.id, managed.state, wanted)


def test_a_server_that_cannot_be_looked_at_is_not_planned_to_be_replaced(managed: Managed) -> None:
    managed.lab.fault("fault", method="getObject", message="Access Denied. ")
    wanted = {**managed.declared, "private_vlan": 1.0}
    with pytest.raises(SoftLayerFailed, match="looking in which networks"):
        managed.provider.diff(managed.id, managed.state, wanted)


def test_only_what_changed_is_ordered(managed: Managed) -> None:
    """Cores and the second disk were changed by hand, and nobody looked since."""
    by_hand = {**managed.declared, "cores": 4.0, "disks": [25.0, 100.0]}
    managed.provider.update(managed.id, managed.state, by_hand)
    managed.lab.wait_idle(int(managed.id))
    managed.change(memory=4096.0)
    record = managed.record
    assert (record.cores, record.memory, [disk.capacity for disk in record.disks]) == (4, 4096, [25, 100])


def test_a_disk_that_is_larger_than_declared_is_not_ordered_smaller(managed: Managed) -> None:
    managed.provider.update(managed.id, managed.state, {**managed.declared, "disks": [25.0, 200.0]})
    managed.lab.wait_idle(int(managed.id))
    placed = managed.lab.count("Product_Order", "placeOrder")
    with pytest.raises(SoftLayerFailed, match=r"disk 2 has 200 GB, the settings say 100.*25, 200"):
        managed.change(disks=[25.0, 100.0])
    assert managed.lab.count("Product_Order", "placeOrder") == placed


def test_disks_that_the_api_does_not_tell_are_not_ordered_anew() -> None:
    guest = Guest({"id": 1, "blockDevices": []})
    with pytest.raises(SoftLayerFailed, match="does not tell which disks"):
        upgrades.require_growth(guest, parse(GUEST))
    assert upgrades.missing(guest, parse(GUEST), {"nic_speed"}) == {}


def test_a_disk_is_added_in_place(lab_api: LabApi) -> None:
    managed = Managed(lab_api, disks=[25.0], local_disk=False)
    managed.change(disks=[25.0, 100.0, 10.0])
    assert managed.settled()


def test_a_change_by_hand_is_found_and_put_back(managed: Managed) -> None:
    client = managed.lab.client()
    client.call("Virtual_Guest", "setTags", f"swarm-galera,{TAG},other", id=int(managed.id))
    client.call("Virtual_Guest", "editObject", {"hostname": "renamed"}, id=int(managed.id))
    managed.refresh()
    assert managed.provider.diff(managed.id, managed.state, managed.declared).changes is True
    managed.change()
    assert managed.settled()
    assert managed.record.hostname == "galera-1"


def test_a_guest_that_lost_its_stack_s_tag_gets_it_back(managed: Managed) -> None:
    managed.lab.client().call("Virtual_Guest", "setTags", "dockerhost", id=int(managed.id))
    managed.refresh()
    managed.change()
    assert TAG in managed.record.tags


def new_groups(lab: LabApi, count: int) -> list[str]:
    client = lab.client()
    names = [f"group-{number}" for number in range(count)]
    return [str(client.call("Network_SecurityGroup", "createObject", {"name": name})["id"]) for name in names]


def test_five_groups_are_exchanged_for_five_others(lab_api: LabApi) -> None:
    """An interface takes no more at a time, and is never without."""
    groups = new_groups(lab_api, 10)
    managed = Managed(lab_api, private_security_groups=groups[:5])
    lab_api.server.forget_calls()
    managed.change(private_security_groups=groups[5:])
    assert managed.settled()
    changes = [call["method"] for call in lab_api.calls("Network_SecurityGroup")]
    assert changes == ["detachNetworkComponents", "attachNetworkComponents"] * 5


@pytest.mark.parametrize("method", ["attachNetworkComponents", "detachNetworkComponents"])
def test_a_group_whose_change_was_done_though_its_answer_was_lost_is_no_error(
    lab_api: LabApi, method: str
) -> None:
    old, new = new_groups(lab_api, 2)
    managed = Managed(lab_api, private_security_groups=[old])
    lab_api.fault("lost-response", method=method, count=1)
    managed.change(private_security_groups=[new])
    assert managed.settled()


def test_a_group_that_does_not_exist_is_an_error(managed: Managed) -> None:
    with pytest.raises(SoftLayerFailed, match="changing security groups"):
        managed.change(private_security_groups=["4711"])


def test_the_first_group_of_an_interface_comes_with_a_word_on_the_restart_that_it_needs(
    managed: Managed, capsys: pytest.CaptureFixture[str]
) -> None:
    client = managed.lab.client()
    one, two = (
        str(client.call("Network_SecurityGroup", "createObject", {"name": name})["id"]) for name in "ab"
    )
    managed.change(private_security_groups=[one])
    said = capsys.readouterr().out
    assert "the private interface has its first security groups now" in said
    assert f"slcli vs reboot {managed.record.id}" in said
    managed.change(private_security_groups=[one, two])
    assert "restart" not in capsys.readouterr().out


def test_security_groups_are_attached_and_detached_in_place(managed: Managed) -> None:
    client = managed.lab.client()
    one, two = (
        str(client.call("Network_SecurityGroup", "createObject", {"name": name})["id"]) for name in "ab"
    )
    managed.change(private_security_groups=[one, two], public_security_groups=[one])
    assert managed.settled()
    managed.change(private_security_groups=[two], public_security_groups=[])
    assert managed.settled()
    assert managed.record.private.security_groups == [int(two)]


def test_an_upgrade_waits_for_an_outstanding_transaction(managed: Managed) -> None:
    managed.lab.durations(reload=0.5)
    managed.lab.client().call("Virtual_Guest", "reloadOperatingSystem", "FORCE", {}, id=int(managed.id))
    managed.change(cores=2.0)
    assert managed.record.cores == 2


def test_an_upgrade_whose_answer_was_lost_is_not_ordered_again(managed: Managed) -> None:
    managed.lab.fault("lost-response", method="placeOrder", count=1)
    managed.change(cores=2.0)
    assert managed.settled()
    assert managed.lab.count("Product_Order", "placeOrder") == 1


def test_an_upgrade_that_is_there_already_is_not_ordered(managed: Managed) -> None:
    """The run that ordered it was killed before its state was written."""
    state = dict(managed.state)
    managed.change(cores=2.0)
    placed = managed.lab.count("Product_Order", "placeOrder")
    managed.provider.update(managed.id, state, dict(managed.declared))
    assert managed.lab.count("Product_Order", "placeOrder") == placed


def test_a_size_that_is_not_sold_is_refused_with_what_is(managed: Managed) -> None:
    with pytest.raises(SoftLayerFailed, match=r"guest_core cannot be changed to 3; offered.*1, 2, 4"):
        managed.change(cores=3.0)
    assert managed.record.cores == 1


def test_a_new_reload_token_reloads_once_and_keeps_the_data_disk(managed: Managed) -> None:
    machine = managed.lab.backend.machines[int(managed.id)]
    data = dict(machine.data_disks)
    state = dict(managed.state)
    managed.change(reload_token="2026-11")
    assert machine.system_disk == 2
    assert machine.data_disks == data
    assert managed.settled()
    # Killed before the state was written: the next run sees that the reload has happened.
    managed.provider.update(managed.id, state, dict(managed.declared))
    assert machine.system_disk == 2


def test_a_token_that_was_used_reloads_nothing_when_it_comes_back(managed: Managed) -> None:
    managed.change(reload_token="2026-11")
    managed.change(reload_token="", notes="token taken away")
    assert (
        managed.provider.diff(
            managed.id, managed.state, {**managed.declared, "reload_token": "2026-11"}
        ).changes
        is False
    )
    assert managed.lab.backend.machines[int(managed.id)].system_disk == 2


@pytest.mark.parametrize(
    ("change", "interrupts"),
    [
        ({"cores": 2.0}, True),
        ({"memory": 4096.0, "disks": [25.0, 100.0]}, True),
        ({"reload_token": "2026-11"}, True),
        ({"notes": "x", "nic_speed": 1000.0}, False),
    ],
)
def test_a_change_that_interrupts_the_guest_is_counted(
    managed: Managed, change: dict[str, Any], interrupts: bool
) -> None:
    assert managed.state["reboots"] == 0
    managed.change(**change)
    assert managed.state["reboots"] == int(interrupts)
    assert managed.settled()
    managed.change(cores=4.0)
    assert managed.state["reboots"] == int(interrupts) + 1


def test_an_interruption_that_a_killed_run_began_is_counted_by_the_next_one(managed: Managed) -> None:
    state = dict(managed.state)
    managed.change(cores=2.0)
    again = managed.provider.update(managed.id, state, dict(managed.declared)).outs or {}
    assert again["reboots"] == 1


def test_a_guest_that_is_kept_remembers_what_it_is_while_other_things_change(managed: Managed) -> None:
    managed.change(os="UBUNTU_LATEST", datacenter="dal13", on_replacement="keep", notes="x")
    assert (managed.state["os"], managed.state["datacenter"]) == ("DEBIAN_LATEST", "tor01")
    assert managed.settled()
    named = {**managed.declared, "on_replacement": "replace"}
    assert managed.provider.diff(managed.id, managed.state, named).replaces == ["datacenter", "os"]


def test_a_reload_by_hand_does_not_stand_for_a_declared_one(managed: Managed) -> None:
    machine = managed.lab.backend.machines[int(managed.id)]
    for token in ("first", "second"):
        before = machine.system_disk
        managed.lab.client().call("Virtual_Guest", "reloadOperatingSystem", "FORCE", {}, id=int(managed.id))
        managed.lab.wait_idle(int(managed.id))
        managed.change(reload_token=token)
        assert machine.system_disk == before + 2


@pytest.mark.parametrize("kind", ["rate-limit", "http-429", "lost-response"])
def test_a_reload_is_done_once_whatever_the_api_answers(managed: Managed, kind: str) -> None:
    managed.lab.fault(kind, method="reloadOperatingSystem", count=1)
    managed.change(reload_token="2026-11")
    assert managed.lab.backend.machines[int(managed.id)].system_disk == 2


def test_a_reload_that_does_not_begin_says_so(managed: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloads, "BEGIN_LIMIT", 0.2)
    managed.lab.fault("drop", method="reloadOperatingSystem")
    with pytest.raises(WaitedTooLong, match="probably not taken"):
        managed.change(reload_token="2026-11")


def test_an_image_is_reloaded_by_its_number(lab_api: LabApi) -> None:
    image = lab_api.client()["Virtual_Guest_Block_Device_Template_Group"].getPublicImages()[0]
    managed = Managed(lab_api, os=None, image=image["globalIdentifier"], ssh_key_ids=[])
    guest = guest_of(lab_api, managed.id)
    assert reloads.configuration(guest, parse(managed.declared)) == {"imageTemplateId": image["id"]}
    managed.change(reload_token="2026-11")
    assert lab_api.backend.machines[int(managed.id)].system_disk == 2


def test_a_change_of_a_guest_that_is_gone_says_so(managed: Managed) -> None:
    managed.lab.client().call("Virtual_Guest", "deleteObject", id=int(managed.id))
    managed.lab.wait_idle(int(managed.id))
    with pytest.raises(SoftLayerFailed, match="is gone; run `pulumi refresh`"):
        managed.change(notes="x")


def test_a_guest_that_is_gone_or_going_is_empty_when_read(managed: Managed) -> None:
    managed.lab.durations(reclaim=3600)
    managed.lab.client().call("Virtual_Guest", "deleteObject", id=int(managed.id))
    read = managed.provider.read(managed.id, managed.state)
    assert (read.id, read.outs) == ("", {})


# --- cancellation -----------------------------------------------------------------------------------------


def gone(managed: Managed) -> bool:
    return int(managed.id) not in {guest.id for guest in managed.lab.guests()}


def test_a_cancelled_guest_is_gone_when_the_cancellation_returns(managed: Managed) -> None:
    managed.lab.durations(reclaim=0.5)
    managed.provider.delete(managed.id, managed.state)
    assert gone(managed)


def test_cancelling_twice_is_no_error(managed: Managed) -> None:
    managed.provider.delete(managed.id, managed.state)
    managed.provider.delete(managed.id, managed.state)
    assert managed.lab.count("Virtual_Guest", "deleteObject") == 1


def test_a_cancellation_goes_on_with_one_that_was_interrupted(managed: Managed) -> None:
    managed.lab.durations(reclaim=0.5)
    managed.lab.client().call("Virtual_Guest", "deleteObject", id=int(managed.id))
    managed.provider.delete(managed.id, managed.state)
    assert gone(managed)


def test_a_cancellation_waits_for_the_outstanding_transaction(lab_api: LabApi) -> None:
    provider = configured(VirtualGuestProvider, lab_api)
    lab_api.durations(provision=1)
    created = provider.create(dict(GUEST))
    provider.delete(created.id, dict(created.outs or {}))
    assert lab_api.guests() == []
    assert [call["outcome"] for call in lab_api.calls("Virtual_Guest", "deleteObject")][-1] == "ok"


@pytest.mark.parametrize("count", [1, 2])
def test_a_cancellation_that_is_refused_as_busy_is_tried_again(managed: Managed, count: int) -> None:
    managed.lab.fault(
        "fault",
        method="deleteObject",
        count=count,
        message="This cancellation could not be processed. There is currently an active transaction.",
    )
    managed.provider.delete(managed.id, managed.state)
    assert gone(managed)


def test_a_cancellation_whose_answer_was_lost_is_seen_through(managed: Managed) -> None:
    managed.lab.fault("lost-response", method="deleteObject", count=1)
    managed.provider.delete(managed.id, managed.state)
    assert gone(managed)


def test_security_groups_are_detached_before_the_cancellation(lab_api: LabApi) -> None:
    group = str(lab_api.client().call("Network_SecurityGroup", "createObject", {"name": "a"})["id"])
    managed = Managed(lab_api, private_security_groups=[group])
    managed.provider.delete(managed.id, managed.state)
    methods = [call["method"] for call in lab_api.calls()]
    assert methods.index("detachNetworkComponents") < methods.index("deleteObject")


@pytest.mark.parametrize("side", ["public", "private"])
def test_a_guest_that_could_not_be_cancelled_is_behind_its_groups_again(lab_api: LabApi, side: str) -> None:
    groups = new_groups(lab_api, 2)
    managed = Managed(lab_api, **{f"{side}_security_groups": groups})
    lab_api.fault("fault", method="deleteObject", message="You do not have permission to cancel.")
    with pytest.raises(SoftLayerFailed, match="still exists"):
        managed.provider.delete(managed.id, managed.state)
    assert lab_api.count("Network_SecurityGroup", "detachNetworkComponents") == 2
    assert getattr(managed.record, side).security_groups == [int(group) for group in groups]


def test_a_guest_that_stays_open_is_said_to(lab_api: LabApi, capsys: pytest.CaptureFixture[str]) -> None:
    managed = Managed(lab_api, private_security_groups=new_groups(lab_api, 1))
    for method in ("deleteObject", "attachNetworkComponents"):
        lab_api.fault("fault", method=method, message="You do not have permission.")
    with pytest.raises(SoftLayerFailed, match="lacks a permission"):
        managed.provider.delete(managed.id, managed.state)
    assert "it may be open to everybody" in capsys.readouterr().out


def test_a_stuck_transaction_ends_the_wait_with_its_name(
    managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests, "TRANSACTION_LIMIT", 0.5)
    managed.lab.fault("stuck", step="RELOAD_POWER_OFF")
    managed.lab.client().call("Virtual_Guest", "reloadOperatingSystem", "FORCE", {}, id=int(managed.id))
    with pytest.raises(WaitedTooLong, match=r"RELOAD_POWER_OFF.*ticket"):
        managed.provider.delete(managed.id, managed.state)
    assert not gone(managed)


STRANGERS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("its name is other.example.com", "editObject", ({"hostname": "other"},)),
    ("its name is galera-1.example.org", "editObject", ({"domain": "example.org"},)),
    ("it lacks the tag", "setTags", ("dockerhost",)),
    ("its order carries the identity", "setUserMetadata", (["# swarm-galera-identity: a/b/c/d"],)),
]


@pytest.mark.parametrize(("reason", "method", "arguments"), STRANGERS, ids=lambda value: str(value)[:30])
def test_a_guest_that_is_not_the_stack_s_any_more_is_not_cancelled(
    managed: Managed, reason: str, method: str, arguments: tuple[Any, ...]
) -> None:
    managed.lab.client().call("Virtual_Guest", method, *arguments, id=int(managed.id))
    with pytest.raises(NotOurs, match=reason) as refused:
        managed.provider.delete(managed.id, managed.state)
    assert "pulumi state delete" in str(refused.value)
    assert managed.lab.count("Virtual_Guest", "deleteObject") == 0


def test_a_guest_that_never_got_its_tags_is_cancelled_by_its_identity(managed: Managed) -> None:
    managed.lab.client().call("Virtual_Guest", "setTags", "", id=int(managed.id))
    managed.provider.delete(managed.id, {**managed.state, "labelled": False})
    assert gone(managed)


def test_another_guest_is_never_touched(managed: Managed) -> None:
    other = Managed(managed.lab, resource="galera-2-guest", hostname="galera-2")
    before = other.record
    managed.change(notes="x", cores=2.0)
    managed.provider.delete(managed.id, managed.state)
    assert other.record == before


def test_cancellations_side_by_side_do_not_wait_for_one_another(lab_api: LabApi) -> None:
    made = [Managed(lab_api, resource=f"g{n}-guest", hostname=f"g{n}") for n in range(3)]
    threads = [threading.Thread(target=m.provider.delete, args=(m.id, m.state)) for m in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lab_api.guests() == []


def test_a_server_that_is_named_by_its_id_is_replaced_once(managed: Managed) -> None:
    """What `operations replace` and servers.replaceServer come to: cancelled, then another is ordered."""
    first = managed.id
    named = {**managed.declared, "replaces": float(first), "on_replacement": "replace"}
    found = managed.provider.diff(first, managed.state, named)
    assert (found.changes, found.replaces, found.delete_before_replace) == (True, ["replaces"], True)
    managed.provider.delete(first, managed.state)
    created = managed.provider.create(dict(named))
    assert created.id != first
    managed.lab.wait_idle(int(created.id))
    after = dict(created.outs or {})
    # The word stays where it is, and means nobody any more; nor does taking it away mean anything.
    for declared in (named, managed.declared):
        again = managed.provider.diff(created.id, after, {**declared, "on_replacement": "refuse"})
        assert (again.changes, again.replaces) == (False, [])
    assert managed.lab.ordered == 2
