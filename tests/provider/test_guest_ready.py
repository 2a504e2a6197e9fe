"""Waiting until a guest can really be used."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncssh
import pytest

from components.softlayer import guest_ready_provider, progress
from components.softlayer.errors import SoftLayerFailed, WaitedTooLong
from components.softlayer.guest_ready_provider import GuestReadyProvider, wait_host_key
from components.softlayer.progress import SOONEST
from components.softlayer.virtual_guest_provider import VirtualGuestProvider
from harness.lab_api import LabApi
from tests.provider.providers import GUEST, api_of, configured, guest_of

pytestmark = pytest.mark.provider


def new_key(algorithm: str) -> Any:
    """A host key; RSA's only once, because finding its primes takes long."""
    return rsa_key() if algorithm == "ssh-rsa" else asyncssh.generate_private_key(algorithm)


@functools.cache
def rsa_key() -> Any:
    return asyncssh.generate_private_key("ssh-rsa")


class SshServer:
    """A real SSH server on loopback, in a thread of its own, that can be started late and stopped."""

    def __init__(self, *algorithms: str) -> None:
        self.keys = [new_key(algorithm) for algorithm in algorithms]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _listen(self) -> Any:
        return await asyncssh.create_server(asyncssh.SSHServer, "127.0.0.1", 0, server_host_keys=self.keys)

    def stop(self) -> None:
        async def close() -> None:
            self._server.close()
            await self._server.wait_closed()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def sshd() -> Iterator[SshServer]:
    server = SshServer("ecdsa-sha2-nistp256", "ssh-ed25519")
    yield server
    server.stop()


@pytest.fixture
def at_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instant hosts have no sshd: their addresses lead to this machine's loopback."""
    real = guest_ready_provider.wait_host_key

    def redirected(name: str, _address: str, port: int, timeout: float) -> str:
        return real(name, "127.0.0.1", port, timeout)

    monkeypatch.setattr(guest_ready_provider, "wait_host_key", redirected)


def ordered(lab: LabApi, **declared: Any) -> str:
    return configured(VirtualGuestProvider, lab).create({**GUEST, **declared}).id


def asked(guest_id: str, port: int, **changes: Any) -> dict[str, Any]:
    return {
        "guest_id": guest_id,
        "hostname": "galera-1",
        "ssh_address": "public",
        "ssh_port": float(port),
        "reload_token": "",
        "provision_timeout": 30.0,
        "ssh_timeout": 10.0,
        **changes,
    }


@pytest.mark.usefixtures("at_loopback")
def test_a_ready_guest_has_addresses_places_and_a_pinned_key(lab_api: LabApi, sshd: SshServer) -> None:
    created = configured(GuestReadyProvider, lab_api).create(asked(ordered(lab_api), sshd.port))
    facts = dict(created.outs or {})
    assert facts["public_ip"].startswith("203.0.113.")
    assert facts["private_ip"].startswith("10.144.12.")
    assert facts["public_vlan_id"] != facts["private_vlan_id"]
    assert facts["provision_date"]
    assert facts["host_key"] == sshd.keys[0].export_public_key().decode().strip()


@pytest.mark.usefixtures("at_loopback")
def test_the_key_that_go_s_ssh_client_will_be_shown_is_pinned() -> None:
    for algorithms, pinned in (
        (("ssh-ed25519", "ecdsa-sha2-nistp256"), 1),
        (("ssh-ed25519", "ssh-rsa"), 1),
        (("ssh-ed25519",), 0),
    ):
        server = SshServer(*algorithms)
        key = wait_host_key("x", "127.0.0.1", server.port, 10)
        server.stop()
        assert key == server.keys[pinned].export_public_key().decode().strip()


def test_nothing_is_ready_before_all_of_it_is(lab_api: LabApi) -> None:
    """ACTIVE, with addresses and a provision date, a guest is not ready while a transaction runs."""
    lab_api.durations(SERVICE_SETUP=0.2)
    guest_id = int(ordered(lab_api))
    done = guest_ready_provider.wait_provisioned(api_of(lab_api), guest_id, "galera-1", 30)
    assert done.transaction is None
    assert lab_api.step(guest_id) is None
    states = {call["method"] for call in lab_api.calls()}
    assert "getObject" in states


