"""Security groups: made once, changed rule by rule, deleted cleanly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components import swarm_ports
from components.softlayer.errors import SoftLayerFailed
from components.softlayer.firewall import SELF, Rule, private_rules, public_rules
from components.softlayer.security_group_provider import SecurityGroupProvider, rule_seen
from components.softlayer.virtual_guest_provider import VirtualGuestProvider
from harness.lab_api import LabApi
from tests.provider.providers import GUEST, OWNER, configured

pytestmark = pytest.mark.provider

PORTS = swarm_ports.opened([])


@pytest.fixture
def provider(lab_api: LabApi) -> SecurityGroupProvider:
    return configured(SecurityGroupProvider, lab_api)


def declared(rules: list[Rule], **properties: Any) -> dict[str, Any]:
    return {
        "owner": OWNER,
        "resource": "firewall-private",
        "rules": [rule.as_props() for rule in rules],
        **properties,
    }


def groups(lab: LabApi) -> list[dict[str, Any]]:
    mask = "mask[id,name,description,rules,networkComponentBindings]"
    return list(lab.client().call("Account", "getSecurityGroups", mask=mask))


def drift(provider: SecurityGroupProvider, id_: str, state: dict[str, Any], wanted: dict[str, Any]) -> Any:
    return provider.diff(id_, dict(provider.read(id_, state).outs or {}), wanted).changes


@pytest.mark.parametrize(
    "rules",
    [
        private_rules(["10.0.0.0/8"]),
        private_rules(ports=PORTS),
        public_rules(["198.51.100.7/32", "2001:db8::/32"], [80, 443]),
        public_rules(["0.0.0.0/0"]),
        [],
    ],
    ids=["private", "private without ESP", "public", "open to all", "closed"],
)
def test_a_group_has_the_declared_rules_and_no_drift(
    lab_api: LabApi, provider: SecurityGroupProvider, rules: list[Rule]
) -> None:
    props = declared(rules)
    created = provider.create(dict(props))
    state = dict(created.outs or {})
    assert len(groups(lab_api)[0].get("rules", [])) == len(set(rules))
    assert drift(provider, created.id, state, props) is False


def test_a_group_of_an_interrupted_run_is_completed(lab_api: LabApi, provider: SecurityGroupProvider) -> None:
    lab_api.fault("fault", method="addRules", count=1, message="out of order")
    props = declared(private_rules())
    with pytest.raises(SoftLayerFailed):
        provider.create(dict(props))
    created = provider.create(dict(props))
    assert len(groups(lab_api)) == 1
    assert drift(provider, created.id, dict(created.outs or {}), props) is False


def test_a_group_whose_answer_was_lost_is_not_made_twice(
    lab_api: LabApi, provider: SecurityGroupProvider
) -> None:
    lab_api.fault("lost-response", method="createObject", count=1)
    provider.create(declared(private_rules()))
    assert len(groups(lab_api)) == 1


def test_rules_whose_answer_was_lost_are_not_doubled(
    lab_api: LabApi, provider: SecurityGroupProvider
) -> None:
    lab_api.fault("lost-response", method="addRules", count=1)
    props = declared(private_rules())
    with pytest.raises(SoftLayerFailed):
        provider.create(dict(props))
    provider.create(dict(props))
    assert len(groups(lab_api)[0]["rules"]) == len(private_rules())


def test_rules_change_in_place_and_the_others_stay(lab_api: LabApi, provider: SecurityGroupProvider) -> None:
    props = declared(private_rules(["10.0.0.0/8"]))
    created = provider.create(dict(props))
    before = {rule["id"] for rule in groups(lab_api)[0]["rules"]}
    wanted = declared(private_rules(["192.168.0.0/16"]), name="renamed", description="mine")
    state = dict(provider.update(created.id, dict(created.outs or {}), dict(wanted)).outs or {})
    after = {rule["id"] for rule in groups(lab_api)[0]["rules"]}
    assert (len(before - after), len(after - before)) == (1, 1)
    assert groups(lab_api)[0]["name"] == "renamed"
    assert drift(provider, created.id, state, wanted) is False
    methods = [call["method"] for call in lab_api.calls()]
    assert methods.index("removeRules") > max(i for i, m in enumerate(methods) if m == "addRules")


def test_a_rule_added_or_removed_by_hand_is_put_right(
    lab_api: LabApi, provider: SecurityGroupProvider
) -> None:
    props = declared(public_rules(["10.0.0.0/8"]))
    created = provider.create(dict(props))
    state, client = dict(created.outs or {}), lab_api.client()
    kept = groups(lab_api)[0]["rules"][0]["id"]
    client.call("Network_SecurityGroup", "removeRules", [kept], id=int(created.id))
    client.call("Network_SecurityGroup", "addRules", [{"direction": "ingress"}], id=int(created.id))
    seen = dict(provider.read(created.id, state).outs or {})
    assert provider.diff(created.id, seen, props).changes is True
    state = dict(provider.update(created.id, seen, dict(props)).outs or {})
    assert drift(provider, created.id, state, props) is False


@pytest.mark.parametrize("encrypted", [True, False])
def test_rules_change_within_softlayers_limits(
    lab_api: LabApi, provider: SecurityGroupProvider, encrypted: bool
) -> None:
    """The rules of before and those of after are together more than a group takes."""
    kinds = (None, PORTS) if encrypted else (PORTS, None)
    before, after = (declared(private_rules(ports=ports)) for ports in kinds)
    created = provider.create(dict(before))
    provider.update(created.id, before, after)
    (group,) = groups(lab_api)
    seen = {rule_seen(rule, int(created.id)) for rule in group["rules"]}
    assert seen == set(private_rules(ports=kinds[1]))


def test_more_rules_than_softlayer_takes_are_refused_before_anything_is_made(
    lab_api: LabApi, provider: SecurityGroupProvider
) -> None:
    remote = [Rule("ingress", "tcp", port, port, SELF) for port in range(1, 7)]
    many = public_rules(published=range(1, 50))
    for rules, text in (
        (remote, "6 rules name a group, and SoftLayer takes 5 such rules in a group"),
        (many, "there are 51 rules, and SoftLayer takes 50 in a group"),
    ):
        (failure,) = provider.check({}, declared(rules)).failures
        assert failure.reason.startswith(text)
        assert provider.check({}, declared(rules[1:])).failures == []
    assert lab_api.calls() == []


def test_a_bound_group_that_names_itself_is_deleted(lab_api: LabApi, provider: SecurityGroupProvider) -> None:
    created = provider.create(declared(private_rules()))
    guest = configured(VirtualGuestProvider, lab_api).create(
        {**GUEST, "private_security_groups": [created.id]}
    )
    lab_api.wait_idle(int(guest.id))
    assert lab_api.guest(int(guest.id)).private.security_groups == [int(created.id)]
    provider.delete(created.id, dict(created.outs or {}))
    assert groups(lab_api) == []
    assert lab_api.guest(int(guest.id)).private.security_groups == []
    provider.delete(created.id, dict(created.outs or {}))


@pytest.mark.parametrize("method", ["removeRules", "detachNetworkComponents", "deleteObject"])
def test_a_group_is_deleted_though_an_answer_on_the_way_was_lost(
    lab_api: LabApi,
    provider: SecurityGroupProvider,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    created = provider.create(declared(private_rules()))
    configured(VirtualGuestProvider, lab_api).create({**GUEST, "private_security_groups": [created.id]})
    lab_api.fault("lost-response", service="Network_SecurityGroup", method=method, count=1)
    provider.delete(created.id, dict(created.outs or {}))
    assert groups(lab_api) == []


def test_rules_are_taken_away_though_the_answer_was_lost(
    lab_api: LabApi, provider: SecurityGroupProvider
) -> None:
    props = declared(private_rules(["10.0.0.0/8", "192.168.0.0/16"]))
    created = provider.create(dict(props))
    lab_api.fault("lost-response", method="removeRules", count=1)
    wanted = declared(private_rules())
    state = dict(provider.update(created.id, dict(created.outs or {}), dict(wanted)).outs or {})
    assert drift(provider, created.id, state, wanted) is False


def test_a_group_that_is_gone_is_empty_when_read_and_an_error_when_changed(
    lab_api: LabApi, provider: SecurityGroupProvider
) -> None:
    props = declared(private_rules())
    created = provider.create(dict(props))
    state = dict(created.outs or {})
    provider.delete(created.id, state)
    assert provider.read(created.id, state).id == ""
    with pytest.raises(SoftLayerFailed, match="is gone"):
        provider.update(created.id, state, props)
