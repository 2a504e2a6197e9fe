"""The encrypted disk: what is made, what is refused, what a boot needs, and where the key is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.host_scripts import disk_crypt
from tests.unit.components.host_scripts.test_disk_script import SOFTLAYER, Host, changes, line
from tests.unit.fake_host import Ran

pytestmark = pytest.mark.unit

KEY = "c2l4dGVlbiBieXRlcyBhbmQgYXMgbWFueSBtb3JlIQ=="
CRYPTSETUP = r"""
cd "$host"
fits() { [[ $(cat) == "$(<luks-key)" ]] || { echo "No key available with this passphrase." >&2; exit 2; }; }
case $1 in
  isLuks) [[ -e luks && ${!#} == "$(<luks)" ]] ;;
  luksFormat)
    [[ ! -e fails ]] || { echo "Device write error" >&2; exit 1; }
    cat >luks-key; echo "${!#}" >luks; echo "$6" >label ;;
  open) fits; [[ $* == *--test-passphrase* ]] || : >mapper/docker_crypt ;;
  status) printf '  type:    LUKS2\n  cipher:  aes-xts-plain64\n  device:  %s\n' "$(<luks)" ;;
  resize) fits ;;
  config) echo "$3" >label ;;
esac
"""
BLKID = r"""
if [[ $1 == -c ]]; then
  [[ -e $host/label && $4 == "LABEL=$(<"$host/label")" ]] || exit 2
  cat "$host/luks"
  exit 0
fi
"""
SYSTEMCTL = """
case "$*" in
  *is-enabled*) [[ -e $host/engine ]] ;;
  *is-active*) [[ -e $host/engine && $(<"$host/engine") == active ]] ;;
  show*) echo "$(<"$host/ran")" ;;
  start*) [[ ! -e $host/broken ]] || exit 1; echo active >"$host/engine" ;;
