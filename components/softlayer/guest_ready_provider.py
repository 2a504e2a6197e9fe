"""The dynamic provider of `GuestReady`: wait until an ordered guest can really be used.

Owns: the conditions, the first contact over SSH, pinning the host key.
Leaves to others: the order (virtual_guest_provider.py), everything done on the host.

A guest is provisioned when its provision date is set and no transaction is outstanding and it has all its
addresses: each alone is reported too early (a power state or `status` of ACTIVE even more so). Then SSH must
answer. The host key read at this first contact is trusted and pinned; SoftLayer has no call that tells it.

Polls come one after the other within a wait, and Pulumi runs at most four waits at a time: however many
guests there are, the API sees about four requests a second.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncssh
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, ReadResult, UpdateResult

from components.dynamic import is_unknown
from components.softlayer import guests
from components.softlayer.client import Api
from components.softlayer.errors import SoftLayerFailed, explaining
from components.softlayer.guest_seen import Guest
from components.softlayer.progress import wait_for
from components.softlayer.provider import SoftLayerProvider

HOST_KEY_TYPES = (
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-256",
    "rsa-sha2-512",
    "ssh-ed25519",
)
"""In the order in which Go's SSH client asks: the command provider compares with the one key it is given, so
that must be the one it will be shown."""
SSH_TRY = 10.0
"""Seconds until one attempt to reach SSH is given up."""


class GuestReadyProvider(SoftLayerProvider):
    """The wait for one guest."""

    UPDATE = frozenset({"guest_id", "ssh_address", "ssh_port", "reload_token"})
    """Another guest is waited for in place. Were the wait replaced, Pulumi would first delete all that can't
    have other addresses in place: secrets, which services still use."""
    IGNORE = frozenset({"hostname", "provision_timeout", "ssh_timeout"})

    def same(self, key: str, old: Any, new: Any) -> bool:
        """A reload token that was taken away reloads nothing."""
        return (key == "reload_token" and not new) or super().same(key, old, new)

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse what cannot work. No network."""
        found = []
        if not is_unknown(news["ssh_address"]) and news["ssh_address"] not in ("public", "private"):
            reason = f"'{news['ssh_address']}' is no side of a server; give `public` or `private`"
            found.append(CheckFailure("ssh_address", reason))
        found += [
            CheckFailure(key, f"{news[key]} s is no time to wait; give a number above 0")
            for key in ("provision_timeout", "ssh_timeout")
            if not is_unknown(news[key]) and float(news[key]) <= 0
        ]
        return CheckResult(news, found)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Wait until the guest is provisioned and answers SSH.

        Raises:
            WaitedTooLong: says what was last seen: the transaction, the missing address, or SSH's error.
        """
        return CreateResult(str(props["guest_id"]), self._wait(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """After a reload the host has a new key; another guest, or another address, is met anew."""
        return UpdateResult(self._wait(news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Addresses as they are now. The host key stays pinned: a changed one is an error, not drift."""
        guest_id = int(float(props["guest_id"]))  # the resource's own id is that of the first guest
        with explaining(f"{props.get('hostname', guest_id)}: reading the server {guest_id}"):
            guest = guests.get(self.api(), guest_id)
        if guest is None or guest.reclaiming:
            return ReadResult("", {})
        facts = facts_of(guest)
        return ReadResult(id_, {**props, **{k: v for k, v in facts.items() if v is not None}})

    def _wait(self, props: dict[str, Any]) -> dict[str, Any]:
        name = str(props["hostname"])
        guest = wait_provisioned(
            self.api(), int(float(props["guest_id"])), name, float(props["provision_timeout"])
        )
        facts = facts_of(guest)
        address = facts["private_ip" if props["ssh_address"] == "private" else "public_ip"]
        if address is None:
            raise SoftLayerFailed(
                f"{name}: it has no public address, so SSH cannot be reached there; set ssh.address to "
                "private"
            )
        facts["host_key"] = wait_host_key(
            name, str(address), int(float(props["ssh_port"])), float(props["ssh_timeout"])
        )
        return {**props, **facts}


def facts_of(guest: Guest) -> dict[str, Any]:
    """What is known of a provisioned guest; None for what it does not have."""
    facts: dict[str, Any] = {
        "public_ip": guest.raw.get("primaryIpAddress") or None,
        "private_ip": guest.raw.get("primaryBackendIpAddress") or None,
        "provision_date": guest.raw.get("provisionDate") or None,
    }
    for side in ("public", "private"):
        placed = guest.placed(side)
        facts[f"{side}_vlan_id"], facts[f"{side}_subnet_id"] = placed.get("vlan"), placed.get("subnet")
    return facts


def unready(guest: Guest) -> str | None:
    """Why the guest is not provisioned yet; None when it is."""
    if guest.transaction:
        return f"transaction {guest.transaction}"
    if not guest.raw.get("provisionDate"):
        return "not provisioned yet"
    if not guest.raw.get("primaryBackendIpAddress"):
        return "no private address yet"
    if not guest.raw.get("privateNetworkOnlyFlag") and not guest.raw.get("primaryIpAddress"):
        return "no public address yet"
    return None


def wait_provisioned(api: Api, guest_id: int, name: str, timeout: float) -> Guest:
    """Wait until the guest is provisioned.

    Raises:
        SoftLayerFailed: it does not exist (any more).
        WaitedTooLong: after `timeout` seconds.
    """

    def look() -> tuple[Guest | None, str]:
        guest = guests.get(api, guest_id)
        if guest is None or guest.reclaiming:
            raise SoftLayerFailed(
                f"{name}: the server {guest_id} was cancelled while it was waited for; run `pulumi refresh`, "
                "then the same command again to have a new one ordered"
            )
        why = unready(guest)
        return (guest, "") if why is None else (None, why)

    what = f"{name}: waiting until it is provisioned"
    with explaining(what, left="The server stays ordered."):
        return wait_for(what, look, timeout, guests.STUCK)


def wait_host_key(name: str, address: str, port: int, timeout: float) -> str:
    """Wait until SSH answers; its host key as one OpenSSH line.

    Raises:
        WaitedTooLong: after `timeout` seconds.
    """

    def look() -> tuple[str | None, str]:
        try:
            return asyncio.run(_host_key(address, port)), ""
        except TimeoutError:
            return None, f"no answer within {SSH_TRY:.0f} s"
        except (OSError, asyncssh.Error) as error:
            return None, f"{type(error).__name__}: {error}"

    return wait_for(
        f"{name}: waiting for SSH at {address}:{port}",
        look,
        timeout,
        "check that this machine can reach that address (firewall, ssh.address public or private) and look "
        "at the server's console; then run the same command again",
        pause=lambda elapsed: 0.5 if elapsed < 30 else 2.0,
    )


async def _host_key(address: str, port: int) -> str:
    key = await asyncio.wait_for(
        asyncssh.get_server_host_key(address, port, server_host_key_algs=HOST_KEY_TYPES, config=None),
        SSH_TRY,
    )
    if key is None:
        raise asyncssh.Error(0, "the server showed no host key")
    return key.export_public_key().decode().strip()
