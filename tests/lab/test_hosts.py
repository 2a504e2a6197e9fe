"""The lab's hosts alone, on the real back end: no API order, no Pulumi.

Owned here: that three machines boot side by side and are apart, what the program's script makes of second
disks of every kind and that its volume survives a reboot, a sudden death, growth and damage, what reload,
resize and destroy leave, and the lab's own commands. The tests tell one story and run in the order they are
written, in a lab of their own (`hosts-test`).
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from components import remote
from components.host_scripts import disk, disk_crypt, packages
from components.host_scripts.shell import script
from lab import network, paths
from lab.hosts.backend import HostSpec, Interface, PowerState
from lab.hosts.machine import Machine
from lab.hosts.uml import UmlBackend
from lab.paths import LabPaths
from lab.toolchain import locks

pytestmark = pytest.mark.lab

CHECKOUT = Path(__file__).parents[2]
LAB = "hosts-test"
IDS = (11, 12, 13)
PATIENCE = 300.0  # seconds; generous, because the machine may have other work


def lab_command(*words: str, check: bool = True, limit: float = 1500) -> subprocess.CompletedProcess[str]:
    """`python -m lab WORDS` for the lab under test; `limit` in seconds."""
    command, *rest = words
    done = subprocess.run(
        [sys.executable, "-m", "lab", command, "--name", LAB, *rest],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    print(f"$ lab {' '.join(words)}\n{done.stdout}{done.stderr}", flush=True)
    if check:
        assert done.returncode == 0
    return done


@pytest.fixture(scope="module")
def lab() -> Iterator[LabPaths]:
    """A lab without orders, taken away at the end."""
    lab_command("down")
    lab_command("up")
    yield paths.lab(LAB)
    lab_command("down")


@pytest.fixture(scope="module")
def backend(lab: LabPaths) -> UmlBackend:
    """The back end, used from outside the lab's API."""
    return UmlBackend(lab.root)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The private half of an ordered key."""
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def spec(number: int, key: Path) -> HostSpec:
    """The host of that number, which is also the last part of its addresses."""
    return HostSpec(
        id=number,
        hostname=f"host-{number}",
        domain="example.com",
        image="DEBIAN_LATEST",
        cores=1,
        memory=512,
        disks=(25, 25),
        private=Interface(f"10.144.12.{number}", 24, f"06:00:0a:90:0c:{number:02x}", "10.144.12.1"),
        public=Interface(f"203.0.113.{number}", 24, f"06:00:cb:00:71:{number:02x}", "203.0.113.1"),
        ssh_keys=(key.with_suffix(".pub").read_text(),),
        user_data=f"number: {number}",
    )


def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE:.0f} s"
        time.sleep(0.2)


def on_host(
    lab: LabPaths, key: Path, number: int, command: str, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """A command on a host, logged in with the ordered key; `given` is its standard input."""
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    words = ["ssh", "-i", str(key), "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", *options]
    return subprocess.run(
        [*network.enter(lab.namespace), *words, f"root@10.144.12.{number}", command],
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def ssh(lab: LabPaths, key: Path, number: int, command: str, *, check: bool = True) -> str:
    """What a command prints on a host."""
    done = on_host(lab, key, number, command)
    if check:
        assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


BOOT = "cat /proc/sys/kernel/random/boot_id"
HOST_KEY = "cat /etc/ssh/ssh_host_ed25519_key.pub"


def test_three_hosts_boot_side_by_side_and_are_apart(lab: LabPaths, backend: UmlBackend, key: Path) -> None:
    for number in IDS:
        backend.create(spec(number, key))
        backend.start(number)
        backend.start(number)
    for number in IDS:
        until(f"sshd of host {number}", partial(backend.answers, number))
    with ThreadPoolExecutor(len(IDS)) as pool:
        names = list(pool.map(lambda number: ssh(lab, key, number, "hostname -f"), IDS))
        keys = list(pool.map(lambda number: ssh(lab, key, number, HOST_KEY), IDS))
        ids = list(pool.map(lambda number: ssh(lab, key, number, "cat /etc/machine-id"), IDS))
    assert names == [f"host-{number}.example.com" for number in IDS]
    assert len(set(keys)) == len(set(ids)) == len(IDS)


def test_a_host_has_what_was_ordered(lab: LabPaths, key: Path) -> None:
    assert ssh(lab, key, 11, "lsblk -dno NAME,SIZE").split() == ["ubda", "25G", "ubdb", "25G"]
    addresses = ssh(lab, key, 11, "ip -brief address")
    assert "10.144.12.11/24" in addresses
    assert "203.0.113.11/24" in addresses
    assert "default via 203.0.113.1 dev eth1" in ssh(lab, key, 11, "ip route")
    assert ssh(lab, key, 11, "cat /etc/lab/user-data") == "number: 11"
    assert ssh(lab, key, 11, "systemctl --failed --no-legend") == ""


def test_hosts_reach_one_another_the_registry_and_the_packages(lab: LabPaths, key: Path) -> None:
    assert ssh(lab, key, 11, "bash -c 'exec 3<>/dev/tcp/10.144.12.12/22; head -c 4 <&3'") == "SSH-"
    assert ssh(lab, key, 11, "bash -c 'exec 3<>/dev/tcp/203.0.113.13/22; head -c 4 <&3'") == "SSH-"
    tls = "openssl s_client -connect registry.lab:5000 -servername registry.lab </dev/null 2>&1"
    assert "Verify return code: 0 (ok)" in ssh(lab, key, 11, tls)
    ssh(lab, key, 11, "apt-get -q update")
    assert "docker.io" in ssh(lab, key, 11, "apt-get -s --no-install-recommends install docker.io")


def test_only_the_ordered_key_and_the_console_open_the_door(lab: LabPaths, key: Path) -> None:
    assert ssh(lab, key, 11, "cat ~/.ssh/authorized_keys") == key.with_suffix(".pub").read_text().strip()
    assert lab_command("ssh", "host-11", "hostname").stdout.strip() == "host-11"
    kinds = "passwordauthentication|permitrootlogin|maxsessions|maxstartups"
    assert ssh(lab, key, 11, f"sshd -T | grep -E '^({kinds}) '").splitlines() == [
        "maxsessions 10",
        "permitrootlogin without-password",
        "passwordauthentication no",
        "maxstartups 10:30:100",
    ]


def test_the_exit_code_of_a_command_on_a_host_is_passed_on(lab: LabPaths) -> None:
    assert lab_command("ssh", "host-11", "exit 17", check=False).returncode == 17
    assert lab_command("exec", "--", "sh", "-c", "exit 18", check=False).returncode == 18


def prepare(lab: LabPaths, key: Path, number: int) -> subprocess.CompletedProcess[str]:
    """Run the program's own script for the second disk, as the program does."""
    name = f"host-{number}"
    done = on_host(lab, key, number, "bash", script(disk.require_btrfs(name), disk.prepare(name)))
    print(f"disk.prepare on {name}: {done.returncode}\n{done.stdout}{done.stderr}", flush=True)
    return done


