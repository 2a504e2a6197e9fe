"""The disk's script on hosts of every shape: which disk it takes, what it refuses, and that it repeats."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.host_scripts import disk
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
    """A host whose LVM, file systems and mounts live in files, so that a second run sees the first one's.

    Its disk is /dev/xvdc of 25 GB; `file("device", BYTES)` has it grown.
    """

    def __init__(self, folder: Path, disks: list[str], signatures: str = "", owner: str = "") -> None:
        self.fake = fake = FakeHost(folder)
        fake.file("lsblk", "\n".join(disks) + "\n")
        fake.file("signatures", signatures)
        fake.file("fstab", "# system\nUUID=root / ext4 defaults 0 1\n")
        fake.file("filesystems", "nodev\ttmpfs\n\tbtrfs\n")
        fake.file("device", str(25 * GB))
        (folder / "mapper").mkdir()
        self.mount = folder / "docker"
        self.volume = folder / "mapper/docker_vg-docker_lv1"
        fake.program("lsblk", 'cat "$host/lsblk"')
        fake.program("wipefs", 'cat "$host/signatures"')
        fake.program("cmp", 'exit "$(cat "$host/compared" 2>/dev/null || echo 0)"')
        fake.program("vgs", '[[ ! -e $host/group ]] || echo "  docker_vg|$(cat "$host/group")"')
        fake.program("lvs", '[[ ! -e $host/volumes ]] || sed "s/^/  /" "$host/volumes"')
        fake.program(
            "pvs",
            f'[[ $* == *dev_size* ]] || {{ echo "  {owner}"; exit 0; }}\n'
            'device=$(cat "$host/device") used=$(cat "$host/used" 2>/dev/null || echo 0)\n'
            'size=$(cat "$host/pv") free=$(((size - used) / 4194304))\n'
            'echo "  /dev/xvdc|$device|$size|1048576|4194304|$free|$(cat "$host/group")|'
            'docker_lv1|$used|$(sed "s/.*|//" "$host/volumes")"\n'
            '(( ! free )) || echo "  /dev/xvdc|$device|$size|1048576|4194304|$free|$(cat "$host/group")||0|"',
        )
        held = 'echo $(( ($(cat "$host/device") - 1048576) / 4194304 * 4194304 ))'
        fake.program(
            "vgcreate",
            f'echo swarm-galera >"$host/group"; echo "${{@: -1}}" >"$host/disk"; {held} >"$host/pv"',
        )
        volume = f"{folder}/mapper/docker_vg-docker_lv1"
        fake.program(
            "lvcreate",
            f'echo "docker_lv1|swarm-galera-new" >"$host/volumes"; cp "$host/pv" "$host/used"; : >{volume}',
        )
        fake.program("lvchange", 'echo "docker_lv1|${@: -2:1}" >"$host/volumes"')
        fake.program("pvresize", f'{held} >"$host/pv"')
        fake.program("lvextend", 'cp "$host/pv" "$host/used"')
        fake.program("btrfs", 'cp "$host/used" "$host/held"')
        fake.program(
            "vgchange", f'[[ $* != *--addtag* ]] || {{ echo "$3" >"$host/group"; exit 0; }}\n: >{volume}'
        )
        fake.program(
            "mkfs.btrfs", 'echo btrfs >"$host/fs"; echo "$6" >"$host/uuid"; cp "$host/used" "$host/held"'
        )
        fake.program(
            "blkid",
            '[[ ! -e $host/blkid ]] || exit "$(cat "$host/blkid")"\n[[ -e $host/fs ]] || exit 2\n'
            'printf "DEVNAME=x\nUUID=%s\nTYPE=%s\n" "$(cat "$host/uuid")" "$(cat "$host/fs")"',
        )
        # Room for the reserve only once a test says so.
        fake.program("df", 'echo "Size Avail"; cat "$host/room" 2>/dev/null || echo "0 0"')
        fake.program("fallocate", ': >"${@: -1}"')
        fake.program("mount", f'echo "{volume} btrfs $(cat "$host/uuid")" >"$host/mounted"')
        fake.program(
            "findmnt",
            "[[ -e $host/mounted ]] || exit 1\n"
            '[[ $* == *SOURCE* ]] || exec cat "$host/held"\n'
            'echo "$(cat "$host/mounted") $(cat "$host/held" 2>/dev/null)"',
        )
        fake.program("sync")

    def places(self) -> disk.Places:
        folder = self.fake.folder
        return disk.Places(
            str(self.mount), str(folder / "fstab"), str(folder / "mapper"), str(folder / "filesystems")
        )

    def prepare(self) -> Ran:
        return self.fake.run(disk.prepare("galera-1", self.places()))

    def rebooted(self) -> None:
        """The mount is gone, the volume is active again."""
        (self.fake.folder / "mounted").unlink()

    def text(self, name: str) -> str:
        """What a file of the host holds."""
        return (self.fake.folder / name).read_text().strip()

    def fstab(self) -> list[str]:
        return [found for found in self.text("fstab").splitlines() if str(self.mount) in found]


CHANGES = (
    *("vgcreate", "lvcreate", "vgchange", "lvchange", "mkfs.btrfs", "mount"),
    *("pvresize", "lvextend", "btrfs"),
)


def changes(ran: Ran) -> list[str]:
    """The programs that changed something, in order."""
    return [call.split()[0] for call in ran.calls if call.split()[0] in CHANGES]


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
    assert host.text("disk") == expected


def test_a_fresh_disk_becomes_a_mounted_btrfs_volume_known_to_fstab_by_uuid(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    ran = host.prepare()
    uuid = host.text("uuid")
    assert ran.code == 0, ran.err
    assert ran.out == f"{uuid}\n"
    assert host.fstab() == [f"UUID={uuid} {host.mount} btrfs defaults,nofail 0 0"]
    assert changes(ran) == ["vgcreate", "lvcreate", "mkfs.btrfs", "lvchange", "mount"]
    assert "-l 100%FREE --addtag swarm-galera-new -n docker_lv1 docker_vg" in ran.called("lvcreate")[0]
    assert host.text("volumes") == "docker_lv1|swarm-galera-formatted"


def test_a_second_run_changes_nothing_and_says_the_same(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    first, second = host.prepare(), host.prepare()
    assert second.code == 0, second.err
    assert second.out == first.out
    assert changes(second) == []
    assert len(host.fstab()) == 1


@pytest.mark.parametrize("stop", ["vgcreate", "lvcreate", "mkfs.btrfs", "lvchange", "sync", "mount"])
def test_a_run_that_was_cut_off_goes_on_where_it_stopped(tmp_path: Path, stop: str) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    whole = (host.fake.bin / stop).read_text()
    (host.fake.bin / stop).write_text(f"{whole}\nexit 1\n")
    assert host.prepare().code != 0
    (host.fake.bin / stop).write_text(whole)
    if stop == "mount":
        host.rebooted()
    ran = host.prepare()
    assert ran.code == 0, ran.err
    # Formatting is repeated until the volume's tag says that it was done; nothing is on it before.
    assert not ran.called(stop) or stop in ("mkfs.btrfs", "mount", "sync")
    assert len(host.fstab()) == 1


def test_half_a_file_system_of_a_run_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    whole = (host.fake.bin / "mkfs.btrfs").read_text()
    host.fake.program("mkfs.btrfs", "exit 1")
    host.prepare()
    (host.fake.bin / "mkfs.btrfs").write_text(whole)
    host.fake.file("blkid", "8")
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert " -f " in ran.called("mkfs.btrfs")[0]


def test_a_volume_that_is_there_but_not_active_is_activated_and_keeps_its_data(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.prepare()
    host.volume.unlink()
    host.rebooted()
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
    assert changes(ran) == []
    assert not host.fstab()


def test_a_physical_volume_without_a_group_is_what_a_cut_off_run_left(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER, "LVM2_member\n", owner="")
    assert host.prepare().code == 0
    assert host.text("disk") == "/dev/xvdc"


def test_data_without_a_signature_is_left_alone(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.fake.file("compared", "1")
    ran = host.prepare()
    assert ran.code == 1
    assert "/dev/xvdc of galera-1 already holds data (without a signature" in ran.err
    assert "dd if=/dev/zero of=/dev/xvdc bs=1M count=2" in ran.err
    assert ran.called("cmp") == ["cmp -s -n 2097152 /dev/xvdc /dev/zero"]
    assert changes(ran) == []


def test_a_disk_whose_start_can_not_be_read_is_not_taken_for_blank(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.fake.file("compared", "2")
    ran = host.prepare()
    assert ran.code == 1
    assert "/dev/xvdc on galera-1 can't be read" in ran.err
    assert changes(ran) == []


@pytest.mark.parametrize("stays", ["tag", "fstab", "both"])
@pytest.mark.parametrize("code", [0, 2, 4, 8, 127])
def test_a_file_system_that_was_made_once_and_can_not_be_read_is_never_made_anew(
    tmp_path: Path, code: int, stays: str
) -> None:
    """`blkid` ends with 2 for a blank device, and for one that it can't read; with 8 for two signatures."""
    host = Host(tmp_path / "host", SOFTLAYER)
    host.prepare()
    host.rebooted()
    if stays == "tag":
        host.fake.file("fstab", "UUID=root / ext4 defaults 0 1\n")
    if stays == "fstab":
        host.fake.file("volumes", "docker_lv1|\n")
    host.fake.file("blkid", str(code))
    ran = host.prepare()
    assert ran.code == 1
    assert "the data disk of galera-1 was formatted before and can't be read now" in ran.err
    assert f"code {code})" in ran.err
    assert "nothing was changed. Remedy: " in ran.err
    assert changes(ran) == []


