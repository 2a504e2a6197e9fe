"""The program on hosts that somebody has: ordered by hand with `slcli`, each of another kind.

A user with sudo logs in to the first two. `own-1` has an engine, which is used as it is, and is reached at
its public address. `own-2` is reached at another port; its engine is installed, and has no disk of its own.
To `own-3` root logs in; it gives its second disk, and its host key is in the settings. So there is another
way to each manager that the swarm may be reached through.

The tests tell one story and run in the order they are written: each begins where the last one ended. `sudo`
comes from this machine's package sources, as the lab's hosts have none.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.whole_cluster import (
    CHECKOUT,
    LAB,
    SETTINGS,
    empty_lab,
    guests,
    in_lab,
    nothing_changes,
    on_host,
    operations,
    sql,
    wait_for,
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("machines")]

NAMES = ("own-1", "own-2", "own-3")
ORDER = (
    *("--cpu", "1", "--memory", "2048", "--datacenter", "tor01", "--os", "DEBIAN_LATEST"),
    *("--disk", "25", "--disk", "25", "--network", "100", "--billing", "hourly", "--domain", "example.com"),
)
NOBODY_ASKED = "deploy ALL=(ALL) NOPASSWD: ALL"
NOTES = "/var/lib/swarm-galera"
SYNCED = "SHOW STATUS LIKE 'wsrep_cluster_size'"


def slcli(*words: str) -> Any:
    return json.loads(in_lab("slcli", "--format", "json", "-y", *words).stdout)


def given(host: str, command: str, content: bytes) -> None:
    """Run a command on a host with something on its standard input."""
    words = [sys.executable, "-m", "lab", "ssh", "--name", LAB, host, command]
    subprocess.run(words, cwd=CHECKOUT, input=content, check=True, timeout=300)


def addresses() -> dict[str, tuple[str, str]]:
    """Private and public address by host name."""
    listed = slcli("vs", "list", "--columns", "hostname,backend_ip,primary_ip")
    return {each["hostname"]: (each["backend_ip"], each["primary_ip"]) for each in listed}


def boots() -> dict[str, str]:
    return {name: on_host(name, "cat /proc/sys/kernel/random/boot_id").strip() for name in NAMES}


def free_disk(host: str) -> str:
    """The disk that nothing is on."""
    columns = "NAME,PKNAME,TYPE,SIZE,RO,FSTYPE,MOUNTPOINT"
    told = json.loads(on_host(host, f"lsblk --json --bytes --list --output {columns}"))["blockdevices"]
    parents = {each["pkname"] for each in told}
    (found,) = [
        each["name"]
        for each in told
        if (each["type"], bool(int(each["ro"])), each["fstype"], each["mountpoint"])
        == ("disk", False, None, None)
        and each["name"] not in parents
        and int(each["size"]) > 1 << 30
    ]
    return f"/dev/{found}"


def write_settings(key: Path, hosts: list[dict[str, Any]]) -> None:
    """The stack's file: these hosts, and no word of an account."""
    file = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text())
    file["config"].pop("swarm-galera:endpoint")
    file["config"]["swarm-galera:ssh"] = {"privateKeyFile": str(key)}
    file["config"]["swarm-galera:servers"] = {"kind": "existing", "hosts": hosts}
    SETTINGS.write_text(yaml.safe_dump(file, sort_keys=False))


def prepared(host: str, package: bytes) -> None:
    """What somebody did on the machine before, besides root's key."""
    given(host, "cat >/tmp/sudo.deb && dpkg -i /tmp/sudo.deb", package)
    known = "cp -r /root/.ssh /home/deploy/ && chown -R deploy: /home/deploy"
    on_host(host, f"useradd --create-home --shell /bin/bash deploy && {known}")
    if host != "own-2":
        on_host(host, f"echo '{NOBODY_ASKED}' >/etc/sudoers.d/deploy")
    if host == "own-1":
        on_host(host, "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install docker.io")
    if host == "own-2":
        ports = "printf 'Port 22\\nPort 2222\\n' >/etc/ssh/sshd_config.d/ports.conf"
        on_host(host, f"{ports} && (systemctl restart ssh || systemctl restart sshd)")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Debian's `sudo`."""
    folder = tmp_path_factory.mktemp("sudo")
    subprocess.run(["apt-get", "-q", "download", "sudo"], cwd=folder, check=True, timeout=300)
    (file,) = folder.glob("sudo_*.deb")
    return file.read_bytes()


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key of one's own."""
    file = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
    return file


