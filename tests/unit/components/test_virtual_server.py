"""One host as a component: what it orders, waits for, and how it is connected to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pulumi
import pytest
from pulumi.runtime import mocks as pulumi_mocks

from components.softlayer.virtual_guest import VirtualGuestArgs
from components.ssh_access import SshAccess, SshAccessArgs
from components.virtual_server import OrderGate, VirtualServer, VirtualServerArgs
from settings.server import Server

mocked: Callable[[Callable[[], Any]], Callable[[], None]] = pulumi.runtime.test
"""Runs a program against the mocks and waits for what it returns, so that assertions in an `apply` count."""
GUEST = VirtualGuestArgs(
    owner="demo/dev/0123456789ab",
    hostname="galera-1",
    server=Server.of(domain="example.com", datacenter="tor01"),
)


class Recorder(pulumi_mocks.Mocks):
    """Answers like the providers; remembers what was declared, in order."""

    def __init__(self) -> None:
        self.made: list[pulumi_mocks.MockResourceArgs] = []

    def new_resource(self, args: pulumi_mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.made.append(args)
        answers: dict[str, dict[str, Any]] = {
            "ssh-pair": {"private_key": "PRIVATE", "public_key": "ssh-ed25519 AAAA"},
            "ssh-key": {"key": "ssh-ed25519 AAAA", "adopted": False},
        }
        ready = {"public_ip": "203.0.113.10", "private_ip": "10.144.12.10", "host_key": "ssh-ed25519 HOST"}
        given = ready if args.name.endswith("-ready") else answers.get(args.name, {})
        return f"id-of-{args.name}", {**args.inputs, **given}

    def call(self, args: pulumi_mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        raise AssertionError(f"unexpected call of {args.token}")

    def inputs(self, name: str) -> dict[str, Any]:
        """What a resource was declared with."""
        return dict(next(one.inputs for one in self.made if one.name == name))


@pytest.fixture
def recorder() -> Recorder:
    made = Recorder()
    pulumi.runtime.set_mocks(made, project="demo", stack="dev", preview=False)
    return made


def two_servers(**changes: Any) -> list[VirtualServer]:
    ssh = SshAccess("ssh", SshAccessArgs("demo/dev/0123456789ab"))
    with OrderGate() as gate:
        return [
            VirtualServer(name, VirtualServerArgs(guest=GUEST, ssh=ssh, gate=gate, **changes))
            for name in ("galera-1", "galera-2")
        ]


def test_a_connection_has_the_key_and_checks_the_host_s(recorder: Recorder) -> None:
    @mocked
    def run() -> pulumi.Output[None]:
        connection = two_servers()[0].connection
        facts = pulumi.Output.all(
            connection.host, connection.user, connection.private_key, connection.host_key
        )

        def look(seen: list[Any]) -> None:
            assert seen == ["203.0.113.10", "root", "PRIVATE", "ssh-ed25519 HOST"]

        return facts.apply(look)

    run()


def test_the_private_address_is_used_where_that_is_asked_for(recorder: Recorder) -> None:
    @mocked
    def run() -> pulumi.Output[None]:
        def look(address: str) -> None:
            assert address == "10.144.12.10"

        return two_servers(ssh_address="private")[0].address.apply(look)

    run()


def test_the_stack_s_key_is_ordered_with_the_server_and_every_wait_comes_after_every_order(
    recorder: Recorder,
) -> None:
    @mocked
    def run() -> pulumi.Output[None]:
        servers = two_servers()

        def look(_: Any) -> None:
            assert recorder.inputs("galera-1-guest")["ssh_key_ids"] == ["id-of-ssh-key"]
            assert recorder.inputs("galera-1-ready")["guest_id"] == "id-of-galera-1-guest"
            order = [one.name.split("-")[-1] for one in recorder.made if one.name.startswith("galera-")]
            kinds = [kind for kind in order if kind in ("guest", "ready")]
            assert kinds == ["guest", "guest", "ready", "ready"]

        return pulumi.Output.all(*(server.private_ip for server in servers)).apply(look)

    run()


def test_a_server_declared_after_the_gate_was_closed_is_refused(recorder: Recorder) -> None:
    @mocked
    def run() -> None:
        ssh = SshAccess("ssh", SshAccessArgs("demo/dev/0123456789ab"))
        gate = OrderGate()
        gate.close()
        with pytest.raises(RuntimeError, match="declare all servers before"):
            VirtualServer("galera-1", VirtualServerArgs(guest=GUEST, ssh=ssh, gate=gate))

    run()


@pytest.mark.parametrize(
    ("arguments", "uploaded", "generated"),
    [
        (SshAccessArgs("o"), "ssh-ed25519 AAAA", True),
        (SshAccessArgs("o", public_key="ssh-ed25519 BBBB"), "ssh-ed25519 BBBB", False),
        (SshAccessArgs("o", label="mine"), None, False),
    ],
    ids=["generated", "given", "labelled"],
)
def test_a_key_is_generated_given_or_the_account_s(
    recorder: Recorder, arguments: SshAccessArgs, uploaded: str | None, generated: bool
) -> None:
    @mocked
    def run() -> pulumi.Output[None]:
        access = SshAccess("ssh", arguments)

        def look(_: Any) -> None:
            assert recorder.inputs("ssh-key").get("public_key") == uploaded
            assert ("ssh-pair" in {one.name for one in recorder.made}) is generated

        return access.key_id.apply(look)

    run()


def test_the_private_key_is_a_secret(recorder: Recorder) -> None:
    secret: list[bool] = []

    @mocked
    def run() -> pulumi.Output[None]:
        access = SshAccess("ssh", SshAccessArgs("o", public_key="ssh-ed25519 BBBB"))
        told = pulumi.Output.from_input(cast(Any, access.private_key.is_secret()))
        return told.apply(secret.append)

    run()
    assert secret == [True]
