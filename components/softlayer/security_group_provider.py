"""The dynamic provider of `SecurityGroup`.

Owns: the group and its rules, changed in place rule by rule.
Leaves to others: which rules (firewall.py); binding to servers (virtual_guest_provider.py).

New rules are added before old ones are removed, so that no connection that both allow is refused. Where both
together are more than SoftLayer takes, the old ones go first: for a moment no new connection is let in, those
that are open stay.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, ReadResult, UpdateResult
from SoftLayer import exceptions as sl

from components.dynamic import is_unknown
from components.softlayer.client import Api
from components.softlayer.errors import NotOurs, SoftLayerFailed, explaining, is_gone, outcome_unknown
from components.softlayer.firewall import MAX_REMOTE_RULES, MAX_RULES, SELF, Rule
from components.softlayer.identity import belongs_to, signature, stack_tag
from components.softlayer.provider import SoftLayerProvider

_SERVICE = "Network_SecurityGroup"
_MASK = (
    "mask[id,name,description,rules[id,direction,ethertype,protocol,portRangeMin,portRangeMax,remoteIp,"
    "remoteGroupId],networkComponentBindings[networkComponentId]]"
)
_OTHER_GROUP = "group "
_PROTOCOLS = ("tcp", "udp", "icmp", None)


def rule_of(props: Mapping[str, Any]) -> Rule:
    """A rule from the state's form."""
    first, last = props.get("first_port"), props.get("last_port")
    return Rule(
        direction=props["direction"],
        protocol=props.get("protocol"),
        first_port=None if first is None else int(first),
        last_port=None if last is None else int(last),
        source=props.get("source"),
        ethertype=props.get("ethertype", "IPv4"),
    )


def rule_seen(row: Mapping[str, Any], group_id: int) -> Rule:
    """A rule as the API reports it."""
    remote_group = row.get("remoteGroupId")
    source = row.get("remoteIp") or None
    if remote_group is not None:
        source = SELF if int(remote_group) == group_id else f"{_OTHER_GROUP}{remote_group}"
    if source in ("0.0.0.0/0", "::/0"):
        source = None
    ports = [row.get("portRangeMin"), row.get("portRangeMax")]
    first, last = (None if port in (None, "", -1) else int(str(port)) for port in ports)
    return Rule(
        direction=row["direction"],
        protocol=(row.get("protocol") or "").lower() or None,
        first_port=first,
        last_port=last,
        source=source,
        ethertype="IPv6" if str(row.get("ethertype", "IPv4")).lower() == "ipv6" else "IPv4",
    )


def rule_template(rule: Rule, group_id: int) -> dict[str, Any]:
    """A rule for `addRules`."""
    template: dict[str, Any] = {"direction": rule.direction, "ethertype": rule.ethertype}
    if rule.protocol is not None:
        template["protocol"] = rule.protocol
    if rule.first_port is not None:
        template["portRangeMin"] = rule.first_port
        template["portRangeMax"] = rule.last_port
    if rule.source == SELF:
        template["remoteGroupId"] = group_id
    elif rule.source is not None:
        template["remoteIp"] = rule.source
    return template


def rule_problem(rule: Rule) -> str | None:
    """Why a rule cannot work; None when it can."""
    if rule.direction not in ("ingress", "egress"):
        return f"direction '{rule.direction}'; give ingress or egress"
    if rule.protocol not in _PROTOCOLS:
        return f"protocol '{rule.protocol}'; give tcp, udp, icmp or none for any"
    if (rule.first_port is None) != (rule.last_port is None):
        return "one end of a port range; give both"
    if rule.first_port is not None and rule.last_port is not None:
        if rule.protocol not in ("tcp", "udp"):
            return "ports without tcp or udp; leave the ports out or name the protocol"
        if not 1 <= rule.first_port <= rule.last_port <= 65535:
            return f"ports {rule.first_port} to {rule.last_port}; give a range within 1 to 65535"
    if rule.source not in (None, SELF):
        try:
            network = ipaddress.ip_network(str(rule.source))
        except ValueError:
            return f"source '{rule.source}'; give a CIDR such as 198.51.100.0/24 (no host bits set), or self"
        if f"IPv{network.version}" != rule.ethertype:
            return f"source {rule.source} is not {rule.ethertype}; set the ethertype to IPv{network.version}"
    return None