@pytest.fixture(scope="module")
def machines(key: Path, package: bytes) -> Iterator[None]:
    """Three servers that no stack has ordered; the stack is taken off them at the end, whatever happened."""
    with empty_lab():
        public = key.with_suffix(".pub").read_text().strip()
        in_lab("slcli", "sshkey", "add", "--key", public, "own")
        (known,) = slcli("sshkey", "list")
        for name in NAMES:
            in_lab("slcli", "-y", "vs", "create", "--hostname", name, *ORDER, "--key", str(known["id"]))
        for name in NAMES:
            in_lab("slcli", "vs", "ready", name, "--wait", "300")
        wait_for("SSH", lambda: all(on_host(name, "echo up", check=False).strip() == "up" for name in NAMES))
        with ThreadPoolExecutor(1) as pool:
            list(pool.map(lambda name: prepared(name, package), NAMES))
        yield
        operations("destroy", "--yes", check=False)


@pytest.fixture(scope="module")
def hosts(machines: None) -> list[dict[str, Any]]:
    """As the settings have them."""
    found = addresses()
    told: list[dict[str, Any]] = [
        {"name": name, "address": found[name][0], "user": "deploy"} for name in NAMES
    ]
    told[0]["sshHost"] = found["own-1"][1]
    told[1]["port"] = 2222
    told[2] |= {"hostKey": on_host("own-3", "cat /etc/ssh/ssh_host_ed25519_key.pub").strip(), "user": "root"}
    told[2]["disk"] = free_disk("own-3")
    return told


def test_everything_that_is_wrong_is_one_list_and_nothing_was_touched(
    key: Path, hosts: list[dict[str, Any]]
) -> None:
    """A foreign swarm, no right to sudo, another host key, two that are off, one that is named twice."""
    on_host("own-1", f"docker swarm init --advertise-addr {hosts[0]['address']}")
    wrong = [dict(host) for host in hosts]
    wrong[2]["hostKey"] = on_host("own-2", "cat /etc/ssh/ssh_host_ed25519_key.pub").strip()
    off = [
        {"name": f"own-{n}", "address": f"10.144.12.{200 + n}", "sshHost": "10.144.12.250", "user": "deploy"}
        for n in (4, 5)
    ]
    off[1]["sshHost"] = "10.144.12.251"
    twice = {**hosts[0], "name": "own-6", "role": "worker"}
    write_settings(key, [*wrong, *off, twice])
    said = operations("up", "--yes", check=False)
    assert said.returncode != 0
    told = said.stdout + said.stderr
    assert "The hosts of your own have 6 problems; nothing was ordered or changed" in told
    assert "own-1: it is in a swarm that is not this stack's (active" in told
    assert "own-2: deploy may not use sudo without a password" in told
    assert "shows another SSH host key" in told
    assert "own-4: no SSH at 10.144.12.250" in told
    assert "own-5: no SSH at 10.144.12.251" in told
    assert f"own-6: SSH at {hosts[0]['sshHost']} port 22 is that of own-1 already" in told
    for name in NAMES:
        assert on_host(name, f"ls -d {NOTES} /etc/ssh/sshd_config.d/10-swarm-galera.conf || :").strip() == ""
    assert on_host("own-3", "type -P dockerd || :").strip() == ""


def test_three_machines_become_a_verified_cluster(key: Path, hosts: list[dict[str, Any]]) -> None:
    on_host("own-1", "docker swarm leave --force")
    on_host("own-2", f"echo '{NOBODY_ASKED}' >/etc/sudoers.d/deploy")
    write_settings(key, hosts)
    before = boots()
    told = operations("preview").stdout
    assert "Hosts of your own, which are neither ordered nor ever deleted:" in told
    assert "own-1 (manager): Debian GNU/Linux" in told
    operations("up", "--yes")
    operations("verify")
    nothing_changes()
    assert boots() == before
    for name in NAMES:
        assert sql(name, SYNCED).split()[1] == "3"


