"""The disk's script on hosts of every shape: which disk it takes, what it refuses, and that it repeats."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.commands import disk
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

GB = 1 << 30


def line(name: str, kind: str = "disk", parent: str = "", size: int = 25 * GB, **more: str) -> str:
    """One line of `lsblk -P`."""
    return (
        f'NAME="/dev/{name}" PKNAME="{parent and "/dev/" + parent}" TYPE="{kind}" SIZE="{size}" '
        f'RO="{more.get("ro", "0")}" FSTYPE="{more.get("fs", "")}" MOUNTPOINT="{more.get("at", "")}"'
    )


SOFTLAYER = [
    line("xvda"),
    line("xvda1", "part", "xvda", fs="ext3", at="/boot"),
    line("xvda2", "part", "xvda", fs="ext4", at="/"),
    line("xvdb", size=2 * GB),
    line("xvdb1", "part", "xvdb", size=2 * GB, fs="swap", at="[SWAP]"),
    line("xvdc"),
    line("xvdh", size=64 << 20, fs="vfat"),
]
LAB = [line("ubda", fs="ext4", at="/"), line("ubdb")]


class Host:
    """A host whose LVM, file systems and mounts live in files, so that a second run sees the first one's."""

    def __init__(self, folder: Path, disks: list[str], signatures: str = "", owner: str = "") -> None:
        self.fake = fake = FakeHost(folder)
        fake.file("lsblk", "\n".join(disks) + "\n")
        fake.file("signatures", signatures)
        fake.file("fstab", "# system\nUUID=root / ext4 defaults 0 1\n")
        fake.file("filesystems", "nodev\ttmpfs\n\tbtrfs\n")
        (folder / "mapper").mkdir()
        self.mount = folder / "docker"
        self.volume = folder / "mapper/docker_vg-docker_lv1"
        fake.program("lsblk", 'cat "$host/lsblk"')
        fake.program("wipefs", 'cat "$host/signatures"')
        fake.program("pvs", f"echo '  {owner}'")
        fake.program("vgs", 'if [[ -e $host/vg ]]; then cat "$host/vg"; fi')
        fake.program("vgcreate", 'echo "  docker_vg  " >"$host/vg"; echo "${@: -1}" >"$host/disk"')
        volume = f"{folder}/mapper/docker_vg-docker_lv1"
        fake.program("lvcreate", f'echo "  docker_vg docker_lv1 " >"$host/vg"; : >{volume}')
        fake.program("vgchange", f": >{volume}")
        fake.program("mkfs.btrfs", 'echo btrfs >"$host/fs"; echo "$5" >"$host/uuid"')
        fake.program(
            "blkid",
            '[[ -e $host/fs ]] || exit 2; [[ $5 == TYPE ]] && cat "$host/fs" || cat "$host/uuid"',
        )
        fake.program("mount", f'echo "{volume} btrfs $(cat "$host/uuid")" >"$host/mounted"')
        fake.program("findmnt", 'if [[ -e $host/mounted ]]; then cat "$host/mounted"; else exit 1; fi')
        fake.program("sync")

    def prepare(self) -> Ran:
        folder = self.fake.folder
        places = disk.Places(
            str(self.mount), str(folder / "fstab"), str(folder / "mapper"), str(folder / "filesystems")
        )
        return self.fake.run(disk.prepare("galera-1", places))

    def disk(self) -> str:
        return (self.fake.folder / "disk").read_text().strip()

    def fstab(self) -> list[str]:
        text = (self.fake.folder / "fstab").read_text()
        return [found for found in text.splitlines() if str(self.mount) in found]


CHANGES = ("vgcreate", "lvcreate", "vgchange", "mkfs.btrfs", "mount")


@pytest.mark.parametrize(
    ("disks", "expected"),
    [
        pytest.param(SOFTLAYER, "/dev/xvdc", id="SoftLayer: system, swap, second, configuration drive"),
        pytest.param(LAB, "/dev/ubdb", id="lab: the root file system is the whole first disk"),
        pytest.param(
            [line("sda"), *[line("sdb", at="/")]], "/dev/sda", id="the system is on the second name"
        ),
        pytest.param(
            [line("vda", fs="swap"), line("vdb", at="/"), line("vdc"), line("vdd")],
            "/dev/vdc",
            id="swap that is off is still swap, and of two free disks the first is taken",
        ),
        pytest.param(
            [
                line("loop0", "loop", at="/snap"),
                line("sr0", "rom"),
                line("sda", at="/"),
                line("sdb", ro="1"),
                line("sdc"),
            ],
            "/dev/sdc",
            id="loops, drives and read-only disks are no candidates",
        ),
        pytest.param(
            [
                line("sda"),
                line("sda1", "part", "sda"),
                line("mapper/vg-root", "lvm", "sda1", fs="ext4", at="/"),
                line("sdb"),
            ],
            "/dev/sdb",
            id="a system on LVM keeps its disk",
        ),
    ],
)
def test_the_second_disk_is_found_whatever_it_is_called(
    tmp_path: Path, disks: list[str], expected: str
) -> None:
    host = Host(tmp_path / "host", disks)
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert host.disk() == expected


