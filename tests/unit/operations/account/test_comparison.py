"""What the account has of a stack and the state does not know."""

from __future__ import annotations

from typing import Any

import pytest

from operations.account.comparison import GROUP, KEY, Known, known, unknown_guests, unknown_things, vanished

OWNER = "demo/dev/0123456789ab"
FOREIGN = "demo/dev/ffffffffffff"


def guest(number: int, marker: str | None, **more: Any) -> dict[str, Any]:
    data = [{"value": f"# swarm-galera-identity: {marker}"}] if marker else []
    return {
        "id": number,
        "hostname": f"g{number}",
        "domain": "example.com",
        "userData": data,
        "hourlyBillingFlag": True,
        "billingItem": {"hourlyRecurringFee": "0.05", "children": [{"hourlyRecurringFee": "0.05"}]},
        **more,
    }


STATE = Known(OWNER, frozenset({("guest", "1"), ("SSH key", "7")}))


def test_a_guest_in_the_state_is_no_stray() -> None:
    assert unknown_guests([guest(1, f"{OWNER}/g1")], STATE, "demo", "dev") == []


def test_a_guest_of_an_interrupted_run_is_listed_with_its_cost_and_what_to_do() -> None:
    (found,) = unknown_guests([guest(2, f"{OWNER}/g2")], STATE, "demo", "dev")
    assert (found.id, found.name, found.monthly) == ("2", "g2.example.com", 73.0)
    assert (found.stray, found.ours) == (True, True)
    assert "`up` goes on with it" in found.todo
    assert "slcli vs cancel 2" in found.todo


@pytest.mark.parametrize("state", [STATE, Known("", frozenset())])
def test_nobody_is_told_to_cancel_what_another_stack_of_the_same_name_ordered(state: Known) -> None:
    """It may be a colleague's, whose state is on another machine."""
    tags = [{"tag": {"name": "swarm-galera-demo-dev-ffffffffffff"}}]
    rows = [guest(2, f"{FOREIGN}/g2"), guest(3, None, tagReferences=tags)]
    keys = [{"id": 8, "label": "stray", "notes": f"mine\nswarm-galera {FOREIGN}/ssh-key"}]
    groups = [{"id": 9, "name": "stray", "description": f"swarm-galera {FOREIGN}/firewall"}]
    found = [
        *unknown_guests(rows, state, "demo", "dev"),
        *unknown_things(KEY, keys, state, "demo", "dev"),
        *unknown_things(GROUP, groups, state, "demo", "dev"),
    ]
    assert [one.id for one in found] == ["2", "3", "8", "9"]
    for one in found:
        assert (one.ours, one.stray) == (False, False)
        assert "ffffffffffff" in one.why
        assert "slcli" not in one.todo
        assert "ask first" in one.todo


@pytest.mark.parametrize("marker", ["demo/dev2/0123456789ab/g2", "other/dev/0123456789ab/g2", None])
def test_guests_of_others_are_left_out(marker: str | None) -> None:
    assert unknown_guests([guest(2, marker)], STATE, "demo", "dev") == []


def test_a_guest_that_has_only_the_tag_is_listed() -> None:
    tags = [{"tag": {"name": "swarm-galera-demo-dev-0123456789ab"}}]
    others = [{"tag": {"name": "swarm-galera-demo-dev-eu-0123456789ab"}}]
    rows = [guest(2, None, tagReferences=tags), guest(3, None, tagReferences=others)]
    (found,) = unknown_guests(rows, STATE, "demo", "dev")
    assert (found.id, found.ours, found.stray) == ("2", True, False)
    assert "slcli vs cancel 2" in found.todo


def test_a_cancelled_guest_is_left_out() -> None:
    going = {"transactionStatus": {"name": "CLOUD_RECLAIM"}}
    rows = [guest(2, f"{OWNER}/g2", activeTransaction=going)]
    assert unknown_guests(rows, STATE, "demo", "dev") == []


def test_keys_and_groups_are_told_by_their_notes_and_descriptions() -> None:
    keys = [
        {"id": 7, "label": "in-state", "notes": f"swarm-galera {OWNER}/ssh-key"},
        {"id": 8, "label": "stray", "notes": f"mine\nswarm-galera {OWNER}/ssh-key"},
        {"id": 9, "label": "foreign", "notes": "swarm-galera demo/prod/0123456789ab/ssh-key"},
        {"id": 10, "label": "by hand", "notes": None},
    ]
    groups = [{"id": 11, "name": "stray", "description": f"what for (swarm-galera {OWNER}/firewall)"}]
    assert [f.name for f in unknown_things(KEY, keys, STATE, "demo", "dev")] == ["stray"]
    (group,) = unknown_things(GROUP, groups, STATE, "demo", "dev")
    assert "securitygroup delete 11" in group.todo


def test_what_the_state_has_and_the_account_has_not_is_listed() -> None:
    assert [(f.kind, f.id) for f in vanished([("guest", "1")], STATE)] == [("SSH key", "7")]


def test_a_state_is_read_for_ids_and_the_identity() -> None:
    kind = "pulumi-python:dynamic/softlayer:"
    exported = {
        "deployment": {
            "resources": [
                {
                    "type": f"{kind}VirtualGuest",
                    "id": "1",
                    "outputs": {},
                    "protect": True,
                    "urn": "urn:pulumi:dev::demo::x::galera-1-guest",
                },
                {"type": f"{kind}VirtualGuest", "id": "2", "delete": True, "outputs": {}},
                {"type": f"{kind}SshKey", "id": "7", "outputs": {}},
                {"type": f"{kind}StackIdentity", "id": "x", "outputs": {"owner": OWNER}},
                {"type": "pulumi:pulumi:Stack"},
            ]
        }
    }
    expected = Known(
        OWNER, frozenset({("guest", "1"), ("guest", "2"), ("SSH key", "7")}), ("galera-1-guest",)
    )
    assert known(exported) == expected


def test_a_stack_that_was_never_up_knows_nothing() -> None:
    assert known({}) == Known("", frozenset())