def over_limits(rules: Collection[Rule]) -> str | None:
    """Why these are too many rules for one group; None when they are not."""
    remote = sum(rule.source == SELF or str(rule.source).startswith(_OTHER_GROUP) for rule in rules)
    if remote > MAX_REMOTE_RULES:
        return (
            f"{remote} rules name a group, and SoftLayer takes {MAX_REMOTE_RULES} such rules in a group; "
            "join ranges of ports, or allow any protocol"
        )
    if len(rules) > MAX_RULES:
        return (
            f"there are {len(rules)} rules, and SoftLayer takes {MAX_RULES} in a group; "
            "join networks (ssh.allowedCidrs) or ports (servers.publishedPorts)"
        )
    return None


class SecurityGroupProvider(SoftLayerProvider):
    """Operations on one security group."""

    UPDATE = frozenset({"name", "description", "rules"})
    IGNORE = frozenset({"owner", "resource"})

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse rules that cannot work. No network."""
        if is_unknown(news.get("rules")):
            return CheckResult(news, [])
        rules = [rule_of(rule) for rule in news.get("rules") or ()]
        problems = [f"a rule has {problem}" for rule in rules if (problem := rule_problem(rule))]
        if problem := over_limits(set(rules)):
            problems.append(problem)
        return CheckResult(news, [CheckFailure("rules", problem) for problem in problems])

    def same(self, key: str, old: Any, new: Any) -> bool:
        """Rules are a set."""
        if key == "rules" and isinstance(old, list) and isinstance(new, list):
            return {rule_of(rule) for rule in old} == {rule_of(rule) for rule in new}
        return super().same(key, old, new)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the group, or go on with the one that an interrupted run made; then its rules."""
        api = self.api()
        name = _name(props)
        with explaining(f"making the security group {name}"):
            row = _find(api, props)
            if row is None:
                row = self._make(api, props)
            group_id = int(row["id"])
            _set_rules(api, group_id, props.get("rules") or (), row.get("rules") or ())
        return CreateResult(str(group_id), dict(props))

    def _make(self, api: Api, props: Mapping[str, Any]) -> dict[str, Any]:
        template = {"name": _name(props), "description": _description(props)}
        try:
            row: dict[str, Any] = api.insist(_SERVICE, "createObject", template)
        except sl.SoftLayerAPIError as error:
            found = _find(api, props) if outcome_unknown(error) else None
            if found is None:
                raise
            row = found
        return row

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """The group as it is; empty when it is gone."""
        with explaining(f"reading the security group {id_}"):
            row = self.api().get(_SERVICE, id_, mask=_MASK)
        if row is None:
            return ReadResult("", {})
        seen: dict[str, Any] = {}
        rules = {rule_seen(rule, int(id_)) for rule in row.get("rules") or ()}
        if rules != {_any_source(rule_of(rule)) for rule in props.get("rules") or ()}:
            seen["rules"] = [rule.as_props() for rule in sorted(rules, key=repr)]
        if row.get("name") != _name(props):
            seen["name"] = row.get("name")
        if row.get("description") != _description(props):
            seen["description"] = row.get("description")
        return ReadResult(id_, {**props, **seen})

    def update(self, id_: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Name, description and rules, in place."""
        api = self.api()
        with explaining(f"changing the security group {_name(news)}"):
            row = api.get(_SERVICE, id_, mask=_MASK)
            if row is None:
                raise SoftLayerFailed(
                    f"the security group {id_} is gone; run `pulumi refresh`, then the same command again"
                )
            edited = {"name": _name(news), "description": _description(news)}
            if any(row.get(key) != value for key, value in edited.items()):
                api.call(_SERVICE, "editObject", edited, id=int(id_))
            _set_rules(api, int(id_), news.get("rules") or (), row.get("rules") or ())
        return UpdateResult(dict(news))

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        """Detach it from interfaces that still have it, remove rules that name the group itself, delete."""
        api = self.api()
        with explaining(f"deleting the security group {_name(props)}"):
            row = api.get(_SERVICE, id_, mask=_MASK)
            if row is not None:
                _delete(api, row)


def delete_of_owner(api: Api, id_: str, owner: str) -> None:
    """Delete a group that is in no state, if its description carries that stack's identity.

    Raises:
        NotOurs: it does not; nothing has been deleted.
    """
    with explaining(f"deleting the security group {id_}"):
        row = api.get(_SERVICE, id_, mask=_MASK)
        if row is None:
            return
        if not belongs_to(row.get("description"), owner):
            raise NotOurs(
                f"the security group {id_} is not deleted: its description lacks the identity {owner}"
            )
        _delete(api, row)


def _delete(api: Api, row: Mapping[str, Any]) -> None:
    group_id = int(row["id"])
    _take_away(api, group_id, "detachNetworkComponents", _bound(row), _bound)
    own = [
        int(rule["id"])
        for rule in row.get("rules") or ()
        if rule.get("remoteGroupId") is not None and int(rule["remoteGroupId"]) == group_id
    ]
    _take_away(api, group_id, "removeRules", own, _rules)
    api.delete(_SERVICE, group_id)


def _any_source(rule: Rule) -> Rule:
    return Rule(**{**vars(rule), "source": None}) if rule.source in ("0.0.0.0/0", "::/0") else rule


def _set_rules(
    api: Api, group_id: int, declared: Iterable[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]
) -> None:
    wanted = {_any_source(rule_of(rule)) for rule in declared}
    present: dict[Rule, list[int]] = {}
    for row in rows:
        present.setdefault(rule_seen(row, group_id), []).append(int(row["id"]))
    templates = [rule_template(rule, group_id) for rule in sorted(wanted - present.keys(), key=repr)]
    # What is no longer wanted, and doubles that an interrupted run may have left.
    surplus = [
        number
        for rule, numbers in present.items()
        for number in (numbers if rule not in wanted else numbers[1:])
    ]
    there = [rule for rule, numbers in present.items() for _ in numbers]
    if over_limits([*there, *(wanted - present.keys())]):
        _take_away(api, group_id, "removeRules", surplus, _rules)
        surplus = []
    if templates:
        api.insist(_SERVICE, "addRules", templates, id=group_id)
    _take_away(api, group_id, "removeRules", surplus, _rules)


def _take_away(
    api: Api, group_id: int, method: str, numbers: list[int], there: Callable[[Mapping[str, Any]], list[int]]
) -> None:
    """Remove rules or detach interfaces; those that are gone already are done.

    By a first try whose answer was lost, for example: the second one is refused as a whole.
    """
    while numbers:
        try:
            api.call(_SERVICE, method, numbers, id=group_id)
            return
        except sl.SoftLayerAPIError as error:
            if not is_gone(error):
                raise
            row = api.get(_SERVICE, group_id, mask=_MASK)
            left = [number for number in numbers if row is not None and number in there(row)]
            if left == numbers:
                raise
            numbers = left


def _rules(row: Mapping[str, Any]) -> list[int]:
    return [int(rule["id"]) for rule in row.get("rules") or ()]


def _bound(row: Mapping[str, Any]) -> list[int]:
    return [int(binding["networkComponentId"]) for binding in row.get("networkComponentBindings") or ()]


def _find(api: Api, props: Mapping[str, Any]) -> dict[str, Any] | None:
    """The group that carries this resource's identity in its description."""
    rows = api.list("getSecurityGroups", mask=_MASK)
    return next((row for row in rows if row.get("description") == _description(props)), None)


def _name(props: Mapping[str, Any]) -> str:
    return str(props.get("name") or f"{stack_tag(str(props['owner']))}-{props['resource']}")


def _description(props: Mapping[str, Any]) -> str:
    own = signature(str(props["owner"]), str(props["resource"]))
    return f"{props['description']} ({own})" if props.get("description") else own
