"""Orders are never lost, doubled or orphaned."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from components.softlayer import orders
from components.softlayer.errors import OrderUnknown, SoftLayerFailed
from components.softlayer.identity import marker_of
from components.softlayer.virtual_guest_provider import VirtualGuestProvider
from lab.api.testing import LabApi
from tests.provider.providers import GUEST, OWNER, TAG, configured, guest_of

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


def test_creating_again_finds_the_same_guest(lab_api: LabApi, provider: VirtualGuestProvider) -> None:
    first, second = provider.create(dict(GUEST)), provider.create(dict(GUEST))
    assert first.id == second.id
    assert lab_api.ordered == 1


def test_a_run_killed_before_the_tags_is_gone_on_with(
    lab_api: LabApi, provider: VirtualGuestProvider
) -> None:
    from components.softlayer.guest_spec import parse

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
    from components.softlayer.guest_spec import parse

    with orders.note_for(MARKER) as note:
        note.sending()
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
    file.write_text(json.dumps({"marker": MARKER, "sent": 1.0}))
    configured(VirtualGuestProvider, lab_api, orderSettle=3600).create(dict(GUEST))
    assert lab_api.ordered == 1


def test_a_settled_order_leaves_an_empty_note(
    lab_api: LabApi, provider: VirtualGuestProvider, notes: Path
) -> None:
    provider.create(dict(GUEST))
    assert [file.read_text() for file in notes.iterdir()] == [""]


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
    from components.softlayer.guest_spec import parse

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
    from components.softlayer import virtual_guest_provider
    from components.softlayer.client import Backoff

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
    client = lab_api.client()
    routers = client.call("Virtual_PlacementGroup", "getAvailableRouters")
    rules = client.call("Virtual_PlacementGroup_Rule", "getAllObjects")
    group = client.call(
        "Virtual_PlacementGroup",
        "createObject",
        {"name": "spread", "ruleId": rules[0]["id"], "backendRouterId": routers[0]["id"]},
    )
    datacenter = routers[0]["topLevelLocation"]["name"] if "topLevelLocation" in routers[0] else "tor01"
    declared = {**GUEST, "placement_group": float(group["id"]), "datacenter": datacenter, "nic_speed": 1000.0}
    created = provider.create(dict(declared))
    record = lab_api.guest(int(created.id))
    assert record.placement_group == group["id"]
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
    import sys

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
