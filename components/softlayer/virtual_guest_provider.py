"""The dynamic provider of `VirtualGuest`: order, change in place, cancel.

Owns: what every property's change means (the tables below) and the steps of each operation.
Leaves to others: placing the order (orders.py), what is declared (guest_spec.py), waiting until the guest can
be used (guest_ready_provider.py).

Every step of `update` and `delete` compares with the guest as it is and does nothing where nothing is to be
done: an operation that was interrupted anywhere can simply be run again.
"""

from __future__ import annotations

from typing import Any

from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, ReadResult, UpdateResult
from SoftLayer import exceptions as sl

from components.softlayer import adoption, cancellation, guests, orders, reloads, upgrades
from components.softlayer.client import Api, Backoff
from components.softlayer.errors import (
    SoftLayerFailed,
    explained,
    explaining,
    is_gone,
    is_transient,
)
from components.softlayer.guest_check import failures
from components.softlayer.guest_spec import GuestSpec, parse
from components.softlayer.progress import say
from components.softlayer.provider import SoftLayerProvider

_SETS = frozenset({"tags", "public_security_groups", "private_security_groups", "ssh_key_ids"})
_LABEL_PATIENCE = Backoff(limit=60.0)


class VirtualGuestProvider(SoftLayerProvider):
    """Operations on one virtual server."""

    REPLACE = frozenset(
        {
            "datacenter",
            "os",
            "image",
            "hourly",
            "local_disk",
            "private_only",
            "public_vlan",
            "private_vlan",
            "public_subnet",
            "private_subnet",
            "placement_group",
        }
    )
    UPDATE = frozenset(
        {
            "hostname",
            "domain",
            "cores",
            "memory",
            "disks",
            "nic_speed",
            "public_security_groups",
            "private_security_groups",
            "tags",
            "notes",
            "user_data",
            "reload_token",
            # These two are recorded now and take effect at the next reload: said in words by `update`.
            "ssh_key_ids",
            "post_install_url",
        }
    )
    IGNORE = frozenset({"owner", "resource", "adopt", "on_replacement"})
    """`owner` and `resource` are the identity, drawn once; `adopt` matters at creation only, `on_replacement`
    where something else changes."""
    REBOOTS = frozenset({"cores", "memory", "disks", "reload_token"})
    """Changes in place that interrupt the server."""
    DELETE_BEFORE_REPLACE = True
    """A new server beside the old one would have the same name, and the same identity."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse what cannot work. No network."""
        # A server that is replaced starts with new disks: they need not fit the old ones.
        replaced = news.get("on_replacement") in (None, "replace") and any(
            not self.same(key, olds.get(key), news.get(key))
            for key in self.REPLACE
            if key in olds or key in news
        )
        before = {} if replaced else olds
        return CheckResult(news, [CheckFailure(key, reason) for key, reason in failures(before, news)])

    def same(self, key: str, old: Any, new: Any) -> bool:
        """Tags, groups and keys are sets; tags know no case; the end of the last line is no text.

        A reload token that was taken away reloads nothing.
        """
        if key == "reload_token" and not new:
            return True
        if key == "user_data":
            return str(old or "").rstrip("\n") == str(new or "").rstrip("\n")
        if key in _SETS and isinstance(old or [], list) and isinstance(new or [], list):
            return {_plain(item) for item in old or []} == {_plain(item) for item in new or []}
        return super().same(key, old, new)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Changed properties; also a guest that never got its tags, which are set by the next update.

        Raises:
            SoftLayerFailed: it would be replaced, and `on_replacement` says to refuse that.
        """
        result = super().diff(_id, olds, news)
        if result.replaces and news.get("on_replacement") in ("keep", "refuse"):
            _not_replaced(olds, news, result.replaces)
            result = super().diff(_id, olds, self._with_fixed(olds, news))
        if olds.get("labelled") is False:
            result.changes = True
        return result

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
        own = {"marker": spec.marker, "adopted": False, "reboots": 0, "last_reload": guest.last_reload}
        # Declared and ordered may differ by now: what differs is what the next update changes.
        outs = {**(guest.observed(props) if found else props), **own}
        outs["labelled"] = self._label(guest.id, spec)
        return CreateResult(str(guest.id), outs)

    def settle(self) -> float:
        """Seconds to look for an order with unknown outcome: setting `orderSettle`, default 60."""
        config = getattr(self, "_config", None)
        value = config.get("swarm-galera:orderSettle") if config is not None else None
        return float(value) if value is not None else orders.SETTLE

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
        spec = parse(props)
        seen = guest.observed(props)
        if props.get("adopted"):
            # Settings of an adopted guest say nothing of its tags, notes, groups: those are no drift.
            seen = {**props, **{key: seen[key] for key in adoption.DESCRIBED}}
        else:
            seen["labelled"] = set(spec.all_tags[:2]) <= {tag.lower() for tag in guest.tags}
        return ReadResult(id_, seen)

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Change in place what differs; each step waits for outstanding transactions."""
        if news.get("on_replacement") == "keep":
            news = self._with_fixed(olds, news)
        spec, guest_id, api = parse(news), int(id_), self.api()
        changed = {key for key in self.UPDATE if not self.same(key, olds.get(key), news.get(key))}
        with explaining(f"{spec.name}: reading the server {id_}"):
            guest = guests.get(api, guest_id)
        if guest is None:
            raise SoftLayerFailed(
                f"{spec.name}: the server {id_} is gone; run `pulumi refresh`, then the same command again"
            )
        outs = {
            **news,
            "marker": olds.get("marker", spec.marker),
            "adopted": olds.get("adopted", False),
            "last_reload": olds.get("last_reload"),
            "labelled": olds.get("labelled", True),
            "reload_token": news.get("reload_token") or olds.get("reload_token") or "",
            "reboots": int(olds.get("reboots") or 0) + bool(changed & self.REBOOTS),
        }
        with explaining(f"{spec.name}: changing names, notes, tags or user data"):
            _edit(api, guest_id, spec, changed, adopted=bool(outs["adopted"]))
            if olds.get("labelled") is False:
                api.retrying(lambda: _set_labels(api, guest_id, spec), is_transient)
                outs["labelled"] = True
        for side in ("public", "private"):
            if f"{side}_security_groups" in changed:
                wanted = set(getattr(spec, f"{side}_security_groups"))
                with explaining(f"{spec.name}: changing security groups"):
                    guests.bind(api, guest, side, wanted)
        if changed & {"cores", "memory", "disks", "nic_speed"}:
            upgrades.upgrade(api, guest_id, spec)
        if "reload_token" in changed:
            outs["last_reload"] = reloads.reload(api, guest_id, spec, olds.get("last_reload"))
        elif changed & {"ssh_key_ids", "post_install_url"}:
            say(
                f"{spec.name}: SSH keys and post-install script of a running server take effect at its next "
                "OS reload (servers.reload; the first disk is wiped)"
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
            cancellation.cancel(api, guest_id, spec)
        cancellation.wait_gone(api, guest_id, spec.name)


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


def _set_labels(api: Api, guest_id: int, spec: GuestSpec) -> None:
    api.once("Virtual_Guest", "setTags", ",".join(spec.all_tags), id=guest_id)
    api.once("Virtual_Guest", "editObject", {"notes": spec.sent_notes}, id=guest_id)


def _edit(api: Api, guest_id: int, spec: GuestSpec, changed: set[str], *, adopted: bool) -> None:
    """Names, notes, tags and user data. An adopted guest gets none of the program's own marks."""
    tags = spec.tags if adopted else spec.all_tags
    edited: dict[str, str] = {key: getattr(spec, key) for key in ("hostname", "domain") if key in changed}
    if "notes" in changed:
        edited["notes"] = spec.notes if adopted else spec.sent_notes
    if "user_data" in changed:
        user_data = spec.user_data if adopted else spec.sent_user_data
        api.call("Virtual_Guest", "setUserMetadata", [user_data], id=guest_id)
    if "tags" in changed:
        api.call("Virtual_Guest", "setTags", ",".join(tags), id=guest_id)
    if edited:
        api.call("Virtual_Guest", "editObject", edited, id=guest_id)