def test_a_fresh_disk_becomes_a_mounted_btrfs_volume_known_to_fstab_by_uuid(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    ran = host.prepare()
    uuid = (host.fake.folder / "uuid").read_text().strip()
    assert ran.code == 0, ran.err
    assert ran.out == f"{uuid}\n"
    assert host.fstab() == [f"UUID={uuid} {host.mount} btrfs defaults,nofail 0 0"]
    assert [call.split()[0] for call in ran.calls if call.split()[0] in CHANGES] == [
        "vgcreate",
        "lvcreate",
        "mkfs.btrfs",
        "mount",
    ]
    assert "-l 100%FREE -n docker_lv1 docker_vg" in ran.called("lvcreate")[0]


def test_a_second_run_changes_nothing_and_says_the_same(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    first, second = host.prepare(), host.prepare()
    assert second.code == 0, second.err
    assert second.out == first.out
    assert not [call for call in second.calls if call.split()[0] in CHANGES]
    assert len(host.fstab()) == 1


@pytest.mark.parametrize("stop", ["vgcreate", "lvcreate", "mkfs.btrfs", "sync", "mount"])
def test_a_run_that_was_cut_off_goes_on_where_it_stopped(tmp_path: Path, stop: str) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    whole = (host.fake.bin / stop).read_text()
    (host.fake.bin / stop).write_text(f"{whole}\nexit 1\n")
    assert host.prepare().code != 0
    (host.fake.bin / stop).write_text(whole)
    if stop == "mount":
        (host.fake.folder / "mounted").unlink()
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert not ran.called(stop) or stop in ("mount", "sync")
    assert len(host.fstab()) == 1


def test_a_volume_that_is_there_but_not_active_is_activated_and_keeps_its_data(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.prepare()
    host.volume.unlink()
    (host.fake.folder / "mounted").unlink()
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert ran.called("vgchange")
    assert not ran.called("mkfs.btrfs")
    assert ran.called("mount")


@pytest.mark.parametrize(
    ("signatures", "owner", "named"),
    [
        ("ext4\n", "", "ext4"),
        ("dos\n", "", "dos"),
        ("gpt\nPMBR\n", "", "gpt, PMBR"),
        ("crypto_LUKS\n", "", "crypto_LUKS"),
        ("LVM2_member\n", "other_vg", "volume group other_vg"),
    ],
)
def test_a_disk_with_data_is_left_alone_and_named(
    tmp_path: Path, signatures: str, owner: str, named: str
) -> None:
    host = Host(tmp_path / "host", SOFTLAYER, signatures, owner)
    ran = host.prepare()
    assert ran.code == 1
    assert "/dev/xvdc of galera-1 already holds data" in ran.err
    assert named in ran.err
    assert "Remedy: " in ran.err
    assert not [call for call in ran.calls if call.split()[0] in CHANGES]
    assert not host.fstab()


def test_a_physical_volume_without_a_group_is_what_a_cut_off_run_left(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER, "LVM2_member\n", owner="")
    assert host.prepare().code == 0
    assert host.disk() == "/dev/xvdc"


def test_a_volume_of_ours_with_a_foreign_file_system_is_left_alone(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.fake.file("vg", "  docker_vg docker_lv1 \n")
    host.volume.touch()
    host.fake.file("fs", "xfs\n")
    ran = host.prepare()
    assert ran.code == 1
    assert "already holds xfs" in ran.err
    assert not ran.called("mkfs.btrfs")


def test_a_host_without_a_second_disk_says_which_disks_it_saw(tmp_path: Path) -> None:
    ran = Host(tmp_path / "host", SOFTLAYER[:5]).prepare()
    assert ran.code == 1
    assert "galera-1 has no second disk" in ran.err
    assert "/dev/xvda: mounted on /" in ran.err
    assert "/dev/xvdb: swap" in ran.err


def test_data_of_an_engine_that_ran_before_its_disk_was_mounted_is_left_alone(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.fake.file("docker/image/x", "data")
    ran = host.prepare()
    assert ran.code == 1
    assert "an engine ran there before" in ran.err
    assert not [call for call in ran.calls if call.split()[0] in CHANGES]


def test_another_file_system_on_the_mount_point_is_left_alone(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.fake.file("mounted", "/dev/sdz1 ext4 abc\n")
    ran = host.prepare()
    assert ran.code == 1
    assert "mounted from /dev/sdz1 (ext4)" in ran.err
    assert not host.fstab()


def test_another_line_in_fstab_is_left_alone(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    with (host.fake.folder / "fstab").open("a") as file:
        file.write(f"/dev/sdz1 {host.mount} ext4 defaults 0 0\n")
    ran = host.prepare()
    assert ran.code == 1
    assert "mounts /dev/sdz1 on" in ran.err
    assert not ran.called("mount")


def test_a_kernel_without_btrfs_is_refused_before_the_disk_is_touched(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.fake.file("filesystems", "\text4\n")
    host.fake.program("modprobe", "exit 1")
    ran = host.prepare()
    assert ran.code == 1
    assert "has no btrfs" in ran.err
    assert not [call for call in ran.calls if call.split()[0] in CHANGES]


def test_a_volume_mounted_at_boot_is_known_under_the_kernels_name(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.prepare()
    kernels = host.volume.with_name("dm-0")
    host.volume.rename(kernels)
    host.volume.symlink_to(kernels)
    mounted = host.fake.folder / "mounted"
    assert str(host.volume) in mounted.read_text()
    mounted.write_text(mounted.read_text().replace(str(host.volume), str(kernels)))
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert not [call for call in ran.calls if call.split()[0] in CHANGES]
