"""The real slcli, as a user types it, against the lab's API."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from harness.lab_api import LabApi
from lab.api.context import ACCOUNT_ID
from lab.hosts.backend import Traffic
from tests.provider.slcli_process import Slcli

pytestmark = [pytest.mark.provider, pytest.mark.first]

Command = Callable[..., Any]


class Failed(Exception):
    """slcli ended with an error; the text is its output."""


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slcli]:
    """The program, loaded once."""
    loaded = Slcli(tmp_path_factory.mktemp("slcli"))
    yield loaded
    loaded.close()


def _config(lab_api: LabApi, folder: Path) -> Path:
    config = folder / "softlayer.conf"
    config.write_text(
        f"[softlayer]\nusername = {lab_api.username}\napi_key = {lab_api.api_key}\n"
        f"endpoint_url = {lab_api.endpoint}\ntimeout = 20\n"
    )
    config.chmod(0o600)
    return config


@pytest.fixture
def slcli(program: Slcli, lab_api: LabApi, tmp_path: Path) -> Command:
    """Runs slcli with JSON output; `plain=True` gives the text, an error raises Failed."""
    config = _config(lab_api, tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SL_")}

    def run(*words: str, plain: bool = False) -> Any:
        form = [] if plain else ["--format", "json"]
        done = program.fork(["--config", str(config), *form, "-y", *words], environment)
        output = done.stdout + done.stderr
        if done.returncode:
            raise Failed(output)
        return output if plain else _json(done.stdout)

    return run


def _json(text: str) -> Any:
    """slcli prints one JSON document a table, after plain notices."""
    decoder = json.JSONDecoder()
    documents = []
    position = 0
    while position < len(text):
        if text[position] in '[{"':
            document, position = decoder.raw_decode(text, position)
            documents.append(document)
        else:
            end = text.find("\n", position)
            position = len(text) if end < 0 else end + 1
    return documents[0] if len(documents) == 1 else documents


def _rows(output: Any) -> list[dict[str, Any]]:
    """A table that slcli sometimes wraps in a list."""
    found = output[0] if output and isinstance(output[0], list) else output
    return list(found)


CREATE = (
    *("vs", "create", "--hostname", "galera-1", "--domain", "example.com", "--cpu", "1", "--memory", "1024"),
    *("--datacenter", "tor01", "--os", "CENTOS_LATEST", "--disk", "25", "--disk", "25", "--network", "100"),
    *("--billing", "hourly", "--tag", "dockerhost"),
)


@pytest.fixture
def public_key(tmp_path: Path) -> Path:
    """A new ed25519 public key in a file."""
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    text = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    path = tmp_path / "id_ed25519.pub"
    path.write_text(f"{text} me@example\n")
    return path


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("vs", "list"), 0, "galera-1"),
        (("vs", "detail", "4711"), 1, "ObjectNotFound"),
        (("vs", "nonsense"), 2, "Usage: slcli vs"),
    ],
    ids=["success", "failure", "usage"],
)
def test_a_forked_command_is_what_a_started_one_is(
    program: Slcli,
    lab_api: LabApi,
    template: Any,
    tmp_path: Path,
    words: tuple[str, ...],
    code: int,
    expected: str,
) -> None:
    """Word for word: so that the other tests may fork, which saves the start."""
    lab_api.client()["Virtual_Guest"].createObject(template())
    arguments = ["--config", str(_config(lab_api, tmp_path)), "--format", "json", *words]
    started, forked = program.start(arguments, dict(os.environ)), program.fork(arguments, dict(os.environ))
    assert (started.returncode, started.stdout) == (forked.returncode, forked.stdout)
    # Warnings name a library's file, and a virtual environment may be known by two paths.
    library = re.compile(r"\S+/site-packages/")
    assert library.sub("", started.stderr) == library.sub("", forked.stderr)
    assert started.returncode == code
    assert expected in started.stdout + started.stderr


def test_a_user_adds_prints_renames_and_removes_an_ssh_key(slcli: Command, public_key: Path) -> None:
    assert "SSH key added" in slcli("sshkey", "add", "--in-file", str(public_key), "me")
    (listed,) = slcli("sshkey", "list")
    assert listed["label"] == "me"
    assert slcli("sshkey", "print", "me")["id"] == listed["id"]
    slcli("sshkey", "edit", "me", "--label", "you", "--note", "moved")
    assert [(key["label"], key["notes"]) for key in slcli("sshkey", "list")] == [("you", "moved")]
    slcli("sshkey", "remove", "you")
    assert slcli("sshkey", "list") == []


def test_a_user_asks_for_the_price_orders_looks_and_cancels(
    slcli: Command, lab_api: LabApi, public_key: Path
) -> None:
    slcli("sshkey", "add", "--in-file", str(public_key), "me")
    assert slcli("vs", "list") == []
    quoted = slcli(*CREATE, "--test")
    assert lab_api.ordered == 0
    guest_table, receipt = slcli(*CREATE, "--key", "me")
    assert receipt == quoted, "the order's prices are those that were quoted"
    (ordered,) = guest_table
    assert ordered["FQDN"] == "galera-1.example.com"
    number = str(ordered["ID"])
    lab_api.wait_idle(ordered["ID"])

    (listed,) = slcli(
        "vs", "list", "--tag", "dockerhost", "--columns", "id,hostname,primary_ip,backend_ip,tags"
    )
    assert listed["id"] == ordered["ID"]
    assert (listed["primary_ip"], listed["backend_ip"]) == ("203.0.113.10", "10.144.12.10")
    assert listed["tags"] == ["dockerhost"]
    assert slcli("vs", "ready", number) == "READY"

    detail = slcli("vs", "detail", number, "--price")
    assert (detail["hostname"], detail["datacenter"], detail["cores"]) == ("galera-1", "tor01", 1)
    assert (detail["state"], detail["os"], detail["billing"]) == ("RUNNING", "CentOS", "Hourly")
    assert [disk["Drive"] for disk in detail["drives"]] == ["0", "1", "2"]
    assert [disk["Type"] for disk in detail["drives"]] == ["System", "Swap", "System"]
    assert [vlan["type"] for vlan in detail["vlans"]] == ["PRIVATE", "PUBLIC"]
    assert detail["Price rate"] == quoted[-1]["Cost"]

    slcli("vs", "cancel", number)
    lab_api.wait_idle(ordered["ID"])
    with pytest.raises(Failed, match="ObjectNotFound"):
        slcli("vs", "detail", number)
    assert lab_api.backend.destroyed == [ordered["ID"]]


def test_a_user_edits_upgrades_reloads_and_reboots(slcli: Command, lab_api: LabApi) -> None:
    guest_table, _ = slcli(*CREATE)
    number = guest_table[0]["ID"]
    lab_api.wait_idle(number)

    slcli(
        "vs",
        "edit",
        str(number),
        "--tag",
        "one",
        "--tag",
        "two",
        "--hostname",
        "other",
        "--public-speed",
        "10",
    )
    guest = lab_api.guest(number)
    assert (guest.hostname, guest.tags) == ("other", ["one", "two"])
    assert guest.public is not None
    assert guest.public.speed == 10

    slcli("vs", "upgrade", str(number), "--cpu", "2", "--memory", "4096", "--network", "1000")
    lab_api.wait_idle(number)
    spec = lab_api.backend.machines[number].spec
    assert (spec.cores, spec.memory) == (2, 4096)

    slcli("vs", "upgrade", str(number), "--resize-disk", "100", "2")
    lab_api.wait_idle(number)
    assert lab_api.backend.machines[number].spec.disks == (25, 100)

    slcli("vs", "reload", str(number))
    lab_api.wait_idle(number)
    assert lab_api.backend.machines[number].system_disk == 2

    boots = lab_api.backend.machines[number].boots
    slcli("vs", "reboot", str(number), "--hard")
    lab_api.wait_idle(number)
    assert lab_api.backend.machines[number].boots == boots + 1


def test_a_user_lists_servers_by_what_they_are(slcli: Command, lab_api: LabApi, template: Any) -> None:
    create, tag = lab_api.client()["Virtual_Guest"].createObject, lab_api.client()["Virtual_Guest"].setTags
    for name, place, changes in (
        ("db-1", "tor01", {}),
        ("db-2", "tor01", {"startCpus": 2, "hourlyBillingFlag": False}),
        ("web-1", "dal13", {"maxMemory": 4096, "domain": "example.net"}),
        ("web-2", "dal13", {"networkComponents": [{"maxSpeed": 1000}]}),
    ):
        made = create(template(hostname=name, datacenter={"name": place}, **changes))
        tag(f"{name.split('-')[0]},all", id=made["id"])

    def names(*words: str) -> list[str]:
        return [row["hostname"] for row in slcli("vs", "list", "--columns", "hostname", *words)]

    assert names() == ["db-1", "db-2", "web-1", "web-2"]
    assert names("--hostname", "db-1") == ["db-1"]
    assert names("--hostname", "web*") == ["web-1", "web-2"]
    assert names("--domain", "example.net") == ["web-1"]
    assert names("--datacenter", "tor01") == ["db-1", "db-2"]
    assert names("--cpu", "2") == ["db-2"]
    assert names("--memory", "4096") == ["web-1"]
    assert names("--network", "1000") == ["web-2"]
    assert names("--monthly") == ["db-2"]
    assert names("--hourly", "--datacenter", "tor01") == ["db-1"]
    assert names("--tag", "db") == ["db-1", "db-2"]
    assert names("--tag", "web", "--cpu", "2") == []
    assert names("--search", "web") == ["web-1", "web-2"]
    assert names("--sortby", "hostname", "--tag", "all") == ["db-1", "db-2", "web-1", "web-2"]


def test_a_long_list_of_servers_comes_page_by_page(slcli: Command, lab_api: LabApi, template: Any) -> None:
    wanted = [f"node-{number}" for number in range(5)]
    for name in wanted:
        lab_api.client()["Virtual_Guest"].createObject(template(hostname=name))
    for limit, calls in (("2", 3), ("4", 2), ("5", 1), ("100", 1)):
        lab_api.server.forget_calls()
        assert [row["hostname"] for row in slcli("vs", "list", "--limit", limit)] == wanted
        assert lab_api.count("Account", "getVirtualGuests") == calls


def test_a_user_tags_servers_and_networks(slcli: Command, lab_api: LabApi, template: Any) -> None:
    number = lab_api.client()["Virtual_Guest"].createObject(template())["id"]
    assert slcli("tags", "list") == []
    set_ = ("tags", "set", "--key-name")
    assert "successfully" in slcli(*set_, "GUEST", "--resource-id", str(number), "--tags", "a, b", plain=True)
    slcli(*set_, "NETWORK_VLAN", "--resource-id", "2263100", "--tags", "b", plain=True)
    assert lab_api.guest(number).tags == ["a", "b"]
    assert {row["Tag"]: row["Count"] for row in slcli("tags", "list")} == {"a": 1, "b": 2}
    ((server, vlan),) = slcli("tags", "details", "b")
    assert (server["Id"], server["Type"], server["Resource"]) == (number, "GUEST", "galera-1.example.com")
    assert (vlan["Id"], vlan["Type"]) == (2263100, "NETWORK_VLAN")
    assert len(slcli("tags", "list", "--detail")) == 2
    servers, vlans = slcli("tags", "taggable")
    assert [row["Id"] for row in servers] == [number]
    assert 2263100 in {row["Id"] for row in vlans}
    with pytest.raises(Failed, match="Invalid tag names: c!"):
        slcli(*set_, "GUEST", "--resource-id", str(number), "--tags", "c!")
    with pytest.raises(Failed, match="ObjectNotFound"):
        slcli(*set_, "NETWORK_VLAN", "--resource-id", "1", "--tags", "b")
    slcli(*set_, "GUEST", "--resource-id", str(number), "--tags", "")
    assert {row["Tag"]: row["Count"] for row in slcli("tags", "list")} == {"b": 1}


def test_a_user_looks_at_a_server_in_full(slcli: Command, lab_api: LabApi, template: Any) -> None:
    client = lab_api.client()
    group = client["Network_SecurityGroup"].createObject({"name": "ssh"})["id"]
    made = client["Virtual_Guest"].createObject(
        template(
            hourlyBillingFlag=False,
            primaryNetworkComponent={"securityGroupBindings": [{"securityGroup": {"id": group}}]},
        )
    )
    number = str(made["id"])
    lab_api.wait_idle(made["id"])
    slcli("vs", "edit", number, "--tag", "blue")
    client["Virtual_Guest"].editObject({"notes": "for the books"}, id=made["id"])

    detail = slcli("vs", "detail", "galera-1", "--price", "--passwords")
    assert (detail["id"], detail["guid"]) == (made["id"], made["globalIdentifier"])
    assert (detail["status"], detail["state"], detail["active_transaction"]) == ("ACTIVE", "RUNNING", None)
    assert (detail["public_ip"], detail["private_ip"]) == ("203.0.113.10", "10.144.12.10")
    assert (detail["os"], detail["os_version"]) == ("Debian", "12.0-64 Minimal for VSI")
    assert (detail["memory"], detail["private_only"], detail["transient"]) == (1024, False, False)
    assert detail["last_transaction"].startswith("Cloud Server Provision")
    assert (detail["billing"], detail["owner"]) == ("Monthly", lab_api.username)
    assert detail["security_groups"] == [{"interface": "PUBLIC", "id": group, "name": "ssh"}]
    assert (detail["notes"], detail["tags"]) == ("for the books", ["blue"])
    assert {row["Item"]: row["Recurring Price"] for row in detail["Prices"]}["1 GB"] == "6.6"
    assert detail["users"][0]["password"] == f"LAB-OS-PASSWORD-{number}"
    assert slcli("vs", "credentials", number)[0]["username"] == "root"
    assert slcli("vs", "billing", number)["Total"] == detail["Price rate"]

    lab_api.fault("stuck", step="RELOAD_POWER_OFF")
    slcli("vs", "reload", number)
    lab_api.wait_step(made["id"], "RELOAD_POWER_OFF")
    assert slcli("vs", "detail", number)["active_transaction"] == "RELOAD_POWER_OFF"
    assert slcli("vs", "list")[0]["action"] == "RELOAD_POWER_OFF"
    with pytest.raises(Failed, match="outstanding transaction"):
        slcli("vs", "upgrade", number, "--cpu", "2")
    with pytest.raises(Failed, match="could not be processed"):
        slcli("vs", "cancel", number)


def test_a_user_makes_a_server_larger(slcli: Command, lab_api: LabApi, template: Any) -> None:
    made = lab_api.client()["Virtual_Guest"].createObject(template(localDiskFlag=False))
    number, text = made["id"], str(made["id"])
    lab_api.wait_idle(number)
    for words, sizes in (
        (("--cpu", "4"), (4, 1024, (25, 25))),
        (("--memory", "8192"), (4, 8192, (25, 25))),
        # slcli counts disks from 1; its --add-disk, since it counts from 0 there, orders the last one anew.
        (("--resize-disk", "100", "2"), (4, 8192, (25, 100))),
        (("--resize-disk", "10", "3"), (4, 8192, (25, 100, 10))),
        (("--add-disk", "50"), (4, 8192, (25, 100, 50))),
        (("--cpu", "2", "--memory", "2048"), (2, 2048, (25, 100, 50))),
    ):
        slcli("vs", "upgrade", text, *words)
        lab_api.wait_idle(number)
        spec = lab_api.backend.machines[number].spec
        assert (spec.cores, spec.memory, spec.disks) == sizes
    refusals: tuple[tuple[tuple[str, ...], str], ...] = (
        (("--cpu", "3"), "Unable to find cpus option"),
        (("--resize-disk", "50", "2"), "can only be made larger"),
        (("--flavor", "B1_2X4X25"), "does not exist in package"),
        ((), "Must provide"),
    )
    for wrong, why in refusals:
        with pytest.raises(Failed, match=why):
            slcli("vs", "upgrade", text, *wrong)
    assert lab_api.backend.machines[number].spec == spec

    flavored = (*CREATE[:6], "--flavor", "B1_1X2X25", "--os", "DEBIAN_LATEST", "--datacenter", "tor01")
    number = slcli(*flavored, "--billing", "hourly")[0][0]["ID"]
    lab_api.wait_idle(number)
    slcli("vs", "upgrade", str(number), "--flavor", "B1_2X8X25")
    lab_api.wait_idle(number)
    assert (lab_api.guest(number).cores, lab_api.guest(number).memory) == (2, 8192)
    assert slcli("vs", "detail", str(number))["preset"] == "B1_2X8X25"


def test_a_user_reloads_a_server_with_a_key_a_script_and_an_image(
    slcli: Command, lab_api: LabApi, template: Any, public_key: Path
) -> None:
    slcli("sshkey", "add", "--in-file", str(public_key), "me")
    number = lab_api.client()["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_idle(number)
    (image,) = slcli("image", "list", "--public")
    slcli(
        *("vs", "reload", str(number), "--key", "me", "--image", str(image["Id"])),
        *("--postinstall", "https://example.com/setup"),
    )
    lab_api.wait_idle(number)
    machine = lab_api.backend.machines[number]
    assert machine.system_disk == 2
    assert [key.split()[1] for key in machine.spec.ssh_keys] == [public_key.read_text().split()[1]]
    assert machine.spec.post_install_uri == "https://example.com/setup"
    assert lab_api.guest(number).image_guid is not None
    with pytest.raises(Failed, match="ObjectNotFound"):
        slcli("vs", "reload", str(number), "--image", "4711")


def test_a_user_makes_binds_and_deletes_a_security_group(slcli: Command, lab_api: LabApi) -> None:
    guest_table, _ = slcli(*CREATE)
    server = str(guest_table[0]["ID"])
    group = str(slcli("securitygroup", "create", "--name", "ssh", "--description", "admins")["id"])
    slcli(
        *("securitygroup", "rule-add", group, "--direction", "ingress", "--protocol", "tcp"),
        *("--port-min", "22", "--port-max", "22", "--remote-ip", "192.0.2.0/24"),
    )
    (rule,) = slcli("securitygroup", "rule-list", group)
    assert (rule["portRangeMin"], rule["remoteIp"], rule["ethertype"]) == (22, "192.0.2.0/24", "IPv4")
    slcli("securitygroup", "interface-add", group, "--server", server, "--interface", "public")
    detail = slcli("securitygroup", "detail", group)
    (bound,) = detail["servers"]
    assert (bound["id"], bound["interface"]) == (int(server), "PUBLIC")
    with pytest.raises(Failed, match="in use"):
        slcli("securitygroup", "delete", group)
    slcli("securitygroup", "interface-remove", group, "--server", server, "--interface", "public")
    slcli("securitygroup", "rule-remove", group, str(rule["id"]))
    slcli("securitygroup", "delete", group)
    assert slcli("securitygroup", "list") == []


def test_a_user_edits_a_rule_of_a_security_group(slcli: Command) -> None:
    group = str(slcli("securitygroup", "create", "--name", "web")["id"])
    other = str(slcli("securitygroup", "create", "--name", "clients")["id"])
    slcli(
        *("securitygroup", "rule-add", group, "--direction", "ingress", "--protocol", "tcp"),
        *("--port-min", "80", "--port-max", "80", "--remote-ip", "192.0.2.0/24"),
    )
    (rule,) = slcli("securitygroup", "rule-list", group)
    edit = ("securitygroup", "rule-edit", group, str(rule["id"]))
    slcli(*edit, "--port-min", "8000", "--port-max", "8080", "--remote-ip", "198.51.100.0/24")
    (changed,) = slcli("securitygroup", "rule-list", group)
    ports = (changed["portRangeMin"], changed["portRangeMax"])
    assert (changed["id"], ports, changed["remoteIp"]) == (rule["id"], (8000, 8080), "198.51.100.0/24")
    assert (changed["direction"], changed["protocol"]) == ("ingress", "tcp")
    with pytest.raises(Failed, match="not both"):
        slcli(*edit, "--remote-group", other)
    with pytest.raises(Failed, match="above portRangeMax"):
        slcli(*edit, "--port-min", "9000")
    assert slcli("securitygroup", "rule-list", group) == [changed]
    slcli("securitygroup", "edit", group, "--name", "internet", "--description", "the world")
    names = {row["name"]: row["description"] for row in slcli("securitygroup", "list")}
    assert names["internet"] == "the world"


def test_a_user_looks_at_networks(slcli: Command, lab_api: LabApi) -> None:
    vlans = slcli("vlan", "list", "--datacenter", "tor01")
    assert [vlan["Network"] for vlan in vlans] == ["Private", "Public"] * 2
    assert all(vlan["Id"] != vlan["Number"] for vlan in vlans)
    subnets = slcli("subnet", "list", "--datacenter", "tor01")
    assert {subnet["Identifier"] for subnet in subnets} == {"10.144.12.0/24", "203.0.113.0/24"}
    detail = slcli("vlan", "detail", str(vlans[0]["Id"]))
    assert detail["subnets"][0]["gateway"] == "10.144.12.1"


def test_a_user_sees_networks_by_router_and_may_not_mix_pods(slcli: Command, lab_api: LabApi) -> None:
    vlans = slcli("vlan", "list", "--datacenter", "tor01")
    by_name = {vlan["Fully qualified name"]: vlan for vlan in vlans}
    assert set(by_name) == {
        "tor01.bcr01a.1200",
        "tor01.fcr01a.1207",
        "tor01.bcr02a.1214",
        "tor01.fcr02a.1221",
    }
    assert {vlan["Pod"] for vlan in vlans} == {"Pod01", "Pod02"}
    number = {name: str(vlan["Id"]) for name, vlan in by_name.items()}
    public, private, elsewhere = (
        number[name] for name in ("tor01.fcr01a.1207", "tor01.bcr01a.1200", "tor01.bcr02a.1214")
    )
    with pytest.raises(Failed, match="Only the frontend VLAN was specified"):
        slcli(*CREATE, "--vlan-public", public, "--test")
    with pytest.raises(Failed, match="must be in the same pod"):
        slcli(*CREATE, "--vlan-public", public, "--vlan-private", elsewhere, "--test")
    with pytest.raises(Failed, match="Could not obtain network VLAN with id #1200"):
        slcli(*CREATE, "--vlan-private", "1200", "--test")
    assert slcli(*CREATE, "--vlan-public", public, "--vlan-private", private, "--test")
    assert lab_api.ordered == 0


def test_a_user_lists_servers_with_what_they_cost(slcli: Command, lab_api: LabApi, template: Any) -> None:
    for name, hourly in (("by-hour", True), ("by-month", False)):
        lab_api.client()["Virtual_Guest"].createObject(template(hostname=name, hourlyBillingFlag=hourly))
    item = "billingItem"
    columns = f"hostname,hourlyBillingFlag,{item}.hourlyRecurringFee,{item}.recurringFee"
    listed = slcli("vs", "list", "--columns", f"{columns},{item}.nextInvoiceTotalRecurringAmount,created_by")
    hourly, monthly = listed
    total = f"{item}.nextInvoiceTotalRecurringAmount"
    quoted = {row["hostname"]: slcli("vs", "billing", row["hostname"])["Total"] for row in listed}
    assert {row["hostname"]: row[total] for row in listed} == quoted
    assert (hourly[f"{item}.hourlyRecurringFee"], hourly[f"{item}.recurringFee"]) == ("0.02", "13.2")
    assert (monthly[f"{item}.hourlyRecurringFee"], monthly[f"{item}.recurringFee"]) == (None, "13.2")
    assert float(monthly[total]) > 20 > 1 > float(hourly[total]) > 0
    assert {row["created_by"] for row in listed} == {lab_api.username}
    with pytest.raises(Failed, match="Property 'cost' not valid for 'SoftLayer_Virtual_Guest'"):
        slcli("vs", "list", "--columns", "hostname,cost")


def test_a_user_sees_what_a_server_sent_and_received(slcli: Command, lab_api: LabApi, template: Any) -> None:
    number = lab_api.client()["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_idle(number)
    lab_api.backend.counters[number] = Traffic(2**30, 2**29, 2**28, 2**27)
    since, until = "2026-1-1", "2100-01-01T00:00"
    span = ("--start_date", since, "--end_date", until)
    summary, points = slcli("vs", "bandwidth", str(number), *span)
    assert {row["Type"]: row["Sum GB"] for row in summary} == {
        "Pub In": 0.25,
        "Pub Out": 0.125,
        "Pri In": 1.0,
        "Pri Out": 0.5,
    }
    assert len(points) == 1
    lab_api.backend.counters[number] = Traffic(2**31, 2**29, 2**28, 2**27)
    summary, _ = slcli("vs", "bandwidth", str(number), *span)
    assert {row["Type"]: row["Sum GB"] for row in summary}["Pri In"] == 2.0
    usage = slcli("vs", "usage", str(number), *span, "--valid_type", "PRIVATEIN_NET_OCTET")
    assert usage[-1][0]["counter"] == 2**31
    assert usage[-1][0]["type"] == "privateIn_net_octet"
    before = ("--start_date", "2025-01-01", "--end_date", "2025-02-01")
    assert slcli("vs", "bandwidth", str(number), *before)[1] == []
    for kind in ("CPU0", "MEMORY_USAGE"):
        with pytest.raises(Failed, match="No metric data for this range of dates"):
            slcli("vs", "usage", str(number), *span, "--valid_type", kind)
    with pytest.raises(Failed, match="no metric data type HUMOUR"):
        slcli("vs", "usage", str(number), *span, "--valid_type", "HUMOUR")
    with pytest.raises(Failed, match="'yesterday' is no date"):
        slcli("vs", "bandwidth", str(number), "--start_date", "yesterday", "--end_date", until)
    with pytest.raises(Failed, match="ObjectNotFound"):
        slcli("vs", "usage", "4711", *span, "--valid_type", "CPU0")


def test_traffic_is_kept_over_a_restart_of_the_api_and_of_the_server(
    slcli: Command, lab_api: LabApi, template: Any
) -> None:
    number = lab_api.client()["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_idle(number)

    def received() -> float:
        span = ("--start_date", "2026-01-01", "--end_date", "2100-01-01")
        summary, _ = slcli("vs", "bandwidth", str(number), *span)
        return {row["Type"]: float(row["Sum GB"]) for row in summary}["Pri In"]

    lab_api.backend.counters[number] = Traffic(2**30)
    assert received() == 1.0
    lab_api.restart()
    assert received() == 1.0
    lab_api.backend.counters[number] = Traffic(2**29)  # began anew
    assert received() == 1.5


def test_a_user_reads_what_the_account_has_to_say(slcli: Command, lab_api: LabApi, template: Any) -> None:
    number = lab_api.client()["Virtual_Guest"].createObject(template())["id"]
    assert slcli("account", "events") == [[], [], []]
    with pytest.raises(Failed, match="ObjectNotFound"):
        slcli("account", "event-detail", "4711")
    (user,) = slcli("user", "list")
    assert (user["username"], user["email"]) == (lab_api.username, f"{lab_api.username}@example.com")
    assert (user["2FA"], user["classicAPIKey"], user["vpn"]) == (None, "yes", None)
    columns = "status,virtualGuestCount,hardwareCount"
    assert slcli("user", "list", "--columns", columns)[0] == {
        "status": "Active",
        "virtualGuestCount": 1,
        "hardwareCount": None,
    }
    for which in (("--open",), ("--closed",), ("--all",)):
        assert slcli("ticket", "list", *which) == []
    assert {row["Status"]: row["count"] for row in slcli("ticket", "summary")}["Closed"] == 0
    assert slcli("vs", "notifications", str(number)) in ([], {})
    slcli("vs", "notification-add", str(number), "--users", str(user["id"]))
    found = lab_api.client()["User_Customer_Notification_Virtual_Guest"].findByGuestId(number)
    assert found[0]["guest"]["fullyQualifiedDomainName"] == "galera-1.example.com"
    assert "galera-1.example.com" in slcli("vs", "notifications", str(number), plain=True)
    slcli("vs", "notification-delete", str(found[0]["id"]))
    assert slcli("vs", "notifications", str(number)) in ([], {})
    with pytest.raises(Failed, match="ObjectNotFound"):
        slcli("vs", "notifications", "4711")


LACKING = [
    ("vs pause {}", "pause"),
    ("vs capture {} --name x", "createArchiveTemplate"),
    ("account invoices", "getInvoices"),
    ("account bandwidth-pools", "getBandwidthAllotments"),
    ("ticket subjects", "SoftLayer_Ticket_Subject"),
    ("dns zone-create example.com", "SoftLayer_Dns_Domain"),
    ("block volume-list", "getIscsiNetworkStorage"),
    ("loadbal list", "SoftLayer_Network_LBaaS_LoadBalancer"),
    ("user detail {}", "apiAuthenticationKeys"),
]


@pytest.mark.parametrize(("words", "missing"), LACKING, ids=[words for words, _ in LACKING])
def test_what_the_lab_lacks_is_one_fault_that_names_it(
    slcli: Command, lab_api: LabApi, template: Any, words: str, missing: str
) -> None:
    number = lab_api.client()["Virtual_Guest"].createObject(template())["id"]
    with pytest.raises(Failed) as refused:
        slcli(*words.format(number if words.startswith("vs") else ACCOUNT_ID + 1).split())
    (line,) = (line for line in str(refused.value).splitlines() if "SoftLayerAPIError" in line)
    assert missing in line
    assert "Traceback" not in str(refused.value)


def test_a_user_sees_monitoring_and_systems_as_far_as_there_are(
    slcli: Command, lab_api: LabApi, template: Any
) -> None:
    number = lab_api.client()["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_idle(number)
    assert slcli("vs", "monitoring", str(number))["Devices monitors"] == []
    assert "DEBIAN" in slcli("vs", "os-available", plain=True)


def test_names_are_not_synchronized_into_a_zone_that_is_not_there(
    slcli: Command, lab_api: LabApi, template: Any
) -> None:
    number = lab_api.client()["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_idle(number)
    assert slcli("dns", "zone-list") == []
    for words in ((), ("--a-record",), ("--ptr",)):
        with pytest.raises(Failed, match=r"Unable to find zone 'example\.com'"):
            slcli("vs", "dns-sync", str(number), *words)


def test_a_user_browses_the_catalog_and_orders_by_key_names(slcli: Command, lab_api: LabApi) -> None:
    packages = slcli("order", "package-list")
    assert "PUBLIC_CLOUD_SERVER" in {package["keyName"] for package in packages}
    locations = slcli("order", "package-locations", "PUBLIC_CLOUD_SERVER")
    assert {"tor01", "dal13"} <= {location["dc"] for location in locations}
    order = (
        *("--preset", "B1_2X8X25", "--complex-type", "SoftLayer_Container_Product_Order_Virtual_Guest"),
        *("--extras", '{"virtualGuests": [{"hostname": "flavored", "domain": "example.com"}]}'),
        *(
            "PUBLIC_CLOUD_SERVER",
            "TORONTO",
            "OS_DEBIAN_12_MINIMAL_64_BIT",
            "BANDWIDTH_0_GB_2",
            "1_IP_ADDRESS",
        ),
        *("100_MBPS_PUBLIC_PRIVATE_NETWORK_UPLINKS", "REBOOT_REMOTE_CONSOLE"),
        "UNLIMITED_SSL_VPN_USERS_1_PPTP_VPN_USER_PER_ACCOUNT",
    )
    verified = slcli("order", "place", "--verify", *order)
    assert {"GUEST_CORES_2", "RAM_8_GB", "GUEST_DISK_25_GB_SAN"} <= {line["keyName"] for line in verified}
    assert lab_api.ordered == 0
    placed = slcli("order", "place", *order)
    assert placed["status"] == "PENDING_AUTO_APPROVAL"
    (guest,) = lab_api.guests()
    assert (guest.hostname, guest.cores, guest.memory, guest.flavor) == ("flavored", 2, 8192, "B1_2X8X25")


def test_a_user_browses_what_packages_sell(slcli: Command) -> None:
    (package,) = slcli("order", "package-list", "--keyword", "Public")
    assert (package["keyName"], package["type"]) == ("PUBLIC_CLOUD_SERVER", "PUBLIC_VIRTUAL_SERVER_INSTANCE")
    (found,) = slcli("order", "package-list", "--package_type", "VIRTUAL_SERVER_INSTANCE")
    assert found["keyName"] == "CLOUD_SERVER"

    required = {row["categoryCode"] for row in slcli("order", "category-list", "CLOUD_SERVER", "--required")}
    assert required == {
        *("guest_core", "ram", "os", "guest_disk0", "port_speed", "bandwidth", "pri_ip_addresses"),
        *("remote_management", "vpn_management"),
    }
    (systems,) = slcli("order", "item-list", "CLOUD_SERVER", "--category", "os", "--keyword", "Debian")
    assert [row["KeyName"] for row in systems] == [
        "OS_DEBIAN_12_MINIMAL_64_BIT",
        "OS_DEBIAN_11_MINIMAL_64_BIT",
        "OS_DEBIAN_13_MINIMAL_64_BIT",
    ]
    (memory,) = slcli("order", "item-list", "CLOUD_SERVER", "--category", "ram", "--prices")
    assert {"KeyName": "RAM_2_GB", "Hourly": "0.02", "Monthly": "13.2"}.items() <= memory[1].items()

    presets = _rows(slcli("order", "preset-list", "PUBLIC_CLOUD_SERVER", "--keyword", "B1.2"))
    assert [row["Key Name"] for row in presets] == ["B1_2X4X25", "B1_2X8X25"]
    priced = _rows(slcli("order", "preset-list", "PUBLIC_CLOUD_SERVER", "--keyword", "B1.2X4", "--prices"))
    assert [(row["Key Name"], row["Location"]) for row in priced] == [("B1_2X4X25", "All")]
    assert priced[0]["Monthly"] > priced[0]["Hourly"] > 0


QUOTED = (
    *("--complex-type", "SoftLayer_Container_Product_Order_Virtual_Guest"),
    *("--extras", '{"virtualGuests": [{"hostname": "quoted", "domain": "example.com"}]}'),
    *("CLOUD_SERVER", "TORONTO", "GUEST_CORES_2", "RAM_4_GB", "OS_DEBIAN_12_MINIMAL_64_BIT"),
    *("GUEST_DISK_25_GB_SAN", "100_MBPS_PUBLIC_PRIVATE_NETWORK_UPLINKS", "BANDWIDTH_250_GB", "1_IP_ADDRESS"),
    *("REBOOT_REMOTE_CONSOLE", "UNLIMITED_SSL_VPN_USERS_1_PPTP_VPN_USER_PER_ACCOUNT"),
)


def test_a_user_has_a_quote_made_looks_at_it_orders_by_it_and_deletes_it(
    slcli: Command, lab_api: LabApi, public_key: Path
) -> None:
    slcli("sshkey", "add", "--in-file", str(public_key), "me")
    with pytest.raises(Failed, match="Order_InvalidData"):
        slcli("order", "place-quote", *(word.replace("GUEST_CORES_2", "1_IPV6_ADDRESS") for word in QUOTED))
    assert slcli("order", "quote-list") == []
    made = slcli("order", "place-quote", "--name", "three months", *QUOTED)
    assert (made["name"], made["status"]) == ("three months", "PENDING")
    assert made["expires"] > made["created"]
    number = str(made["id"])
    (listed,) = slcli("order", "quote-list")
    assert (listed["Id"], listed["Package Name"]) == (made["id"], "CLOUD_SERVER")
    lines = {row["Category"]: row["Recurring"] for row in slcli("order", "quote-detail", number)}
    assert (lines["guest_core"], lines["ram"]) == ("26.4", "26.4")
    assert slcli("order", "quote-save", number)[0]["Status"] == "SAVED"
    assert lab_api.ordered == 0

    order = ("order", "quote", number, "--fqdn", "bought.example.com", "--key", "me", *QUOTED[:2])
    verified = slcli(*order, "--verify")
    assert {"keyName": "RAM_4_GB", "cost": "26.4"}.items() <= verified[1].items()
    assert lab_api.ordered == 0
    assert slcli(*order)["status"] == "PENDING_AUTO_APPROVAL"
    (guest,) = lab_api.guests()
    assert (guest.name, guest.cores, guest.memory, guest.hourly) == ("bought.example.com", 2, 4096, False)
    assert [key.split()[1] for key in guest.ssh_keys] == [public_key.read_text().split()[1]]

    assert "was deleted" in slcli("order", "quote-delete", number, plain=True)
    assert slcli("order", "quote-list") == []
    with pytest.raises(Failed, match="ObjectNotFound"):
        slcli("order", "quote-detail", number)


def test_create_options_name_what_can_be_ordered(slcli: Command) -> None:
    text = slcli("vs", "create-options", "tor01", plain=True)
    for expected in ("tor01", "DEBIAN_12_64", "B1_1X2X25", "GUEST_DISK_25_GB_LOCAL"):
        assert expected in text


def test_a_wrong_key_and_an_unknown_method_are_told_apart(slcli: Command, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="is not a valid method for this service"):
        slcli("call-api", "Account", "getNonsense")
    config = tmp_path / "softlayer.conf"
    config.write_text(config.read_text().replace("api_key = 0", "api_key = 1"))
    with pytest.raises(Failed, match="Invalid authentication token"):
        slcli("vs", "list")