BLANK = "wipefs -q --all /dev/ubdb && dd if=/dev/zero of=/dev/ubdb bs=1M count=2 conv=fsync status=none"
"""As the messages say."""
START = "head -c 4M /dev/ubdb | sha256sum"
STRANGERS = [
    ("head -c 1M /dev/urandom >/dev/ubdb", "without a signature", "true"),
    ("mkfs.ext4 -q /dev/ubdb", "ext4", "true"),
    ("mkfs.btrfs -q /dev/ubdb", "btrfs", "true"),
    (
        "vgcreate -q other /dev/ubdb && lvcreate -q -L 1G -n data other && mkfs.ext4 -q /dev/other/data",
        "LVM's volume group other",
        "vgremove -q -y other",
    ),
    (
        "vgcreate -q docker_vg /dev/ubdb && lvcreate -q -L 1G -n pool docker_vg",
        "docker_vg of host-13 is not this program's (it holds pool)",
        "vgremove -q -y docker_vg",
    ),
    (
        "vgcreate -q docker_vg /dev/ubdb && lvcreate -q -L 1G -n docker_lv1 docker_vg "
        "&& mkfs.ext4 -q /dev/docker_vg/docker_lv1",
        "/dev/mapper/docker_vg-docker_lv1 of host-13 already holds ext4",
        "vgremove -q -y docker_vg",
    ),
]


