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

from lab.api.testing import LabApi
from tests.provider.slcli_process import Slcli

pytestmark = pytest.mark.provider

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
    ("words", "code"), [(("vs", "list"), 0), (("vs", "detail", "4711"), 1)], ids=["success", "failure"]
)
def test_a_forked_command_is_what_a_started_one_is(
    program: Slcli, lab_api: LabApi, template: Any, tmp_path: Path, words: tuple[str, ...], code: int
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
    assert ("galera-1" if code == 0 else "ObjectNotFound") in started.stdout


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


def test_a_user_looks_at_networks(slcli: Command, lab_api: LabApi) -> None:
    vlans = slcli("vlan", "list", "--datacenter", "tor01")
    assert [vlan["Network"] for vlan in vlans] == ["Private", "Public"] * 2
    assert all(vlan["Id"] != vlan["Number"] for vlan in vlans)
    subnets = slcli("subnet", "list", "--datacenter", "tor01")
    assert {subnet["Identifier"] for subnet in subnets} == {"10.144.12.0/24", "203.0.113.0/24"}
    detail = slcli("vlan", "detail", str(vlans[0]["Id"]))
    assert detail["subnets"][0]["gateway"] == "10.144.12.1"


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
