"""Bad days on request: what each injected fault does to a client and what it leaves behind."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import SoftLayer
from SoftLayer import SoftLayerAPIError
from SoftLayer.exceptions import TransportError
from typer.testing import CliRunner

from harness.lab_api import LabApi
from lab.api import admin
from lab.api.admin_client import AdminClient, AdminError
from lab.api.faults import KINDS
from lab.api.faults_cli import app
from lab.api.services.account import Account
from lab.api.transactions import Engine

pytestmark = pytest.mark.provider

Template = Callable[..., dict[str, Any]]


def test_a_lost_response_leaves_an_ordered_guest_behind(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    lab_api.fault("lost-response", service="Virtual_Guest", method="createObject", count=1)
    with pytest.raises(TransportError):
        client["Virtual_Guest"].createObject(template())
    assert len(lab_api.guests()) == 1
    assert lab_api.count("Virtual_Guest", "createObject") == 1, "the SDK does not repeat an order by itself"
    client["Virtual_Guest"].createObject(template())
    assert lab_api.ordered == 2


def test_a_dropped_connection_leaves_nothing_behind(client: Any, lab_api: LabApi, template: Template) -> None:
    lab_api.fault("drop", method="createObject", count=1)
    with pytest.raises(TransportError):
        client["Virtual_Guest"].createObject(template())
    assert lab_api.guests() == []


@pytest.mark.parametrize(("kind", "status"), [("http-500", 500), ("http-429", 429)])
@pytest.mark.parametrize("after", [False, True])
def test_an_http_error_comes_before_or_after_the_work(
    client: Any, lab_api: LabApi, template: Template, kind: str, status: int, after: bool
) -> None:
    lab_api.fault(kind, method="createObject", count=1, after=after)
    with pytest.raises(TransportError) as failed:
        client["Virtual_Guest"].createObject(template())
    assert failed.value.faultCode == status
    assert len(lab_api.guests()) == int(after)


def test_a_rate_limit_can_be_always_on_for_a_method(client: Any, lab_api: LabApi) -> None:
    rule = lab_api.fault("rate-limit", method="getVirtualGuests")
    for _ in range(3):
        with pytest.raises(SoftLayerAPIError, match="Rate limit of 50 requests"):
            client["Account"].getVirtualGuests()
    client["Account"].getSshKeys()
    lab_api.clear_faults(rule)
    assert client["Account"].getVirtualGuests() == []


def test_any_fault_can_be_asked_for_by_code_and_message(client: Any, lab_api: LabApi) -> None:
    lab_api.fault(
        "fault", method="getObject", code="SoftLayer_Exception_Order_Foo", message="No luck.", count=1
    )
    with pytest.raises(SoftLayerAPIError) as failed:
        client["Account"].getObject()
    assert (failed.value.faultCode, failed.value.faultString) == ("SoftLayer_Exception_Order_Foo", "No luck.")
    client["Account"].getObject()


def test_tags_may_fail_after_a_create(client: Any, lab_api: LabApi, template: Template) -> None:
    lab_api.fault("set-tags", count=2)
    number = client["Virtual_Guest"].createObject(template())["id"]
    for _ in range(2):
        with pytest.raises(SoftLayerAPIError, match="Unable to set tags"):
            client["Virtual_Guest"].setTags("a", id=number)
    assert client["Virtual_Guest"].setTags("a", id=number) is True


def test_faults_choose_by_host_name_and_let_some_calls_pass(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    lab_api.fault("drop", method="createObject", hostname="bad-*", skip=1, count=1)
    create = client["Virtual_Guest"].createObject
    create(template(hostname="good-1"))
    create(template(hostname="bad-1"))
    with pytest.raises(TransportError):
        create(template(hostname="bad-2"))
    number = create(template(hostname="bad-3"))["id"]
    lab_api.fault("fault", method="editObject", hostname="bad-3")
    with pytest.raises(SoftLayerAPIError):
        client["Virtual_Guest"].editObject({"notes": "n"}, id=number)


def test_a_delay_holds_up_its_call_and_no_other(client: Any, lab_api: LabApi) -> None:
    lab_api.fault("delay", method="getSshKeys", seconds=2.0, count=1)
    slow = SoftLayer.BaseClient(
        auth=SoftLayer.BasicAuthentication(lab_api.username, lab_api.api_key),
        transport=SoftLayer.transports.XmlRpcTransport(endpoint_url=lab_api.endpoint, timeout=0.3),
        config_file="/dev/null",
    )
    with pytest.raises(TransportError):
        slow["Account"].getSshKeys()
    assert client["Account"].getObject(mask="id")


def test_a_slow_step_takes_longer(client: Any, lab_api: LabApi, template: Template) -> None:
    lab_api.fault("slow", step="POWER_ON", seconds=3600, count=1)
    number = client["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_until(
        lambda: lab_api.step(number) == "POWER_ON" and lab_api.backend.machines[number].boots == 1, "POWER_ON"
    )
    other = client["Virtual_Guest"].createObject(template(hostname="other"))["id"]
    lab_api.wait_idle(other)
    assert lab_api.step(number) == "POWER_ON"


def test_a_stuck_step_goes_on_when_its_fault_is_cleared(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    lab_api.fault("stuck", step="SERVICE_SETUP", hostname="galera-1", count=1)
    number = client["Virtual_Guest"].createObject(template())["id"]
    other = client["Virtual_Guest"].createObject(template(hostname="other"))["id"]
    lab_api.wait_idle(other)
    assert lab_api.step(number) is not None
    lab_api.clear_faults()
    lab_api.wait_idle(number)


ADDRESSES = {"primaryIpAddress": "203.0.113.10", "primaryBackendIpAddress": "10.144.12.10"}


@pytest.mark.parametrize(
    ("interface", "hidden"),
    [
        ("public", {"primaryIpAddress"}),
        ("private", {"primaryBackendIpAddress"}),
        ("*", {"primaryIpAddress", "primaryBackendIpAddress"}),
    ],
)
def test_addresses_may_come_late(
    client: Any, lab_api: LabApi, template: Template, interface: str, hidden: set[str]
) -> None:
    rule = lab_api.fault("partial-ips", interface=interface)
    number = client["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_idle(number)
    mask = f"mask[provisionDate,{','.join(ADDRESSES)},networkComponents[port,primaryIpAddress]]"
    seen = client["Virtual_Guest"].getObject(id=number, mask=mask)
    assert seen["provisionDate"]
    assert ADDRESSES.keys() - seen.keys() == hidden
    assert len([card for card in seen["networkComponents"] if "primaryIpAddress" in card]) == 2 - len(hidden)
    lab_api.clear_faults(rule)
    seen = client["Virtual_Guest"].getObject(id=number, mask=mask)
    assert {name: seen[name] for name in ADDRESSES} == ADDRESSES


@pytest.mark.parametrize(
    ("interface", "address"), [("public", "primaryIpAddress"), ("private", "primaryBackendIpAddress")]
)
def test_an_address_may_come_some_time_after_provisioning(
    client: Any, lab_api: LabApi, template: Template, interface: str, address: str
) -> None:
    lab_api.fault("partial-ips", seconds=0.3, interface=interface)
    number = client["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_idle(number)
    guest = lab_api.guest(number)
    assert max(nic.hidden_until for nic in guest.nics) > (guest.provisioned or time.time())
    lab_api.wait_until(
        lambda: address in client["Virtual_Guest"].getObject(id=number, mask=f"mask[id,{address}]"),
        "the address",
    )


def test_a_machine_that_cannot_be_made_shows_as_a_stuck_transaction_and_in_the_log(
    client: Any, lab_api: LabApi, template: Template, caplog: pytest.LogCaptureFixture
) -> None:
    lab_api.backend.fail("create", "no space left on the disk")
    number = client["Virtual_Guest"].createObject(template())["id"]
    admin = _admin(lab_api)
    lab_api.wait_until(
        lambda: any(entry["error"] for entry in admin("GET", "transactions")), "the error to show"
    )
    (entry,) = admin("GET", "transactions")
    assert (entry["guest"], entry["step"]) == (number, "CLONE_CLOUD_TEMPLATE")
    assert entry["error"] == "CLONE_CLOUD_TEMPLATE: no space left on the disk"
    assert "no space left on the disk" in caplog.text
    lab_api.backend.fail("create", None)
    lab_api.restart()
    lab_api.wait_idle(number)
    assert lab_api.guest(number).provisioned


def test_a_bug_of_the_lab_s_own_is_logged_with_its_traceback_and_fails_the_test_at_its_end(
    tmp_path: Path, template: Template, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Account, "get_object", broken)
    monkeypatch.setattr(admin, "_settings", broken)
    monkeypatch.setattr(Engine, "_leave_step", broken)
    lab_api = LabApi(tmp_path / "api")
    with pytest.raises(SoftLayerAPIError, match="Internal Error") as failed:
        lab_api.client()["Account"].getObject()
    assert failed.value.faultCode == "SoftLayer_Exception_Public"
    with pytest.raises(AdminError, match="a bug of the lab"):
        _admin(lab_api)("GET", "settings")
    lab_api.client()["Virtual_Guest"].createObject(template())
    lab_api.wait_until(lambda: len(lab_api.server.internal_errors) == 3, "the transaction to break off")
    with pytest.raises(AssertionError, match="internal errors") as reported:
        lab_api.stop()
    for where in ("Account::getObject", "admin call GET /admin/settings", "transaction "):
        assert where in str(reported.value)
        assert f"internal error: {where}" in caplog.text
    assert str(reported.value).count("ZeroDivisionError: a bug") == 3
    assert caplog.text.count("Traceback") == 3


def test_a_client_that_goes_away_is_no_bug_of_the_lab_s(lab_api: LabApi) -> None:
    host, _, port = lab_api.server.address.rpartition(":")
    lab_api.fault("delay", seconds=0.1)
    for unfinished in (b"", b"POST / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(unfinished)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    lab_api.client()["Account"].getObject()
    assert not lab_api.server.internal_errors


def _admin(lab_api: LabApi) -> Callable[..., Any]:
    return AdminClient.at(lab_api.endpoint).call


def test_the_admin_interface_lists_calls_without_their_contents(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    client["Virtual_Guest"].createObject(template(userData=[{"value": "secret stuff"}]))
    seen = _admin(lab_api)("GET", "calls")
    assert seen["counts"] == {"Virtual_Guest::createObject": 1}
    assert "secret stuff" not in str(seen)
    assert lab_api.api_key not in str(seen)


def test_the_command_line_adds_lists_and_clears_faults(client: Any, lab_api: LabApi) -> None:
    runner = CliRunner()

    def run(*words: str, code: int = 0) -> str:
        done = runner.invoke(app, [*words, "--url", lab_api.endpoint])
        assert done.exit_code == code, done.output
        return done.output

    assert "No faults" in run("list")
    assert "added: rate-limit, method getObject, 1 time(s)" in run(
        "add", "rate-limit", "--method", "getObject", "--count", "1"
    )
    with pytest.raises(SoftLayerAPIError, match="Rate limit"):
        client["Account"].getObject()
    assert "rate-limit" in run("list")
    assert "1 cleared" in run("clear")
    assert "Account::getObject" in run("calls")
    assert "provision=60" in run("durations", "provision=60")
    assert lab_api.server.engine.linger("provision", "CLONE_CLOUD_TEMPLATE") == lab_api.server.engine.linger(
        "provision", "ASSIGN_HOST"
    )
    assert "50 calls a second" in run("limit", "50")
    assert lab_api.server.engine.settings().rate_limit == 50
    assert "No limit" in run("limit", "0")
    assert "There is no step" in run("durations", "NONSENSE=1", code=1)
    assert "partial-ips" in run("add", "partial-ips", "--interface", "private")
    assert [rule.interface for rule in lab_api.server.faults.rules()] == ["private"]
    assert "one of: public, private, *" in run("add", "partial-ips", "--interface", "eth0", code=1)
    refused = run("add", "nonsense", code=1)
    assert all(kind in refused.replace("\n", " ") for kind in KINDS)
    assert "no fault 4711" in run("clear", "4711", code=1)


def test_an_api_that_is_not_there_is_one_clear_sentence() -> None:
    done = CliRunner().invoke(app, ["list", "--url", "http://127.0.0.1:9"])
    assert done.exit_code == 1
    assert "cannot be reached" in done.output
    assert "Traceback" not in done.output