@pytest.mark.parametrize(("make", "said", "clear"), STRANGERS, ids=[said for _, said, _ in STRANGERS])
def test_a_second_disk_with_anything_on_it_is_left_as_it_is(
    lab: LabPaths, key: Path, make: str, said: str, clear: str
) -> None:
    ssh(lab, key, 13, f"{make} && sync")
    before = ssh(lab, key, 13, START)
    refused = prepare(lab, key, 13)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "Remedy: " in refused.stderr
    assert ssh(lab, key, 13, START) == before
    assert "docker" not in ssh(lab, key, 13, "cat /etc/fstab")
    ssh(lab, key, 13, f"{clear} && {BLANK}")


def test_a_second_disk_that_is_mounted_elsewhere_is_named_with_the_way_to_free_it(
    lab: LabPaths, key: Path
) -> None:
    ssh(lab, key, 13, "mkfs.ext4 -q /dev/ubdb && mkdir /disk0 && mount /dev/ubdb /disk0")
    refused = prepare(lab, key, 13)
    assert refused.returncode == 1
    assert "the second disk /dev/ubdb of host-13 is mounted on /disk0" in refused.stderr
    ssh(lab, key, 13, f"umount /disk0 && rmdir /disk0 && {BLANK}")


CUT_OFF = [
    ("pvcreate -q /dev/ubdb", "a physical volume in no group"),
    ("vgcreate -q docker_vg /dev/ubdb", "a group without a volume"),
    (
        "vgcreate -q --addtag swarm-galera docker_vg /dev/ubdb "
        "&& lvcreate -q -l 100%FREE --addtag swarm-galera-new -n docker_lv1 docker_vg "
        "&& head -c 1M /dev/urandom >/dev/docker_vg/docker_lv1",
        "a volume with half a file system",
    ),
]
PREPARED = (
    "findmnt -no FSTYPE,SOURCE /var/lib/docker; vgs --noheadings -o vg_tags; lvs --noheadings -o lv_tags"
)
LOOK = "cat /etc/fstab; vgs --noheadings -o vg_seqno,vg_uuid; findmnt -no UUID,SIZE /var/lib/docker"
TAKE_AWAY = "umount /var/lib/docker && sed -i '\\|/var/lib/docker|d' /etc/fstab && vgremove -q -y docker_vg"


@pytest.mark.parametrize(("left", "_what"), CUT_OFF, ids=[what for _, what in CUT_OFF])
def test_what_a_run_that_was_cut_off_left_is_gone_on_with(
    lab: LabPaths, key: Path, left: str, _what: str
) -> None:
    ssh(lab, key, 13, left)
    done = prepare(lab, key, 13)
    assert done.returncode == 0
    found = ssh(lab, key, 13, PREPARED).split()
    volume = "/dev/mapper/docker_vg-docker_lv1"
    assert found == ["btrfs", volume, "swarm-galera", "swarm-galera-formatted"]
    ssh(lab, key, 13, f"{TAKE_AWAY} && {BLANK}")


def test_a_blank_second_disk_is_prepared_and_a_second_run_changes_nothing(lab: LabPaths, key: Path) -> None:
    first = prepare(lab, key, 13)
    assert first.returncode == 0
    before = ssh(lab, key, 13, LOOK)
    ssh(lab, key, 13, "echo kept >/var/lib/docker/file && sync")
    second = prepare(lab, key, 13)
    assert second.returncode == 0
    assert (second.stdout, second.stderr) == (first.stdout, "")
    assert ssh(lab, key, 13, LOOK) == before
    assert first.stdout.strip() in before


SIZE = "findmnt -bno SIZE /var/lib/docker"