@pytest.mark.parametrize("tags", ["swarm-galera-new", "swarm-galera-formatted,swarm-galera-new"])
@pytest.mark.parametrize("listed", [True, False])
def test_a_volume_that_may_have_been_used_is_not_formatted_though_it_is_tagged_as_new(
    tmp_path: Path, tags: str, listed: bool
) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.prepare()
    host.rebooted()
    host.fake.file("volumes", f"docker_lv1|{tags}\n")
    if not listed:
        host.fake.file("fstab", "UUID=root / ext4 defaults 0 1\n")
    used = listed or "formatted" in tags
    assert ("mkfs.btrfs" in changes(host.prepare())) is not used


def test_a_blank_disk_in_the_place_of_a_prepared_one_is_not_formatted(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.prepare()
    host.rebooted()
    for name in ("group", "volumes", "fs"):
        (host.fake.folder / name).unlink()
    ran = host.prepare()
    assert ran.code == 1
    assert "but there is no volume group docker_vg" in ran.err
    assert changes(ran) == []


def test_a_prepared_volume_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.prepare()
    host.rebooted()
    host.fake.file("volumes", "")
    ran = host.prepare()
    assert ran.code == 1
    assert "but docker_vg holds no docker_lv1" in ran.err
    assert changes(ran) == []


def test_a_file_system_that_can_not_be_mounted_is_left_as_it_is(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.prepare()
    host.rebooted()
    host.fake.program("mount", "exit 32")
    ran = host.prepare()
    assert ran.code == 1
    assert "could not be mounted" in ran.err
    assert "btrfs check" in ran.err
    assert changes(ran) == ["mount"]


def test_a_reloaded_system_takes_its_prepared_disk_up_again(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    first = host.prepare()
    host.rebooted()
    host.volume.unlink()
    host.fake.file("fstab", "UUID=root / ext4 defaults 0 1")
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert ran.out == first.out
    assert changes(ran) == ["vgchange", "mount"]
    assert host.text("fstab").splitlines() == ["UUID=root / ext4 defaults 0 1", *host.fstab()]


@pytest.mark.parametrize(
    "volumes", ["thinpool|\n", "docker_lv1|\nswap|\n", "data|\n", "docker_lv1|\nthinpool|other\n"]
)
def test_a_group_of_the_same_name_that_is_not_ours_is_left_alone(tmp_path: Path, volumes: str) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.fake.file("group", "")
    host.fake.file("volumes", volumes)
    ran = host.prepare()
    assert ran.code == 1
    assert "docker_vg of galera-1 is not this program's (it holds " in ran.err
    assert "vgrename docker_vg other" in ran.err
    assert changes(ran) == []


def test_two_groups_of_the_same_name_are_left_alone(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.fake.program("vgs", "printf '  docker_vg|swarm-galera\n  docker_vg|\n'")
    ran = host.prepare()
    assert ran.code == 1
    assert "two volume groups docker_vg" in ran.err
    assert changes(ran) == []


def test_a_volume_from_before_there_were_tags_is_taken_up_and_tagged(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    first = host.prepare()
    host.rebooted()
    host.fake.file("group", "\n")
    host.fake.file("volumes", "docker_lv1|\n")
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert ran.out == first.out
    assert changes(ran) == ["mount", "lvchange", "vgchange"]
    assert host.text("volumes") == "docker_lv1|swarm-galera-formatted"
    assert host.text("group") == "swarm-galera"
    assert changes(host.prepare()) == []


def test_an_empty_group_without_tags_is_what_a_cut_off_run_left_before_there_were_any(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.fake.file("group", "\n")
    host.fake.file("pv", str(25 * GB - (4 << 20)))
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert changes(ran) == ["vgchange", "lvcreate", "mkfs.btrfs", "lvchange", "mount"]
    assert host.text("group") == "swarm-galera"


@pytest.mark.parametrize("found", ["xfs\n", ""])
def test_a_volume_that_is_not_known_to_be_ours_is_never_formatted(tmp_path: Path, found: str) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.fake.file("group", "\n")
    host.fake.file("volumes", "docker_lv1|\n")
    host.fake.file("uuid", "1234")
    host.volume.touch()
    if found:
        host.fake.file("fs", found)
    ran = host.prepare()
    assert ran.code == 1
    assert f"already holds {found.strip() or 'something else than btrfs'}" in ran.err
    assert changes(ran) == []


@pytest.mark.parametrize("mounted", [True, False])
def test_a_disk_that_was_grown_is_used_in_its_whole_size_and_only_once(tmp_path: Path, mounted: bool) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.prepare()
    if not mounted:
        host.rebooted()
    host.fake.file("device", str(100 * GB))
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert changes(ran) == [*([] if mounted else ["mount"]), "pvresize", "lvextend", "btrfs"]
    assert ran.called("btrfs") == [f"btrfs filesystem resize max {host.mount}"]
    assert int(host.text("held")) > 99 * GB
    assert changes(host.prepare()) == []


@pytest.mark.parametrize("stop", ["pvresize", "lvextend", "btrfs"])
def test_a_growth_that_was_cut_off_is_completed(tmp_path: Path, stop: str) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.prepare()
    host.fake.file("device", str(100 * GB))
    whole = (host.fake.bin / stop).read_text()
    for before in ("exit 1", f"{whole}\nexit 1"):
        (host.fake.bin / stop).write_text(f"#!/bin/bash\n{before}\n")
        ran = host.prepare()
        assert ran.code == 1
        assert f"'{stop}" in ran.err
    (host.fake.bin / stop).write_text(whole)
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert int(host.text("held")) > 99 * GB
    assert changes(host.prepare()) == []


def test_what_btrfs_keeps_for_itself_is_no_growth(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.prepare()
    host.fake.file("held", str(int(host.text("used")) - (512 << 20)))
    assert changes(host.prepare()) == []


def test_a_second_disk_that_is_mounted_elsewhere_is_named_with_the_way_to_free_it(tmp_path: Path) -> None:
    disks = [*SOFTLAYER[:5], line("xvdc"), line("xvdc1", "part", "xvdc", fs="ext3", at="/disk0")]
    ran = Host(tmp_path / "host", [*disks, line("xvdh", size=64 << 20, at="/mnt/config")]).prepare()
    assert ran.code == 1
    assert "the second disk /dev/xvdc of galera-1 is mounted on /disk0" in ran.err
    assert "unmount it, run 'wipefs --all /dev/xvdc && dd " in ran.err
    assert "order one" not in ran.err
    assert changes(ran) == []


def test_a_host_without_a_second_disk_says_which_disks_it_saw(tmp_path: Path) -> None:
    config_drive = line("xvdh", size=64 << 20, at="/mnt/config")
    ran = Host(tmp_path / "host", [*SOFTLAYER[:5], config_drive]).prepare()
    assert ran.code == 1
    assert "galera-1 has no second disk" in ran.err
    assert "/dev/xvda: the system's (/" in ran.err
    assert "/dev/xvdb: swap" in ran.err
    assert "Remedy: order one: servers.disks" in ran.err


def test_data_of_an_engine_that_ran_before_its_disk_was_mounted_is_left_alone(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.fake.file("docker/image/x", "data")
    ran = host.prepare()
    assert ran.code == 1
    assert "an engine ran there before" in ran.err
    assert changes(ran) == []


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
    assert "mounts /dev/sdz1" in ran.err
    assert changes(ran) == []


def test_another_file_system_in_fstab_than_the_volume_s_is_left_alone(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.prepare()
    host.rebooted()
    host.fake.file("fstab", f"UUID=other {host.mount} btrfs defaults 0 0\n")
    ran = host.prepare()
    assert ran.code == 1
    assert "mounts UUID=other on" in ran.err
    assert changes(ran) == []


@pytest.mark.parametrize(
    ("filesystems", "modprobe", "has"),
    [("\text4\n", 1, False), ("\text4\n\tbtrfs2\n", 1, False), ("\text4\n", 0, True), ("\tbtrfs\n", 1, True)],
)
def test_a_kernel_without_btrfs_is_refused_before_anything_is_installed(
    tmp_path: Path, filesystems: str, modprobe: int, has: bool
) -> None:
    host = Host(tmp_path / "host", SOFTLAYER)
    host.fake.file("filesystems", filesystems)
    host.fake.program("modprobe", f"exit {modprobe}")
    ran = host.fake.run(disk.require_btrfs("galera-1", host.places()))
    assert ran.code == (0 if has else 1)
    assert ("the kernel of galera-1 (" in ran.err) is not has
    assert ("servers.os: DEBIAN_LATEST" in ran.err) is not has


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
    assert changes(ran) == []


def test_a_reserve_is_kept_once_where_there_is_ample_room(tmp_path: Path) -> None:
    host = Host(tmp_path, SOFTLAYER)
    host.fake.file("room", f"{25 * GB} {24 * GB}\n")
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert ran.called("fallocate") == [f"fallocate -l {25 * GB // 50} {host.mount}/swarm-galera.reserve.new"]
    assert (host.mount / "swarm-galera.reserve").exists()
    assert not host.prepare().called("fallocate")


@pytest.mark.parametrize(
    ("room", "size"),
    [(f"{900 * GB} {800 * GB}", GB), (f"{25 * GB} {2 * GB}", None)],
    ids=["large disk", "little room"],
)
def test_the_reserve_is_a_gigabyte_at_most_and_takes_no_room_that_is_scarce(
    tmp_path: Path, room: str, size: int | None
) -> None:
    host = Host(tmp_path, SOFTLAYER)
    host.fake.file("room", f"{room}\n")
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert [call.split()[2] for call in ran.called("fallocate")] == ([] if size is None else [str(size)])


def test_a_reserve_that_can_not_be_made_is_said_and_harms_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path, SOFTLAYER)
    host.fake.file("room", f"{25 * GB} {24 * GB}\n")
    host.fake.program("fallocate", "echo 'fallocate: Operation not supported' >&2; exit 1")
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert "a reserve could not be made" in ran.err
    assert len(ran.out.split()) == 1