def test_a_guest_whose_transaction_has_not_begun_is_not_ready(lab_api: LabApi) -> None:
    lab_api.durations(START_DELAY=30)
    guest_id = ordered(lab_api)
    assert guest_ready_provider.unready(guest_of(lab_api, guest_id)) == "not provisioned yet"


@pytest.mark.parametrize(
    ("interface", "address"), [("public", "primaryIpAddress"), ("private", "primaryBackendIpAddress")]
)
def test_an_address_that_comes_late_is_waited_for(lab_api: LabApi, interface: str, address: str) -> None:
    lab_api.fault("partial-ips", interface=interface)
    guest_id = int(ordered(lab_api))
    lab_api.wait_idle(guest_id)
    assert guest_ready_provider.unready(guest_of(lab_api, str(guest_id))) == f"no {interface} address yet"
    before = lab_api.count("Virtual_Guest", "getObject")
    with ThreadPoolExecutor(max_workers=1) as worker:
        wait = worker.submit(
            guest_ready_provider.wait_provisioned, api_of(lab_api), guest_id, "galera-1", 30.0
        )
        lab_api.wait_until(lambda: lab_api.count("Virtual_Guest", "getObject") > before + 1, "two polls")
        lab_api.clear_faults()
        assert wait.result().raw[address]


def test_a_private_only_guest_needs_no_public_address(lab_api: LabApi) -> None:
    guest_id = int(ordered(lab_api, private_only=True))
    done = guest_ready_provider.wait_provisioned(api_of(lab_api), guest_id, "galera-1", 30)
    assert guest_ready_provider.facts_of(done)["public_ip"] is None


@pytest.mark.usefixtures("at_loopback")
def test_a_private_only_guest_cannot_be_met_on_its_public_side(lab_api: LabApi) -> None:
    guest_id = ordered(lab_api, private_only=True)
    with pytest.raises(SoftLayerFailed, match=r"set ssh\.address to private"):
        configured(GuestReadyProvider, lab_api).create(asked(guest_id, 1))


def test_a_stuck_guest_ends_the_wait_with_the_transaction_s_name(lab_api: LabApi) -> None:
    lab_api.fault("stuck", step="CLOUD_PROVISION_SETUP")
    guest_id = ordered(lab_api)
    with pytest.raises(WaitedTooLong, match="last seen: transaction CLOUD_PROVISION_SETUP"):
        configured(GuestReadyProvider, lab_api).create(asked(guest_id, 1, provision_timeout=0.3))
    assert len(lab_api.guests()) == 1


def test_a_guest_that_is_cancelled_while_it_is_waited_for_is_an_error_at_once(lab_api: LabApi) -> None:
    guest_id = ordered(lab_api)
    lab_api.wait_idle(int(guest_id))
    lab_api.durations(reclaim=3600)
    lab_api.client().call("Virtual_Guest", "deleteObject", id=int(guest_id))
    with pytest.raises(SoftLayerFailed, match="was cancelled"):
        configured(GuestReadyProvider, lab_api).create(asked(guest_id, 1))


@pytest.mark.usefixtures("at_loopback")
def test_a_host_that_never_answers_ssh_is_an_error_that_says_where(lab_api: LabApi) -> None:
    guest_id = ordered(lab_api)
    with pytest.raises(WaitedTooLong, match=r"waiting for SSH at 127\.0\.0\.1:1: not after .*firewall"):
        configured(GuestReadyProvider, lab_api).create(asked(guest_id, 1, ssh_timeout=0.1))
    assert len(lab_api.guests()) == 1


@pytest.mark.usefixtures("at_loopback")
def test_trouble_with_the_api_in_the_middle_of_a_wait_is_sat_out(lab_api: LabApi, sshd: SshServer) -> None:
    guest_id = ordered(lab_api)
    for kind in ("http-500", "rate-limit", "drop"):
        lab_api.fault(kind, method="getObject", count=1)
    created = configured(GuestReadyProvider, lab_api).create(asked(guest_id, sshd.port))
    assert (created.outs or {})["host_key"]