esac
"""


class Encrypted(Host):
    """A host whose second disk is to be encrypted."""

    def __init__(self, folder: Path, disks: list[str] | None = None, **more: str) -> None:
        super().__init__(folder, disks or SOFTLAYER, **more)
        self.fake.program("cryptsetup", CRYPTSETUP)
        whole = (self.fake.bin / "blkid").read_text()
        first, second, rest = whole.split("\n", 2)
        (self.fake.bin / "blkid").write_text(f"{first}\n{second}\n{BLKID}\n{rest}")
        self.fake.program("systemctl", SYSTEMCTL)
        self.fake.file("ran", "0")
        # With -s: on what the mounted volume is.
        within = 'if [[ $* == *" -s "* ]]; then cat "$host/below"; else cat "$host/lsblk"; fi'
        self.fake.program("lsblk", within)
        self.fake.file("below", "docker_vg-docker_lv1\ndocker_crypt\nxvdc\n")
        self.fake.program("mount", f'echo "{self.volume} btrfs $(cat "$host/uuid")" >"$host/mounted"')

    def encrypt(self, key: str = KEY) -> Ran:
        text = disk_crypt.prepare("galera-1", self.places(), noted=str(self.fake.folder / "notes/new"))
        return self.run(f"IFS= read -r key\n{text}", f"{key}\n")

    def unlock(self, key: str = KEY) -> Ran:
        return self.run(disk_crypt.unlock("galera-1", self.places()), f"{key}\n")

    def state(self, key: str = "") -> str:
        return self.run(disk_crypt.state("galera-1", self.places()), key and f"{key}\n").out.strip()

    def run(self, text: str, stdin: str = "") -> Ran:
        at = str(self.fake.folder / "daemon.json")
        return self.fake.run(text.replace(disk_crypt.DAEMON_JSON, at), stdin)

    def file_on_disk(self, name: str) -> None:
        """Once that is mounted."""
        program = self.fake.bin / "mount"
        program.write_text(f"{program.read_text()}\nmkdir -p {self.mount}/{name}\n")

    def booted(self) -> None:
        """As after a boot: nothing is open, nothing is mounted, the engine was not started."""
        self.fake.file("daemon.json", "{}")
        (self.fake.folder / "mapper/docker_crypt").unlink()
        self.volume.unlink()
        self.rebooted()


def test_a_blank_disk_is_encrypted_and_all_else_is_in_it(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    ran = host.encrypt()
    assert ran.code == 0, ran.err
    assert ran.out == f"{host.text('uuid')}\n"
    assert host.text("luks") == "/dev/xvdc"
    assert host.text("label") == "swarm-galera"
    assert host.text("disk") == f"{tmp_path}/host/mapper/docker_crypt"
    assert changes(ran) == ["vgcreate", "lvcreate", "mkfs.btrfs", "lvchange", "mount"]
    (made,) = [call for call in ran.called("cryptsetup") if "luksFormat" in call]
    assert "--type luks2" in made
    assert "aes-xts-plain64" in made
    assert host.state() == "open /dev/xvdc aes-xts-plain64"


def test_the_key_is_in_no_command_line_no_file_and_no_word(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    host.fake.file("fails", "")
    rans = [host.encrypt()]
    (host.fake.folder / "fails").unlink()
    rans.append(host.encrypt())
    host.booted()
    rans += [host.unlock("another key"), host.unlock(), host.encrypt()]
    assert [ran.code for ran in rans] == [1, 0, 1, 0, 0]
    for ran in rans:
        assert KEY not in ran.out + ran.err + "\n".join(ran.calls)
    # With exactly this text it was made: no end of a line is part of it.
    assert (host.fake.folder / "luks-key").read_text() == KEY
    (host.fake.folder / "luks-key").unlink()
    files = [file for file in host.fake.folder.rglob("*") if file.is_file() and file.name != "calls"]
    assert not [file for file in files if KEY in file.read_text()]


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    first, second = host.encrypt(), host.encrypt()
    assert (second.code, second.out, changes(second)) == (0, first.out, []), second.err
    assert not [call for call in second.called("cryptsetup") if "luksFormat" in call or "config" in call]


@pytest.mark.parametrize("stop", ["vgcreate", "lvcreate", "mkfs.btrfs", "lvchange", "mount"])
def test_a_run_that_was_cut_off_goes_on_where_it_stopped(tmp_path: Path, stop: str) -> None:
    host = Encrypted(tmp_path / "host")
    whole = (host.fake.bin / stop).read_text()
    (host.fake.bin / stop).write_text(f"{whole}\nexit 1\n")
    assert host.encrypt().code != 0
    (host.fake.bin / stop).write_text(whole)
    if stop == "mount":
        host.rebooted()
    ran = host.encrypt()
    assert ran.code == 0, ran.err
    assert not [call for call in ran.called("cryptsetup") if "luksFormat" in call]
    assert host.text("label") == "swarm-galera"
    assert len(host.fstab()) == 1


def test_half_an_encrypted_disk_of_a_run_that_was_cut_off_is_made_anew_until_the_next_boot(
    tmp_path: Path,
) -> None:
    host = Encrypted(tmp_path / "host")
    host.fake.file("fails", "")
    assert "could not be encrypted" in host.encrypt().err
    (host.fake.folder / "fails").unlink()
    host.fake.file("compared", "1")  # it is not blank any more
    noted = host.fake.folder / "notes/new"
    text = noted.read_text()
    noted.write_text(text.split()[0] + " of-another-boot\n")
    refused = host.encrypt()
    assert refused.code == 1
    assert "/dev/xvdc of galera-1 already holds data" in refused.err
    noted.write_text(text)
    assert host.encrypt().code == 0
    assert not noted.exists()


@pytest.mark.parametrize(
    ("signatures", "compared"), [("ext4\n", "0"), ("crypto_LUKS\n", "0"), ("LVM2_member\n", "0"), ("", "1")]
)
def test_a_disk_that_holds_anything_is_not_encrypted(tmp_path: Path, signatures: str, compared: str) -> None:
    host = Encrypted(tmp_path / "host", signatures=signatures, owner="other")
    host.fake.file("compared", compared)
    ran = host.encrypt()
    assert ran.code == 1
    assert "already holds data" in ran.err
    assert not [call for call in ran.called("cryptsetup") if "luksFormat" in call]


@pytest.mark.parametrize("mounted", [True, False])
def test_a_disk_that_was_prepared_in_plain_stays_as_it_is(tmp_path: Path, mounted: bool) -> None:
    host = Encrypted(tmp_path / "host")
    assert host.prepare().code == 0
    if not mounted:
        host.rebooted()
    ran = host.encrypt()
    assert ran.code == 1
    assert "was prepared without encryption, and a disk with data is never formatted anew" in ran.err
    assert "Remedy: have the hosts replaced one after the other (servers.replace" in ran.err
    assert changes(ran) == []
    assert not [call for call in ran.called("cryptsetup") if "luksFormat" in call]


def test_an_encrypted_disk_that_was_used_is_never_made_anew(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    host.encrypt()
    host.booted()
    for lost in ("group", "volumes"):
        (host.fake.folder / lost).unlink()
    host.fake.file("fstab", "UUID=root / ext4 defaults 0 1\n")  # as after a reload of the system's disk
    ran = host.encrypt()
    assert ran.code == 1
    assert "formatted before and can't be read now (the encrypted disk /dev/xvdc holds no volume" in ran.err
    assert changes(ran) == []


# -- a boot


def test_after_a_boot_the_disk_waits_and_is_opened_mounted_and_the_engine_started(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    uuid = host.encrypt().out.strip()
    host.fake.file("engine", "inactive")
    host.booted()
    assert host.state() == "locked"
    ran = host.unlock()
    assert (ran.code, ran.out) == (0, "open\n"), ran.err
    assert host.text("engine") == "active"
    assert changes(ran) == ["vgchange", "mount"]
    assert host.text("mounted").endswith(uuid)
    again = host.unlock()
    assert (again.code, again.out, [call for call in again.calls if "mount " in call[:6]]) == (
        0,
        "open\n",
        [],
    )


@pytest.mark.parametrize("stop", ["vgcreate", "lvcreate", "mkfs.btrfs"])
@pytest.mark.parametrize("boots", [False, True])
def test_a_disk_that_a_run_has_not_prepared_to_its_end_is_left_to_the_next_run(
    tmp_path: Path, stop: str, boots: bool
) -> None:
    host = Encrypted(tmp_path / "host")
    whole = (host.fake.bin / stop).read_text()
    (host.fake.bin / stop).write_text(f"{whole}\nexit 1\n")
    assert host.encrypt().code != 0
    (host.fake.bin / stop).write_text(whole)
    if boots:
        (host.fake.folder / "mapper/docker_crypt").unlink()
    assert host.state() == "new"
    ran = host.unlock()
    assert (ran.code, ran.out, changes(ran)) == (0, "new\n", []), ran.err
    assert host.encrypt().code == 0
    assert host.state().startswith("open")


def test_a_system_that_was_made_anew_has_its_disk_opened_by_the_disks_own_step(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    host.encrypt()
    host.booted()
    host.fake.file("fstab", "UUID=root / ext4 defaults 0 1\n")
    assert host.state() == "new"
    assert host.unlock().out == "new\n"
    assert host.encrypt().code == 0
    assert len(host.fstab()) == 1


def test_an_engine_that_waits_on_an_open_disk_is_started_by_the_next_unlock(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    host.encrypt()
    host.fake.file("engine", "inactive")
    host.fake.file("broken", "")
    host.booted()
    assert host.unlock().code == 1
    assert host.state() == "waiting"
    (host.fake.folder / "broken").unlink()
    assert host.unlock().code == 0
    assert host.text("engine") == "active"
    assert host.state().startswith("open")
    # Since then somebody has stopped it.
    host.fake.file("engine", "inactive")
    host.fake.file("ran", "123456")
    assert host.state().startswith("open")


def test_an_engine_that_was_never_configured_is_not_started(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    host.encrypt()
    host.fake.file("engine", "inactive")
    host.booted()
    (host.fake.folder / "daemon.json").unlink()
    assert host.unlock().code == 0
    assert host.text("engine") == "inactive"
    assert host.state().startswith("open")
    # Its data may be of before the system was made anew.
    host.booted()
    (host.fake.folder / "daemon.json").unlink()
    host.file_on_disk("volumes")
    assert host.encrypt().code == 0
    assert host.text("engine") == "inactive"


def test_data_beside_the_encrypted_disk_does_not_count_as_encrypted(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    host.encrypt()
    host.fake.file("label", "swarm-galera-new\n")
    host.fake.file("below", "docker_vg-docker_lv1\nxvdd\n")
    assert host.state() == "beside"
    for ran in (host.encrypt(), host.unlock()):
        assert ran.code == 1
        assert "is not on its encrypted disk /dev/xvdc" in ran.err
    assert host.text("label") == "swarm-galera-new"


def test_the_last_line_of_the_table_counts_without_its_end(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    host.encrypt()
    table = host.fake.folder / "fstab"
    table.write_text(table.read_text().rstrip("\n"))
    host.booted()
    assert host.state() == "locked"
    assert host.unlock().out == "open\n"


def test_by_another_key_nothing_is_opened(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    host.encrypt()
    host.booted()
    ran = host.unlock("another")
    assert ran.code == 1
    assert "is not opened by the key in the stack's state (No key available" in ran.err
    assert host.state() == "locked"


def test_another_key_than_that_of_an_open_disk_is_told_before_the_next_boot(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    host.encrypt()
    assert (host.state(), host.state(KEY)) == ("open /dev/xvdc aes-xts-plain64",) * 2
    assert host.state("another") == "stranger"
    ran = host.encrypt("another")
    assert ran.code == 1
    assert "is open, and the key in the stack's state is not its own" in ran.err
    assert "resize" not in " ".join(ran.calls)
    assert host.encrypt().code == 0


def test_a_host_without_an_encrypted_disk_is_left_alone(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    host.prepare()
    ran = host.unlock()
    assert (ran.code, ran.out, changes(ran)) == (0, "none\n", [])
    assert host.state() == "none"


def test_what_else_is_on_the_disk_is_mounted_before_the_engine_starts(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    uuid = host.encrypt().out.strip()
    with (host.fake.folder / "fstab").open("a") as table:
        table.write(f"UUID={uuid} {tmp_path}/srv btrfs defaults,nofail,subvol=/galera-data 0 0\n")
    host.fake.file("engine", "inactive")
    host.fake.program(
        "findmnt",
        f"[[ $* != *{tmp_path}/srv* ]] || exit 1\n[[ -e $host/mounted ]] || exit 1\n"
        '[[ $* != *-o\\ UUID* ]] || exec cat "$host/uuid"\necho "$(cat "$host/mounted") 1"',
    )
    host.booted()
    ran = host.unlock()
    assert ran.code == 0, ran.err
    told = [call for call in ran.calls if call.startswith(("mount ", "systemctl start"))]
    assert told == [f"mount {host.mount}", f"mount {tmp_path}/srv", "systemctl start docker.service"]


def test_the_programs_own_reboot_ends_with_the_engine_and_an_installation_does_not_start_it(
    tmp_path: Path,
) -> None:
    host = Encrypted(tmp_path / "host")
    host.fake.file("engine", "inactive")  # its package is there, its configuration is not
    assert host.encrypt().code == 0
    assert host.text("engine") == "inactive"
    host.fake.file("daemon.json", "{}")
    host.booted()
    assert host.encrypt().code == 0
    assert host.text("engine") == "active"
    # One that somebody has stopped on an open disk is not this step's business.
    host.fake.file("engine", "inactive")
    assert host.encrypt().code == 0
    assert host.text("engine") == "inactive"


def test_an_engine_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    host.encrypt()
    host.fake.file("engine", "inactive")
    host.fake.file("broken", "")
    host.booted()
    ran = host.unlock()
    assert ran.code == 1
    assert "the engine of galera-1 does not start although its disk is there" in ran.err


def test_the_disk_that_the_settings_name_is_the_one_that_is_encrypted(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host", [line("vda", at="/"), line("vdb"), line("vdc")])
    find = "find_disk() { disk=/dev/vdc; }"
    text = disk_crypt.prepare("db1", host.places(), find, str(tmp_path / "noted"))
    ran = host.run(f"IFS= read -r key\n{text}", f"{KEY}\n")
    assert ran.code == 0, ran.err
    assert host.text("luks") == "/dev/vdc"


def test_two_encrypted_disks_of_the_program_are_left_alone(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    host.encrypt()
    host.booted()
    host.fake.program("blkid", '[[ $4 == LABEL=swarm-galera ]] || exit 2\nprintf "/dev/xvdc\\n/dev/xvdd\\n"')
    host.fake.program("cryptsetup", "[[ $1 == isLuks ]]")
    ran = host.unlock()
    assert ran.code == 1
    assert "has two encrypted disks of this program, /dev/xvdc and /dev/xvdd" in ran.err


def test_a_kernel_that_cannot_encrypt_is_named(tmp_path: Path) -> None:
    host = Encrypted(tmp_path / "host")
    host.fake.program("modprobe", "[[ $2 != dm_crypt ]]")
    ran = host.fake.run(disk_crypt.require("galera-1"))
    if not Path("/sys/module/dm_crypt").exists():
        assert ran.code == 1
        assert "has no dm_crypt, without which no disk can be encrypted" in ran.err
    host.fake.program("modprobe")
    assert host.fake.run(disk_crypt.require("galera-1")).code == 0