def test_an_engine_that_was_there_is_as_it_was_and_the_others_are_ours(hosts: list[dict[str, Any]]) -> None:
    assert on_host("own-1", "ls /etc/docker/daemon.json 2>/dev/null || :").strip() == ""
    assert on_host("own-1", f"cat {NOTES}/engine").strip() == "kept"
    assert "storage-driver" not in on_host("own-2", "cat /etc/docker/daemon.json")
    for name in NAMES:
        assert ("deploy" in on_host(name, "getent group docker")) == (name != "own-3")
    assert on_host("own-3", "docker info --format '{{.Driver}}'").strip() == "btrfs"
    assert on_host("own-3", f"lsblk -nlo MOUNTPOINT {hosts[2]['disk']}").split() == ["/var/lib/docker"]


def test_no_account_has_heard_of_it() -> None:
    assert sorted(guest["hostname"] for guest in guests()) == list(NAMES)
    assert [each["label"] for each in slcli("sshkey", "list")] == ["own"]
    assert slcli("securitygroup", "list") == []
    assert "nothing is ordered for it" in operations("audit").stdout
    operations("refresh", "--yes")


def power(host: str, *words: str) -> None:
    """`power-off --hard`, or `power-on`."""
    number = next(str(guest["id"]) for guest in guests() if guest["hostname"] == host)
    in_lab("slcli", "-y", "vs", *words, number)


def test_with_the_first_of_them_off_the_swarm_is_reached_through_another_and_a_row_is_kept() -> None:
    sql(
        "own-1",
        "CREATE DATABASE kept; CREATE TABLE kept.row (n INT PRIMARY KEY); INSERT INTO kept.row VALUES (1)",
    )
    power("own-1", "power-off", "--hard")
    wait_for("two nodes", lambda: sql("own-2", SYNCED, check=False).split()[1:] == ["2"])
    said = operations("up", "--yes")
    assert "own-1 does not answer" in said.stdout + said.stderr
    assert "Nothing has to be done on own-1" in said.stdout + said.stderr
    operations("refresh", "--yes")
    # Through the others, by sudo on one of them.
    step = ("pulumi", "up", "--yes", "--skip-preview", "--stack", LAB, "--replace", "**swarm-started")
    assert "swarm-started replaced" in in_lab(*step, limit=600).stdout
    sql("own-2", "INSERT INTO kept.row VALUES (2)")
    power("own-1", "power-on")
    wait_for("three nodes", lambda: operations("verify", check=False).returncode == 0)
    assert sql("own-1", "SELECT n FROM kept.row").split() == ["1", "2"]
    operations("up", "--yes")


def test_destroy_leaves_hosts_engines_and_data_and_nothing_else() -> None:
    before = boots()
    operations("destroy", "--yes")
    assert boots() == before
    assert sorted(guest["hostname"] for guest in guests()) == list(NAMES)
    for name in NAMES:
        swarm = on_host(name, "docker info --format '{{.Swarm.LocalNodeState}}'").strip()
        assert (name, swarm) == (name, "inactive")
        assert on_host(name, "docker ps --quiet").strip() == ""
        assert "galera-data" in on_host(name, "docker volume ls --quiet").split()
        brought = f"ls {NOTES}/stack /etc/ssh/sshd_config.d/10-swarm-galera.conf 2>/dev/null || :"
        assert on_host(name, brought).strip() == ""
        assert "deploy" not in on_host(name, "getent group docker")
    assert on_host("own-3", "findmnt -no FSTYPE /var/lib/docker").strip() == "btrfs"


def test_a_further_stack_does_not_take_the_former_one_s_data_for_its_own(hosts: list[dict[str, Any]]) -> None:
    said = operations("up", "--yes", check=False)
    told = said.stdout + said.stderr
    assert said.returncode != 0
    assert "The hosts of your own have 3 problems" in told
    assert "docker volume rm galera-data etcd-data" in told


def test_with_the_first_of_them_off_the_others_are_let_go_all_the_same() -> None:
    """Two of three votes are left, so nobody can be taken out of the swarm: each leaves by itself."""
    for name in NAMES:
        on_host(name, "docker volume rm galera-data etcd-data")
    operations("up", "--yes")
    power("own-1", "power-off", "--hard")
    wait_for("two nodes", lambda: sql("own-2", SYNCED, check=False).split()[1:] == ["2"])
    gone = operations("destroy", "--yes")
    assert "own-1 does not answer, so what the program brought to it stays there" in gone.stdout + gone.stderr
    for name in NAMES[1:]:
        assert on_host(name, "docker info --format '{{.Swarm.LocalNodeState}}'").strip() == "inactive"
        assert on_host(name, f"ls {NOTES}/stack 2>/dev/null || :").strip() == ""
