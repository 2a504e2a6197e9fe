"""The audit against an account in which a run was interrupted."""

from __future__ import annotations

import pytest

from components.softlayer.errors import SoftLayerFailed
from components.softlayer.firewall import public_rules
from components.softlayer.guest_spec import parse
from components.softlayer.security_group_provider import SecurityGroupProvider
from components.softlayer.ssh_key_provider import SshKeyProvider
from components.softlayer.virtual_guest_provider import VirtualGuestProvider
from harness.lab_api import LabApi
from operations.account.comparison import Known, compare
from tests.provider.providers import GUEST, OWNER, api_of, configured
from tests.provider.test_ssh_key import new_key

pytestmark = pytest.mark.provider


def test_what_interrupted_runs_left_is_found_and_nothing_else(lab_api: LabApi) -> None:
    kept = configured(VirtualGuestProvider, lab_api).create(dict(GUEST))
    # Killed before the tags were set: only the order itself tells whose this is.
    lost = {**GUEST, "resource": "galera-2-guest", "hostname": "galera-2"}
    stray = lab_api.client().call("Virtual_Guest", "createObject", parse(lost).template())
    key = configured(SshKeyProvider, lab_api).create(
        {"owner": OWNER, "resource": "ssh-key", "public_key": new_key()}
    )
    rules = [rule.as_props() for rule in public_rules()]
    group = configured(SecurityGroupProvider, lab_api).create(
        {"owner": OWNER, "resource": "firewall", "rules": rules}
    )
    client = lab_api.client()
    client.call("Security_Ssh_Key", "createObject", {"key": new_key(), "label": "somebody's"})
    client.call("Network_SecurityGroup", "createObject", {"name": "somebody's", "description": "theirs"})
    found = compare(api_of(lab_api), Known(OWNER, frozenset({("guest", kept.id)})), "swarm-galera", "test")
    assert [(one.kind, one.id) for one in found] == [
        ("guest", str(stray["id"])),
        ("SSH key", key.id),
        ("security group", group.id),
    ]
    assert found[0].monthly > 0


def test_an_account_that_fits_its_state_has_nothing_to_list(lab_api: LabApi) -> None:
    kept = configured(VirtualGuestProvider, lab_api).create(dict(GUEST))
    state = Known(OWNER, frozenset({("guest", kept.id)}))
    assert compare(api_of(lab_api), state, "swarm-galera", "test") == []


def test_an_audit_changes_nothing(lab_api: LabApi) -> None:
    configured(VirtualGuestProvider, lab_api).create(dict(GUEST))
    lab_api.server.forget_calls()
    compare(api_of(lab_api), Known("", frozenset()), "swarm-galera", "test")
    assert all(call["method"].startswith("get") for call in lab_api.calls())


def test_an_audit_that_may_not_look_says_why(lab_api: LabApi) -> None:
    lab_api.fault("fault", method="getVirtualGuests", message="Access Denied. ")
    with pytest.raises(SoftLayerFailed, match="listing what the account has failed"):
        compare(api_of(lab_api), Known("", frozenset()), "swarm-galera", "test")
