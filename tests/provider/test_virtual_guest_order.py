"""Orders are never lost, doubled or orphaned."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from components.softlayer import orders, virtual_guest_provider
from components.softlayer.client import Backoff
from components.softlayer.errors import OrderUnknown, SoftLayerFailed
from components.softlayer.guest_spec import parse
from components.softlayer.identity import marker_of
from components.softlayer.virtual_guest_provider import VirtualGuestProvider
from harness.lab_api import LabApi
from tests.provider.providers import GUEST, OWNER, TAG, configured, guest_of, settings_of
from tests.provider.test_ssh_key import new_key

pytestmark = pytest.mark.provider
MARKER = marker_of(OWNER, "galera-1-guest")


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for notes on orders under way."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "swarm-galera" / "orders"


@pytest.fixture
def provider(lab_api: LabApi) -> VirtualGuestProvider:
    return configured(VirtualGuestProvider, lab_api)


def outs(result: Any) -> dict[str, Any]:
    assert result.outs is not None
    return dict(result.outs)


def placement_group(client: Any) -> int:
    """A placement group in tor01."""
    routers = client.call("Virtual_PlacementGroup", "getAvailableRouters")
    rules = client.call("Virtual_PlacementGroup_Rule", "getAllObjects")
    (router,) = (router["id"] for router in routers if router["hostname"] == "bcr01a.tor01")
    template = {"name": "spread", "ruleId": rules[0]["id"], "backendRouterId": router}
    return int(client.call("Virtual_PlacementGroup", "createObject", template)["id"])


def test_an_order_returns_its_id_long_before_the_guest_is_ready(
    lab_api: LabApi, provider: VirtualGuestProvider
) -> None:
    lab_api.durations(provision=3600)
    created = provider.create(dict(GUEST))
    assert lab_api.guest(int(created.id)).provisioned is None
    assert outs(created)["labelled"] is True


def test_an_order_carries_identity_tags_and_notes(lab_api: LabApi, provider: VirtualGuestProvider) -> None:
    guest = guest_of(lab_api, provider.create(dict(GUEST)).id)
    assert guest.marker == MARKER
    assert set(guest.tags) == {"swarm-galera", TAG, "dockerhost"}
    assert MARKER in guest.raw["notes"]


def test_everything_declared_reaches_the_guest(lab_api: LabApi, provider: VirtualGuestProvider) -> None:
    special = {
        **GUEST,
        "cores": 2.0,
        "memory": 4096.0,
        "disks": [25.0, 100.0],
        "nic_speed": 1000.0,
        "user_data": "#!/bin/sh\n",
        "notes": "for tests",
        "post_install_url": "https://example.com/setup",
        "hourly": False,
        "private_only": True,
    }
    created = provider.create(special)
    guest = guest_of(lab_api, created.id)
    seen = guest.observed(special)
    assert {key: seen[key] for key in special if not provider.same(key, seen[key], special[key])} == {}
    assert lab_api.guest(guest.id).post_install_uri == "https://example.com/setup"


@pytest.mark.parametrize("with_placement_group", [False, True])
def test_an_order_from_an_image_has_its_disks_and_all_else(
    lab_api: LabApi, provider: VirtualGuestProvider, with_placement_group: bool
) -> None:
    client = lab_api.client()
    image = client["Virtual_Guest_Block_Device_Template_Group"].getPublicImages()[0]["globalIdentifier"]
    keys = [client["Security_Ssh_Key"].createObject({"key": new_key(), "label": n})["id"] for n in "ab"]
    groups = [client["Network_SecurityGroup"].createObject({"name": name})["id"] for name in "abc"]
    private, public = (
        next(
            vlan
            for vlan in client["Account"].getNetworkVlans(
                mask="mask[id,networkSpace,subnets[id],primaryRouter]"
            )
            if vlan["networkSpace"] == space and vlan["primaryRouter"]["hostname"].endswith("tor01")
        )
        for space in ("PRIVATE", "PUBLIC")
    )
    special = {
        **GUEST,
        "os": None,
        "image": image,
        "local_disk": False,
        "transient": True,
        "disks": [25.0, 100.0, 10.0],
        "public_vlan": float(public["id"]),
        "private_vlan": float(private["id"]),
        "public_subnet": float(public["subnets"][0]["id"]),
        "private_subnet": float(private["subnets"][0]["id"]),
        "ssh_key_ids": [str(key) for key in keys],
        "public_security_groups": [str(groups[0])],
        "private_security_groups": [str(group) for group in groups[1:]],
        "nic_speed": 1000.0,
        "post_install_url": "https://example.com/setup",
        "user_data": "#!/bin/sh",
        "placement_group": float(placement_group(client)) if with_placement_group else None,
    }
    created = provider.create(dict(special))
    record, guest = lab_api.guest(int(created.id)), guest_of(lab_api, created.id)
    seen = guest.observed(special)
    assert {key: seen[key] for key in special if not provider.same(key, seen[key], special[key])} == {}
    assert (record.image_guid, record.os_code, record.ssh_key_ids) == (image, None, keys)
    assert record.transient
    assert record.post_install_uri == "https://example.com/setup"
    assert (record.private.subnet_id, record.private.security_groups) == (
        private["subnets"][0]["id"],
        groups[1:],
    )
    assert record.public is not None
    assert (record.public.vlan_id, record.public.security_groups) == (public["id"], groups[:1])
    assert record.placement_group == special["placement_group"]
    assert guest.marker == MARKER


def test_a_transient_server_is_ordered_and_seen_as_one(
    lab_api: LabApi, provider: VirtualGuestProvider
) -> None:
    created = provider.create({**GUEST, "transient": True})
    assert lab_api.guest(int(created.id)).transient
    assert outs(provider.read(created.id, outs(created)))["transient"] is True
    declared = {**GUEST, "transient": False}
    assert provider.diff(created.id, outs(provider.read(created.id, declared)), declared).replaces == [
        "transient"
    ]


@pytest.mark.parametrize("switch", [{}, {"transient": None}, {"transient": False}])
def test_a_server_of_before_there_were_transient_ones_is_left_as_it_is(
    lab_api: LabApi, provider: VirtualGuestProvider, switch: dict[str, Any]
) -> None:
    created = provider.create(dict(GUEST))
    assert not lab_api.guest(int(created.id)).transient
    read = outs(provider.read(created.id, outs(created)))
    assert "transient" not in read
    assert provider.diff(created.id, read, {**GUEST, **switch}).changes is False


def test_creating_again_finds_the_same_guest(lab_api: LabApi, provider: VirtualGuestProvider) -> None:
    first, second = provider.create(dict(GUEST)), provider.create(dict(GUEST))
    assert first.id == second.id
    assert lab_api.ordered == 1


def test_a_run_killed_before_the_tags_is_gone_on_with(
    lab_api: LabApi, provider: VirtualGuestProvider
) -> None:
    killed = lab_api.client().call("Virtual_Guest", "createObject", parse(GUEST).template())
    created = provider.create(dict(GUEST))
    assert created.id == str(killed["id"])
    assert TAG in guest_of(lab_api, created.id).tags
    assert lab_api.ordered == 1


def test_a_found_guest_that_differs_is_told_as_it_is(lab_api: LabApi, provider: VirtualGuestProvider) -> None:
    provider.create(dict(GUEST))
    wanted = {**GUEST, "cores": 2.0}
    found = outs(provider.create(dict(wanted)))
    assert found["cores"] == 1
    assert provider.diff("1", found, wanted).changes is True


@pytest.mark.parametrize("kind", ["lost-response", "drop"])
def test_a_lost_answer_never_orders_twice(lab_api: LabApi, provider: VirtualGuestProvider, kind: str) -> None:
    lab_api.fault(kind, method="createObject", count=1)
    if kind == "lost-response":
        created = provider.create(dict(GUEST))
    else:
        with pytest.raises(OrderUnknown, match=r"not ordered a second time.*Run the same command again"):
            provider.create(dict(GUEST))
        created = provider.create(dict(GUEST))
    assert [guest.id for guest in lab_api.guests()] == [int(created.id)]
    assert lab_api.ordered == 1


def test_an_http_error_after_the_order_was_taken_is_looked_into(
    lab_api: LabApi, provider: VirtualGuestProvider
) -> None:
    lab_api.fault("http-500", method="createObject", count=1, after=True)
    provider.create(dict(GUEST))
    assert lab_api.count("Virtual_Guest", "createObject") == 1
    assert lab_api.ordered == 1


@pytest.mark.parametrize("kind", ["rate-limit", "http-429"])
def test_a_refused_order_is_placed_when_the_api_takes_it(
    lab_api: LabApi, provider: VirtualGuestProvider, kind: str
) -> None:
    lab_api.fault(kind, method="createObject", count=2)
    provider.create(dict(GUEST))
    assert lab_api.count("Virtual_Guest", "createObject") == 3
    assert lab_api.ordered == 1


def test_an_unknown_outcome_is_looked_for_by_the_next_run_before_it_orders(
    lab_api: LabApi, notes: Path
) -> None:
    """The request of a killed run is carried out only after the next run has begun."""
    with orders.note_for(MARKER) as note:
        note.sent(30)
    late = threading.Timer(
        0.6, lambda: lab_api.client().call("Virtual_Guest", "createObject", parse(GUEST).template())
    )
    late.start()
    try:
        provider = configured(VirtualGuestProvider, lab_api, orderSettle=30)
        provider.create(dict(GUEST))
    finally:
        late.join()
    assert lab_api.ordered == 1


def test_an_old_note_does_not_hold_up_an_order(lab_api: LabApi, notes: Path) -> None:
    with orders.note_for(MARKER):
        pass
    (file,) = notes.iterdir()
    file.write_text(json.dumps({"marker": MARKER, "until": 1.0}))
    configured(VirtualGuestProvider, lab_api, orderSettle=3600).create(dict(GUEST))
    assert lab_api.ordered == 1


def killed_while_ordering(lab: LabApi, **settings: Any) -> None:
    """A provider in a process of its own, killed as soon as the API works on its order."""
    code = (
        "from pulumi.dynamic import Config, ConfigureRequest\n"
        "from components.softlayer.virtual_guest_provider import VirtualGuestProvider\n"
        "provider = VirtualGuestProvider()\n"
        f"config = Config({settings_of(lab, **settings)!r}, 'swarm-galera')\n"
        "provider.configure(ConfigureRequest(config))\n"
        f"provider.create({GUEST!r})\n"
    )
    (rule,) = (rule.id for rule in lab.server.faults.rules() if rule.kind == "delay")
    process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).resolve().parents[2])

    def worked_on() -> bool:
        assert process.poll() is None
        return all(one.remaining == 0 for one in lab.server.faults.rules() if one.id == rule)

    lab.wait_until(worked_on, "the order", 60)
    process.kill()
    process.wait()


def test_an_order_that_was_refused_for_long_before_the_run_was_killed_is_not_placed_twice(
    lab_api: LabApi,
) -> None:
    """The last request counts, not the first one: it may be carried out after the next run has begun."""
    lab_api.fault("rate-limit", method="createObject", count=2)
    lab_api.fault("delay", method="createObject", skip=2, count=1, seconds=1.5)
    killed_while_ordering(lab_api, orderSettle=0.1)
    lab_api.fault("fault", method="createObject", message="This is a second order.")
    configured(VirtualGuestProvider, lab_api, orderSettle=0.1).create(dict(GUEST))
    assert lab_api.ordered == 1


def test_a_note_keeps_the_id_for_an_account_whose_list_lags_behind(
    lab_api: LabApi, provider: VirtualGuestProvider
) -> None:
    lab_api.fault("stale-list", method="getVirtualGuests")
    first = provider.create(dict(GUEST))
    assert provider.create(dict(GUEST)).id == first.id
    assert lab_api.ordered == 1


def test_a_server_that_a_lagging_list_still_shows_is_not_taken_for_the_order(
    lab_api: LabApi, provider: VirtualGuestProvider
) -> None:
    first = provider.create(dict(GUEST))
    lab_api.wait_idle(int(first.id))
    lab_api.fault("stale-list", method="getVirtualGuests")
    assert provider.create(dict(GUEST)).id == first.id
    lab_api.client().call("Virtual_Guest", "deleteObject", id=int(first.id))
    lab_api.wait_idle(int(first.id))
    assert provider.create(dict(GUEST)).id != first.id


def test_an_order_whose_domain_changed_before_it_was_found_is_not_placed_twice(
    lab_api: LabApi, provider: VirtualGuestProvider
) -> None:
    first = lab_api.client().call("Virtual_Guest", "createObject", parse(GUEST).template())
    wanted = {**GUEST, "domain": "example.org"}
    created = provider.create(dict(wanted))
    assert created.id == str(first["id"])
    assert outs(created)["domain"] == "example.com"
    assert provider.diff(created.id, outs(created), wanted).replaces == []
    assert lab_api.ordered == 1


def test_a_run_after_an_unknown_outcome_looks_as_long_again_before_it_orders(
    lab_api: LabApi, notes: Path
) -> None:
    provider = configured(VirtualGuestProvider, lab_api, orderSettle=0.5)
    lab_api.fault("drop", method="createObject", count=1)
    with pytest.raises(OrderUnknown, match="for 0 s more"):
        provider.create(dict(GUEST))
    with orders.note_for(MARKER) as note:
        assert note.time_left() > 0
    late = threading.Timer(
        0.3, lambda: lab_api.client().call("Virtual_Guest", "createObject", parse(GUEST).template())
    )
    late.start()
    try:
        provider.create(dict(GUEST))
    finally:
        late.join()
    assert lab_api.ordered == 1


def test_orders_that_may_still_show_up_are_known_by_their_stack(notes: Path) -> None:
    with orders.note_for(MARKER) as note:
        note.sent(50)
    with orders.note_for(marker_of("swarm-galera/other/0123456789ab", "a")) as other:
        other.sent(50)
    with orders.note_for(marker_of(OWNER, "b")) as placed:
        placed.placed(7)
    assert 0 < orders.unsettled(OWNER).pop(MARKER) <= 50
    assert list(orders.unsettled(OWNER)) == [MARKER]


def test_a_provider_whose_engine_dies_while_its_order_is_refused_orders_nothing(
    lab_api: LabApi, provider: VirtualGuestProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab_api.fault("rate-limit", method="createObject", count=1)
    engine = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(sys, "argv", ["dynamic", f"127.0.0.1:{engine.getsockname()[1]}"])

    def end() -> None:
        lab_api.wait_until(lambda: lab_api.count("Virtual_Guest", "createObject") == 1, "the first try")
        engine.close()

    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(SoftLayerFailed, match="Pulumi has ended"):
        provider.create(dict(GUEST))
    ending.join()
    assert lab_api.ordered == 0


def test_two_processes_place_one_order_between_them(lab_api: LabApi) -> None:
    lab_api.fault("delay", method="createObject", seconds=0.3)
    found: list[str] = []

    def run() -> None:
        found.append(configured(VirtualGuestProvider, lab_api).create(dict(GUEST)).id)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert lab_api.ordered == 1


def test_somebody_else_s_guest_of_the_same_name_is_left_alone(
    lab_api: LabApi, provider: VirtualGuestProvider, template: Any
) -> None:
    other = lab_api.client().call("Virtual_Guest", "createObject", template())
    created = provider.create(dict(GUEST))
    assert created.id != str(other["id"])
    assert lab_api.guest(other["id"]).tags == []


def test_another_stack_s_guest_of_the_same_name_is_left_alone(
    lab_api: LabApi, provider: VirtualGuestProvider
) -> None:
    other = provider.create({**GUEST, "owner": "swarm-galera/test/ffffffffffff"})
    assert provider.create(dict(GUEST)).id != other.id


def test_a_cancelled_guest_is_not_taken_for_the_order(
    lab_api: LabApi, provider: VirtualGuestProvider
) -> None:
    created = provider.create(dict(GUEST))
    lab_api.wait_idle(int(created.id))
    lab_api.durations(reclaim=3600)
    lab_api.client().call("Virtual_Guest", "deleteObject", id=int(created.id))
    assert provider.create(dict(GUEST)).id != created.id


def test_two_guests_with_one_identity_are_an_error_that_names_both(
    lab_api: LabApi, provider: VirtualGuestProvider
) -> None:
    ids = [
        lab_api.client().call("Virtual_Guest", "createObject", parse(GUEST).template())["id"] for _ in "ab"
    ]
    with pytest.raises(SoftLayerFailed, match="slcli vs cancel") as refused:
        provider.create(dict(GUEST))
    assert all(str(number) in str(refused.value) for number in ids)
    assert lab_api.ordered == 2


def test_tags_that_are_refused_for_a_moment_are_set_in_the_end(
    lab_api: LabApi, provider: VirtualGuestProvider
) -> None:
    lab_api.fault("set-tags", count=2)
    created = provider.create(dict(GUEST))
    assert outs(created)["labelled"] is True
    assert TAG in guest_of(lab_api, created.id).tags


def test_tags_that_are_never_taken_do_not_lose_the_guest(
    lab_api: LabApi, provider: VirtualGuestProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtual_guest_provider, "_LABEL_PATIENCE", Backoff(first=0.01, most=0.01, limit=0.1))
    rule = lab_api.fault("set-tags")
    created = provider.create(dict(GUEST))
    state = outs(created)
    assert state["labelled"] is False
    assert provider.diff(created.id, state, GUEST).changes is True
    lab_api.clear_faults()
    assert rule
    updated = outs(provider.update(created.id, state, dict(GUEST)))
    assert updated["labelled"] is True
    assert TAG in guest_of(lab_api, created.id).tags
    assert provider.diff(created.id, updated, GUEST).changes is False


def test_an_order_with_a_placement_group_loses_nothing(
    lab_api: LabApi, provider: VirtualGuestProvider
) -> None:
    group = placement_group(lab_api.client())
    declared = {**GUEST, "placement_group": float(group), "nic_speed": 1000.0}
    created = provider.create(dict(declared))
    record = lab_api.guest(int(created.id))
    assert record.placement_group == group
    assert guest_of(lab_api, created.id).marker == MARKER
    assert provider.create(dict(declared)).id == created.id


def test_a_folder_that_cannot_be_written_orders_nothing(
    lab_api: LabApi, provider: VirtualGuestProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(SoftLayerFailed, match="XDG_STATE_HOME"):
        provider.create(dict(GUEST))
    assert lab_api.ordered == 0


def test_a_provider_whose_engine_died_orders_nothing(
    lab_api: LabApi, provider: VirtualGuestProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["dynamic", "127.0.0.1:1"])
    with pytest.raises(SoftLayerFailed, match="Pulumi has ended"):
        provider.create(dict(GUEST))
    assert lab_api.ordered == 0


# --- adoption ---------------------------------------------------------------------------------------------


def test_an_adopted_guest_is_not_touched(
    lab_api: LabApi, provider: VirtualGuestProvider, template: Any
) -> None:
    existing = lab_api.client().call("Virtual_Guest", "createObject", template(maxMemory=2048))
    lab_api.wait_idle(existing["id"])
    before = lab_api.guest(existing["id"])
    lab_api.server.forget_calls()
    created = provider.create({**GUEST, "adopt": float(existing["id"])})
    state = outs(created)
    assert created.id == str(existing["id"])
    assert {call["method"] for call in lab_api.calls()} == {"getObject"}
    refreshed = provider.read(created.id, state)
    assert provider.diff(created.id, outs(refreshed), {**GUEST, "adopt": 1.0}).changes is False
    provider.delete(created.id, state)
    assert lab_api.guest(existing["id"]) == before


@pytest.fixture
def existing(lab_api: LabApi, template: Any) -> int:
    """A server that was ordered by hand, with tags, notes, user data and a security group of its own."""
    client = lab_api.client()
    group = client.call("Network_SecurityGroup", "createObject", {"name": "own"})["id"]
    bindings = {"securityGroupBindings": [{"securityGroup": {"id": group}}]}
    data = [{"value": "own data"}]
    wanted = template(maxMemory=2048, primaryBackendNetworkComponent=bindings, userData=data)
    number = int(client.call("Virtual_Guest", "createObject", wanted)["id"])
    lab_api.wait_idle(number)
    client.call("Virtual_Guest", "setTags", "own,red", id=number)
    client.call("Virtual_Guest", "editObject", {"notes": "own notes"}, id=number)
    return number


def test_an_adopted_guest_keeps_what_is_its_own(
    lab_api: LabApi, provider: VirtualGuestProvider, existing: int, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = {**GUEST, "adopt": float(existing)}
    state = outs(provider.create(dict(declared)))
    group = str(lab_api.client().call("Network_SecurityGroup", "createObject", {"name": "stack's"})["id"])
    changed = {
        **declared,
        "tags": ["Red", "blue"],
        "notes": "the stack's",
        "user_data": "the stack's",
        "private_security_groups": [group],
    }
    state = outs(provider.update(str(existing), state, dict(changed)))
    record = lab_api.guest(existing)
    assert sorted(record.tags) == ["blue", "own", "red"]
    assert (record.notes, record.user_data) == ("own notes", "own data")
    assert record.private.security_groups == [record.private.security_groups[0], int(group)]
    assert "its notes and user data are left as they are" in capsys.readouterr().out
    state = outs(provider.read(str(existing), state))
    assert provider.diff(str(existing), state, changed).changes is False
    provider.update(str(existing), state, {**changed, "tags": [], "private_security_groups": []})
    record = lab_api.guest(existing)
    assert record.tags == ["own"]
    assert len(record.private.security_groups) == 1


def test_groups_of_the_stack_are_attached_to_an_adopted_guest_by_the_next_update(
    lab_api: LabApi, provider: VirtualGuestProvider, existing: int, capsys: pytest.CaptureFixture[str]
) -> None:
    group = str(lab_api.client().call("Network_SecurityGroup", "createObject", {"name": "stack's"})["id"])
    declared = {**GUEST, "adopt": float(existing), "private_security_groups": [group]}
    state = outs(provider.create(dict(declared)))
    assert state["private_security_groups"] == []
    assert "the next `up` attaches them" in capsys.readouterr().out
    assert provider.diff(str(existing), state, declared).changes is True
    state = outs(provider.update(str(existing), state, dict(declared)))
    assert int(group) in lab_api.guest(existing).private.security_groups
    assert provider.diff(str(existing), state, declared).changes is False


def test_a_change_of_memory_orders_nothing_else_for_an_adopted_guest(
    lab_api: LabApi, provider: VirtualGuestProvider, existing: int
) -> None:
    declared = {**GUEST, "adopt": float(existing)}
    state = outs(provider.create(dict(declared)))
    provider.update(str(existing), state, {**declared, "memory": 4096.0})
    record = lab_api.guest(existing)
    assert (record.memory, [disk.capacity for disk in record.disks]) == (4096, [25, 25])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"disks": [25.0, 100.0]}, r"disks is 25\+25, the settings say 25\+100"),
        ({"nic_speed": 1000.0}, "nic_speed is 100, the settings say 1000"),
    ],
)
def test_disks_and_speed_of_an_adopted_guest_are_compared(
    provider: VirtualGuestProvider, existing: int, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(SoftLayerFailed, match=said):
        provider.create({**GUEST, "adopt": float(existing), **change})


def test_settings_that_do_not_describe_the_adopted_guest_are_refused(
    lab_api: LabApi, provider: VirtualGuestProvider, template: Any
) -> None:
    existing = lab_api.client().call("Virtual_Guest", "createObject", template(maxMemory=4096))
    with pytest.raises(SoftLayerFailed, match="memory is 4096, the settings say 2048"):
        provider.create({**GUEST, "adopt": float(existing["id"])})
    assert lab_api.ordered == 1


def test_adopting_what_does_not_exist_orders_nothing(lab_api: LabApi, provider: VirtualGuestProvider) -> None:
    with pytest.raises(SoftLayerFailed, match="none of that id"):
        provider.create({**GUEST, "adopt": 4711.0})
    assert lab_api.ordered == 0
