"""The dynamic provider of `VirtualGuest`: order, change in place, cancel.

Owns: the steps of each operation.
Leaves to others: what a property's change means (the table in settings/server.py and guest_spec.py), placing
the order (orders.py), waiting until the guest can be used (guest_ready_provider.py).

Every step of `update` and `delete` compares with the guest as it is and does nothing where nothing is to be
done: an operation that was interrupted anywhere can simply be run again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, ReadResult, UpdateResult
from SoftLayer import exceptions as sl

from components.dynamic import is_unknown
from components.softlayer import adoption, cancellation, guests, orders, reloads, upgrades
from components.softlayer.client import Api, Backoff
from components.softlayer.errors import (
    SettingInvalid,
    SoftLayerFailed,
    explained,
    explaining,
    is_gone,
    is_transient,
)
from components.softlayer.guest_check import failures
from components.softlayer.guest_seen import Guest
from components.softlayer.guest_spec import SIDES, GuestSpec, changing, parse
from components.softlayer.progress import say
from components.softlayer.provider import SoftLayerProvider
from settings.server import Change, kind_of
from settings.values import LONGEST_SETTLE, SETTLE

_SETS = frozenset({"tags", "public_security_groups", "private_security_groups", "ssh_key_ids"})
_SWITCHES = frozenset(
    name for name, field in GuestSpec.model_fields.items() if kind_of(field)[0] is bool and not field.default
)
"""Off where they are not given."""
_ABSENT = (None, "")
_LABEL_PATIENCE = Backoff(limit=60.0)


class VirtualGuestProvider(SoftLayerProvider):
    """Operations on one virtual server."""

    REPLACE = changing(Change.REPLACE, Change.PIN)
    UPDATE = changing(Change.UPDATE, Change.REBOOT, Change.NEXT_RELOAD, Change.RELOAD)
    IGNORE = changing(Change.IGNORE)
    """`owner` and `resource` are the identity, drawn once; `adopt` matters at creation only (a later one is
    refused by `check`), `on_replacement` where something else changes, `replaces` on the server of that
    id."""
    REBOOTS = changing(Change.REBOOT, Change.RELOAD)
    """Changes in place that interrupt the server."""
    PINS = changing(Change.PIN)
    """Replaced by another one; but where none was given before, SoftLayer chose, perhaps the very same."""
    DELETE_BEFORE_REPLACE = True
    """A new server beside the old one would have the same name, and the same identity."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse what cannot work. No network."""
        # A server that is replaced starts with new disks: they need not fit the old ones. Whether one that is
        # pinned to a network is replaced is not known here.
        replaced = news.get("on_replacement") in (None, "replace") and any(
            not self.same(key, olds.get(key), news.get(key))
            for key in self.REPLACE
            if olds and not (key in self.PINS and olds.get(key) in _ABSENT)
        )
        replaced = replaced or bool(news.get("replaces"))
        before = {} if replaced else olds
        return CheckResult(news, [CheckFailure(key, reason) for key, reason in failures(before, news)])

    def same(self, key: str, old: Any, new: Any) -> bool:
        """Tags, groups and keys are sets; tags know no case; the end of the last line is no text.

        A network that is no longer given is left as it is; a reload token taken away reloads nothing.
        """
        if key in self.PINS | {"reload_token"} and new in _ABSENT:
            return True
        if key in _SWITCHES and old in (None, False) and new in (None, False):
            return True
        if key == "user_data":
            return str(old or "").rstrip("\n") == str(new or "").rstrip("\n")
        if key in _SETS and isinstance(old or [], list) and isinstance(new or [], list):
            return {_plain(item) for item in old or []} == {_plain(item) for item in new or []}
        return super().same(key, old, new)

    def diff(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Changed properties; also a guest that never got its tags, which are set by the next update.

        Asks the API only where a network is given that was left to SoftLayer before: a guest that is in it
        already is not replaced.

        Raises:
            SoftLayerFailed: it would be replaced, and `on_replacement` says to refuse that.
        """
        result = super().diff(id_, olds, news)
        if _is(news.get("replaces"), id_):
            result.changes, result.delete_before_replace = True, self.DELETE_BEFORE_REPLACE
            result.replaces = [*(result.replaces or ()), "replaces"]
            return result
        pinned = [
            key
            for key in result.replaces or ()
            if key in self.PINS and olds.get(key) in _ABSENT and not is_unknown(news[key])
        ]
        if pinned:
            kept = self._placed_in(id_, {key: int(news[key]) for key in pinned})
            result.replaces = [key for key in result.replaces or () if key not in kept]
        if result.replaces and news.get("on_replacement") in ("keep", "refuse"):
            _not_replaced(olds, news, result.replaces)
            result = super().diff(id_, olds, self._with_fixed(olds, news))
        if olds.get("labelled") is False:
            result.changes = True
        return result

    def _placed_in(self, id_: str, wanted: dict[str, int]) -> set[str]:
        """Those of the networks (property to id) in which the guest is already.

        Raises:
            SoftLayerFailed: the API cannot be asked, or does not tell: nothing is replaced on a guess.
        """
        with explaining(f"looking in which networks the server {id_} is"):
            guest = guests.get(self.api(), int(id_))
        if guest is None:
            return set()
        there = {f"{side}_{key}": number for side in SIDES for key, number in guest.placed(side).items()}
        if unknown := wanted.keys() - there.keys():
            raise SoftLayerFailed(
                f"{guest.name}: the API does not tell (yet) whether {', '.join(sorted(unknown))} is where it "
                "is, and elsewhere it would have to be replaced; run the same command again"
            )
        return {key for key, number in wanted.items() if there[key] == number}

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Order the guest, or find the one ordered by an interrupted run, or adopt an existing one.

        Returns as soon as the id is known. Tags and notes come right after; if the API does not take them
        within a minute, the guest is returned all the same and the next update sets them.
        """
        spec = parse(props)
        api = self.api()
        if spec.adopt is not None:
            return adoption.adopted(api, spec, props)
        guest, found = orders.place(api, spec, settle=self.settle())
        # Declared and ordered may differ by now: what differs is what the next update changes.
        outs = {**(guest.observed(props) if found else props), "marker": spec.marker, "adopted": False}
        outs["reboots"] = 0
        outs["labelled"] = self._label(guest.id, spec)
        return CreateResult(str(guest.id), outs)

    def settle(self) -> float:
        """Seconds to look for an order with unknown outcome: setting `orderSettle`, default 60.

        Raises:
            SettingInvalid: it is no such number.
        """
        config = getattr(self, "_config", None)
        value = config.get("swarm-galera:orderSettle") if config is not None else None
        try:
            seconds = SETTLE if value is None else float(value)
        except (TypeError, ValueError):
            seconds = 0.0
        if not 0 < seconds <= LONGEST_SETTLE:
            most = f"{LONGEST_SETTLE:.0f}"
            raise SettingInvalid(
                "swarm-galera:orderSettle",
                f"{value!r} is no number of seconds above 0 and up to {most}",
                f"leave it out for {SETTLE:.0f}",
            )
        return seconds

    def _label(self, guest_id: int, spec: GuestSpec) -> bool:
        """Set tags and notes; whether the API took them. Never raises: the guest must get into the state."""
        api = self.api(_LABEL_PATIENCE)
        try:
            # Right after an order the API may refuse for a moment: any fault is worth another try.
            api.retrying(lambda: _set_labels(api, guest_id, spec), lambda error: not is_gone(error))
        except sl.SoftLayerError as error:
            what = f"{spec.name}: setting tags and notes"
            left = "The server is ordered and recorded; the next run sets them."
            say(str(explained(error, what, left=left)))
            return False
        return True

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """The guest as it is; empty when it is gone or being reclaimed."""
        with explaining(f"reading the server {id_}"):
            guest = guests.get(self.api(), int(id_))
        if guest is None or guest.reclaiming:
            return ReadResult("", {})
        if props.get("adopted"):
            return ReadResult(id_, adoption.seen_of(guest, props))
        seen = guest.observed(props)
        seen["labelled"] = set(parse(props).all_tags[:2]) <= {tag.lower() for tag in guest.tags}
        return ReadResult(id_, seen)

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Change in place what differs; each step waits for outstanding transactions."""
        if news.get("on_replacement") == "keep":
            news = self._with_fixed(olds, news)
        spec, before, guest_id, api = parse(news), parse(olds), int(id_), self.api()
        changed = {key for key in self.UPDATE if not self.same(key, olds.get(key), news.get(key))}
        with explaining(f"{spec.name}: reading the server {id_}"):
            guest = guests.get(api, guest_id)
        if guest is None:
            raise SoftLayerFailed(
                f"{spec.name}: the server {id_} is gone; run `pulumi refresh`, then the same command again"
            )
        kept = {"marker": spec.marker, "adopted": False, "labelled": True}
        outs = {**news, **{key: olds.get(key, value) for key, value in kept.items()}}
        outs["reload_token"] = news.get("reload_token") or olds.get("reload_token") or ""
        outs["reboots"] = int(olds.get("reboots") or 0) + bool(changed & self.REBOOTS)
        adopted = bool(outs["adopted"])
        with explaining(f"{spec.name}: changing names, notes, tags or user data"):
            _edit(api, guest, spec, before, changed, adopted=adopted)
            if olds.get("labelled") is False:
                api.retrying(lambda: _set_labels(api, guest_id, spec), is_transient)
                outs["labelled"] = True
        for side in SIDES:
            if (key := f"{side}_security_groups") in changed:
                wanted = getattr(spec, key)
                if adopted:
                    wanted = adoption.united(guest.groups(side), getattr(before, key), wanted)
                with explaining(f"{spec.name}: changing security groups"):
                    guests.bind(api, guest, side, set(wanted))
                if wanted and not guest.groups(side):
                    say(
                        f"{spec.name}: the {side} interface has its first security groups now; SoftLayer "
                        f"enforces them after the server's next restart (`slcli vs reboot {id_}`)"
                    )
        if sizes := changed & upgrades.SIZES:
            upgrades.upgrade(api, guest_id, spec, sizes)
        if "reload_token" in changed:
            reloads.reload(api, guest_id, spec)
        elif changed & changing(Change.NEXT_RELOAD):
            say(
                f"{spec.name}: SSH keys and post-install script of a running server take effect at its next "
                "OS reload (servers.reloadToken; the first disk is wiped)"
            )
        if "user_data" in changed and not adopted and "reload_token" not in changed:
            say(
                f"{spec.name}: the new user data is what the server can read from now on; cloud-init acts "
                "on it only when the system is new, at the next OS reload (servers.reloadToken; the first "
                "disk is wiped)"
            )
        return UpdateResult(outs)

    def _with_fixed(self, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """`news` with all that can't change in place as it is: of a server that is kept, they may differ."""
        return {key: value for key, value in news.items() if key not in self.REPLACE} | {
            key: olds[key] for key in self.REPLACE if key in olds
        }

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        """Cancel exactly the guest with this id, if it is still the one this stack ordered.

        Raises:
            NotOurs: its name or tag no longer match; nothing has been cancelled.
        """
        spec, guest_id, api = parse(props), int(id_), self.api()
        if props.get("adopted"):
            say(f"{spec.name}: the server {id_} was adopted, so it is left as it is and only forgotten")
            return
        with explaining(f"cancelling {spec.name}", left="Nothing has been cancelled."):
            guest = guests.get(api, guest_id)
        if guest is None:
            return
        if not guest.reclaiming:
            cancellation.require_ours(guest, spec, labelled=props.get("labelled") is not False)
            cancellation.cancel(api, guest_id, spec.name)
        cancellation.wait_gone(api, guest_id, spec.name)


def _is(server: Any, id_: str) -> bool:
    """Whether `server`, an id as Pulumi hands numbers over, is that of this one; False for none."""
    return server not in _ABSENT and not is_unknown(server) and str(int(float(server))) == id_


def _not_replaced(olds: dict[str, Any], news: dict[str, Any], keys: list[str]) -> None:
    """Say that a server keeps what it has, or refuse the change."""
    name = f"{olds.get('hostname')}.{olds.get('domain')}"
    what = ", ".join(f"{key} ({_show(olds.get(key))} to {_show(news.get(key))})" for key in keys)
    if news["on_replacement"] == "keep":
        say(f"{name}: stays as it is; servers.replace must name it for a change of {what}")
        return
    raise SoftLayerFailed(
        f"{name}: a change of {what} replaces the server, and its disks are deleted with all data; nothing "
        "was changed. Put the setting back, or have the hosts replaced one at a time: name one in "
        "servers.replace, run `up`, wait until `verify` holds, then name the next one"
    )


def _show(value: Any) -> str:
    return "none" if value in (None, "") else _plain(value)


def _plain(item: Any) -> str:
    return f"{item:.0f}" if isinstance(item, float) else str(item).lower()


def _lower(tags: Iterable[str]) -> list[str]:
    return [tag.lower() for tag in tags]


def _set_labels(api: Api, guest_id: int, spec: GuestSpec) -> None:
    api.once("Virtual_Guest", "setTags", ",".join(spec.all_tags), id=guest_id)
    api.once("Virtual_Guest", "editObject", {"notes": spec.sent_notes}, id=guest_id)


def _edit(
    api: Api, guest: Guest, spec: GuestSpec, before: GuestSpec, changed: set[str], *, adopted: bool
) -> None:
    """Names, notes, tags and user data.

    An adopted guest gets none of the program's own marks, and keeps its own tags, notes and user data.
    """
    tags: Iterable[str] = spec.all_tags
    if adopted:
        tags = adoption.united(_lower(guest.tags), _lower(before.tags), _lower(spec.tags))
    edited: dict[str, str] = {key: getattr(spec, key) for key in ("hostname", "domain") if key in changed}
    if adopted and changed & {"notes", "user_data"}:
        say(f"{spec.name}: it was adopted, so its notes and user data are left as they are")
    elif "notes" in changed:
        edited["notes"] = spec.sent_notes
    if "user_data" in changed and not adopted:
        api.call("Virtual_Guest", "setUserMetadata", [spec.sent_user_data], id=guest.id)
    if "tags" in changed:
        api.call("Virtual_Guest", "setTags", ",".join(tags), id=guest.id)
    if edited:
        api.call("Virtual_Guest", "editObject", edited, id=guest.id)