def test_a_second_disk_that_was_grown_is_used_in_its_whole_size(
    lab: LabPaths, backend: UmlBackend, key: Path
) -> None:
    assert int(ssh(lab, key, 13, SIZE)) < 25 << 30
    backend.stop(13)
    backend.resize(dataclasses.replace(spec(13, key), disks=(25, 30)))
    backend.start(13)
    until("sshd", lambda: backend.answers(13))
    until("the mount", lambda: ssh(lab, key, 13, MOUNTED, check=False).split() == ["btrfs", "kept"])
    grown = prepare(lab, key, 13)
    assert grown.returncode == 0
    assert "grown" in grown.stderr
    assert int(ssh(lab, key, 13, SIZE)) > 29 << 30
    before = ssh(lab, key, 13, LOOK)
    again = prepare(lab, key, 13)
    assert (again.returncode, again.stderr) == (0, "")
    assert ssh(lab, key, 13, LOOK) == before
    assert ssh(lab, key, 13, MOUNTED).split() == ["btrfs", "kept"]


@pytest.mark.parametrize("remembered", [True, False], ids=["in fstab and by its tag", "by its tag alone"])
def test_a_file_system_with_a_damaged_start_is_refused_and_can_be_rescued(
    lab: LabPaths, key: Path, remembered: bool
) -> None:
    volume = "/dev/docker_vg/docker_lv1"
    forget = "true" if remembered else "sed -i '\\|/var/lib/docker|d' /etc/fstab && systemctl daemon-reload"
    ssh(lab, key, 13, f"umount /var/lib/docker && {forget}")
    ssh(lab, key, 13, f"dd if=/dev/zero of={volume} bs=1M count=1 conv=fsync status=none")
    before = ssh(lab, key, 13, START)
    refused = prepare(lab, key, 13)
    assert refused.returncode == 1
    assert "was formatted before and can't be read now" in refused.stderr
    assert "btrfs rescue super-recover" in refused.stderr
    assert ssh(lab, key, 13, START) == before
    # The remedy that the message names; its exit code for "recovered" is 2.
    ssh(lab, key, 13, f"btrfs rescue super-recover -y {volume} || [ $? = 2 ]")
    assert prepare(lab, key, 13).returncode == 0
    assert ssh(lab, key, 13, MOUNTED).split() == ["btrfs", "kept"]


MOUNTED = "findmnt -no FSTYPE /var/lib/docker && cat /var/lib/docker/file"


def test_lvm_and_btrfs_on_the_second_disk_survive_a_reboot(
    lab: LabPaths, backend: UmlBackend, key: Path
) -> None:
    assert prepare(lab, key, 11).returncode == 0
    ssh(lab, key, 11, "echo kept >/var/lib/docker/file; sync")
    boot, host_key = ssh(lab, key, 11, BOOT), ssh(lab, key, 11, HOST_KEY)
    ssh(lab, key, 11, "reboot", check=False)
    until("another boot", lambda: ssh(lab, key, 11, BOOT, check=False) not in ("", boot))
    until("the mount", lambda: ssh(lab, key, 11, MOUNTED, check=False).split() == ["btrfs", "kept"])
    assert ssh(lab, key, 11, HOST_KEY) == host_key
    assert backend.state(11) is PowerState.RUNNING


def test_a_sudden_death_loses_nothing_that_was_synced(lab: LabPaths, backend: UmlBackend, key: Path) -> None:
    ssh(lab, key, 11, "echo later > /root/later; sync")
    backend.stop(11, hard=True)
    assert backend.state(11) is PowerState.HALTED
    folder = str(lab.hosts / "11")
    assert not [pid for pid in network.processes(lab.namespace) if folder in _command_line(pid)]
    backend.start(11)
    until("sshd", lambda: backend.answers(11))
    assert ssh(lab, key, 11, "cat /root/later") == "later"
    until("the mount", lambda: ssh(lab, key, 11, MOUNTED, check=False).split() == ["btrfs", "kept"])


LUKS_KEY = "c2l4dGVlbiBieXRlcyBhbmQgYXMgbWFueSBtb3JlIQ=="
ON_CRYPT = "lsblk -nso TYPE /dev/mapper/docker_vg-docker_lv1"