@pytest.mark.usefixtures("at_loopback")
def test_a_refresh_keeps_the_pinned_key_and_sees_a_vanished_guest(lab_api: LabApi, sshd: SshServer) -> None:
    provider = configured(GuestReadyProvider, lab_api)
    props = asked(ordered(lab_api), sshd.port)
    created = provider.create(dict(props))
    state = dict(created.outs or {})
    read = provider.read(created.id, state)
    assert (read.outs or {})["host_key"] == state["host_key"]
    assert provider.diff(created.id, dict(read.outs or {}), props).changes is False
    lab_api.client().call("Virtual_Guest", "deleteObject", id=int(created.id))
    lab_api.wait_idle(int(created.id))
    assert provider.read(created.id, state).id == ""


@pytest.mark.usefixtures("at_loopback")
def test_a_reloaded_host_is_met_anew(lab_api: LabApi, sshd: SshServer) -> None:
    provider = configured(GuestReadyProvider, lab_api)
    props = asked(ordered(lab_api), sshd.port)
    created = provider.create(dict(props))
    other = SshServer("ecdsa-sha2-nistp256")
    wanted = {**props, "reload_token": "1", "ssh_port": float(other.port)}
    updated = provider.update(created.id, dict(created.outs or {}), wanted)
    other.stop()
    assert (updated.outs or {})["host_key"] != (created.outs or {})["host_key"]


@pytest.mark.usefixtures("at_loopback")
def test_the_successor_of_a_replaced_guest_is_met_in_place(lab_api: LabApi, sshd: SshServer) -> None:
    provider = configured(GuestReadyProvider, lab_api)
    created = provider.create(asked(ordered(lab_api), sshd.port))
    state = dict(created.outs or {})
    other = ordered(lab_api, resource="galera-2-guest", hostname="galera-2")
    updated = dict(provider.update(created.id, state, asked(other, sshd.port)).outs or {})
    assert updated["private_ip"] != state["private_ip"]
    lab_api.client().call("Virtual_Guest", "deleteObject", id=int(created.id))
    lab_api.wait_idle(int(created.id))
    assert provider.read(created.id, updated).id == created.id


def test_nine_guests_on_four_workers_take_the_time_of_one(lab_api: LabApi) -> None:
    """Pulumi's dynamic provider has four workers. While four of them wait, all nine guests are provisioned:
    nobody's wait holds up another guest, so the waits that come later have little left to wait for."""
    lab_api.fault("stuck", step="CLOUD_PROVISION_SETUP")
    names = [f"galera-{number}" for number in range(1, 10)]
    with ThreadPoolExecutor(max_workers=4) as workers:
        ids = list(workers.map(lambda name: ordered(lab_api, resource=name, hostname=name), names))
        waits = [
            workers.submit(guest_ready_provider.wait_provisioned, api_of(lab_api), int(id_), name, 60.0)
            for id_, name in zip(ids, names, strict=True)
        ]
        lab_api.wait_until(
            lambda: {lab_api.step(int(id_)) for id_ in ids} == {"CLOUD_PROVISION_SETUP"},
            "nine guests to be provisioned side by side",
        )
        assert not any(wait.done() for wait in waits)
        lab_api.clear_faults()
        done = [wait.result() for wait in waits]
    assert len({guest.id for guest in done}) == 9
    assert all(guest.transaction is None for guest in done)


def test_four_waits_at_a_time_stay_far_below_the_api_s_limit(
    lab_api: LabApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SOONEST", SOONEST)  # as it is outside of tests
    lab_api.durations(provision=1.2)
    names = [f"galera-{number}" for number in range(1, 10)]
    with ThreadPoolExecutor(max_workers=4) as workers:
        ids = list(workers.map(lambda name: ordered(lab_api, resource=name, hostname=name), names))
        lab_api.rate_limit(50)  # not while ordering: there its fault is met with patience
        lab_api.server.forget_calls()
        waits = [
            workers.submit(guest_ready_provider.wait_provisioned, api_of(lab_api), int(id_), "x", 60.0)
            for id_ in ids
        ]
        for wait in waits:
            wait.result()
    assert {call["outcome"] for call in lab_api.calls()} == {"ok"}