def with_key(
    lab: LabPaths, key: Path, number: int, text: str, given: str = LUKS_KEY
) -> subprocess.CompletedProcess[str]:
    """A step of the program's with this value, as its plugin runs it."""
    whole = remote.with_values(remote.steps("disk", text, None), given)
    done = on_host(lab, key, number, remote.call("disk", "create"), whole)
    print(f"{done.returncode}\n{done.stdout}{done.stderr}", flush=True)
    return done


def test_an_encrypted_disk_waits_after_a_boot_until_it_is_given_its_key(
    lab: LabPaths, backend: UmlBackend, key: Path
) -> None:
    name = "host-14"
    backend.create(spec(14, key))
    backend.start(14)
    until("sshd", lambda: backend.answers(14))
    prepared = "\n".join(
        (
            "IFS= read -r key",
            disk_crypt.require(name),
            packages.install(["storage", "encryption"], name),
            disk_crypt.prepare(name),
        )
    )
    first = with_key(lab, key, 14, prepared)
    assert first.returncode == 0
    mark = "a word that nobody else writes to a disk"
    ssh(lab, key, 14, f"echo kept >/var/lib/docker/file; echo {mark} >/var/lib/docker/mark; sync")
    assert sorted(ssh(lab, key, 14, ON_CRYPT).split()) == ["crypt", "disk", "lvm"]
    assert ssh(lab, key, 14, "cryptsetup luksDump /dev/ubdb | grep -c 'PBKDF:.*pbkdf2'") == "1"
    again = with_key(lab, key, 14, prepared)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    # What is on the disk is nothing that could be read without the key.
    for device, found in (("/dev/mapper/docker_vg-docker_lv1", True), ("/dev/ubdb", False)):
        read = f"dd if={device} bs=1M count=700 status=none | tr '\\0' '\\n' | grep -ac '{mark}'"
        assert (int(ssh(lab, key, 14, read, check=False)) > 0) == found, device

    # The host answers, and nothing asks anybody; a wrong key opens nothing.
    boot = ssh(lab, key, 14, BOOT)
    ssh(lab, key, 14, "reboot", check=False)
    until("another boot", lambda: ssh(lab, key, 14, BOOT, check=False) not in ("", boot))
    state = disk_crypt.state(name)
    assert with_key(lab, key, 14, state).stdout.strip() == disk_crypt.LOCKED
    wrong = with_key(lab, key, 14, disk_crypt.unlock(name), "bm90IHRoZSBrZXk=")
    assert "is not opened by the key in the stack's state" in wrong.stderr
    assert with_key(lab, key, 14, disk_crypt.unlock(name)).stdout.strip() == disk_crypt.OPEN
    assert ssh(lab, key, 14, MOUNTED).split() == ["btrfs", "kept"]
    assert with_key(lab, key, 14, state).stdout.startswith(f"{disk_crypt.OPEN} /dev/ubdb aes-xts-plain64")

    # A disk that was grown, after a sudden death.
    backend.stop(14, hard=True)
    backend.resize(dataclasses.replace(spec(14, key), disks=(25, 30)))
    backend.start(14)
    until("sshd", lambda: backend.answers(14))
    assert with_key(lab, key, 14, prepared).returncode == 0
    assert ssh(lab, key, 14, MOUNTED).split() == ["btrfs", "kept"]
    assert int(ssh(lab, key, 14, "df --output=size -BG /var/lib/docker | tail -1").rstrip("G")) > 27
    told = "cat /proc/*/cmdline /proc/*/environ 2>/dev/null | tr '\\0' '\\n'"
    assert LUKS_KEY not in ssh(lab, key, 14, told)
    backend.destroy(14)


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def test_a_host_that_switches_itself_off_stays_off_and_is_not_booted_by_a_recovery(
    lab: LabPaths, backend: UmlBackend, key: Path
) -> None:
    ssh(lab, key, 13, "poweroff", check=False)
    until("off", lambda: backend.state(13) is PowerState.HALTED)
    assert backend.recover() == []
    assert backend.state(13) is PowerState.HALTED


UNIT = (
    r"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecStop=/bin/touch /root/stopped\n"
)


def test_an_orderly_stop_lets_services_end(lab: LabPaths, backend: UmlBackend, key: Path) -> None:
    ssh(lab, key, 12, f"printf '{UNIT}' > /etc/systemd/system/last.service && systemctl start last.service")
    backend.stop(12)
    assert backend.state(12) is PowerState.HALTED
    backend.start(12)
    until("sshd", lambda: backend.answers(12))
    ssh(lab, key, 12, "test -e /root/stopped")


def test_a_resize_gives_memory_and_larger_disks_and_keeps_the_files(
    lab: LabPaths, backend: UmlBackend, key: Path
) -> None:
    ssh(lab, key, 12, "echo before > /root/before; sync")
    backend.stop(12)
    backend.resize(dataclasses.replace(spec(12, key), memory=768, disks=(30, 50, 10)))
    backend.start(12)
    until("sshd", lambda: backend.answers(12))
    assert ssh(lab, key, 12, "cat /root/before") == "before"
    sizes = ssh(lab, key, 12, "lsblk -dno NAME,SIZE").split()
    assert sizes == ["ubda", "30G", "ubdb", "50G", "ubdc", "10G"]
    assert int(ssh(lab, key, 12, "df --output=size -BG / | tail -1").rstrip("G")) > 25
    assert int(ssh(lab, key, 12, "awk '/MemTotal/ {print $2}' /proc/meminfo")) > 600 * 1024


def test_a_reload_renews_the_system_disk_and_keeps_the_second_one(
    lab: LabPaths, backend: UmlBackend, key: Path
) -> None:
    host_key = ssh(lab, key, 11, HOST_KEY)
    backend.stop(11)
    backend.reload(spec(11, key))
    backend.start(11)
    until("sshd", lambda: backend.answers(11))
    assert ssh(lab, key, 11, HOST_KEY) != host_key
    ssh(lab, key, 11, "test ! -e /root/later")
    until("the volume", lambda: "docker_lv1" in ssh(lab, key, 11, "lvs --noheadings -o lv_name"))
    assert prepare(lab, key, 11).returncode == 0
    assert ssh(lab, key, 11, MOUNTED).split() == ["btrfs", "kept"]


def test_what_ran_when_the_machine_went_down_is_booted_again(lab: LabPaths, backend: UmlBackend) -> None:
    first = Machine(lab.hosts / "11")
    pid = int(first.pid.read_text())
    subprocess.run(["kill", "-9", str(pid)], check=True)
    until("its end", lambda: backend.state(11) is PowerState.HALTED)
    for service in ("api", "registry", "apt"):
        process = json.loads((lab.services / f"{service}.json").read_text())["pid"]
        subprocess.run(["kill", "-9", str(process)], check=True)
    assert lab_command("status", check=False).returncode == 3
    lab_command("up")
    until("sshd", lambda: backend.answers(11))
    found = json.loads(lab_command("status", "--json").stdout)
    assert found["healthy"]
    assert {host["hostname"]: host["power"] for host in found["hosts"]} == {
        "host-11": "RUNNING",
        "host-12": "RUNNING",
        "host-13": "HALTED",
    }


def test_a_second_up_at_the_same_time_is_refused_in_one_sentence(lab: LabPaths) -> None:
    with locks.held(lab.lock, "lab up", refusal="{holder}"):
        refused = lab_command("up", check=False)
    assert refused.returncode == 1
    assert "is changing lab hosts-test" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_destroyed_host_leaves_nothing(lab: LabPaths, backend: UmlBackend) -> None:
    for number in IDS:
        backend.destroy(number)
        assert backend.state(number) is PowerState.ABSENT
    assert list(lab.hosts.iterdir()) == []
    words = ["ip", "-n", lab.namespace, "-brief", "link"]
    links = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert sorted(line.split()[0] for line in links) == ["lo", "private", "public"]


def test_down_takes_the_lab_away_and_leaves_others(lab: LabPaths) -> None:
    before = {path.name for path in lab.root.parent.iterdir()} - {LAB}
    lab_command("down")
    assert not lab.root.exists()
    assert not network.exists(lab.namespace)
    assert not (network.NETNS_CONF / lab.namespace).exists()
    assert before <= {path.name for path in lab.root.parent.iterdir()}
