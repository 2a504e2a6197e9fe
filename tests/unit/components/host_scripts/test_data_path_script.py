"""The database's data at a path of its own, on a host: what is made, refused, repeated, removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.host_scripts import data_path
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

UUID = "4e8e6216-8767-4155-b1a0-942f089d5f03"
DISK = "/dev/mapper/docker_vg-docker_lv1"
SYSTEM = "# system\nUUID=root / ext4 defaults 0 1\n"
DOCKER = r"""
cd "$host"
case "$1 $2" in
  "volume ls") [[ ! -e silent ]] || exit 1; cat volumes ;;
  "volume inspect") cat device ;;
  "volume create")
    echo "${!#}" >>volumes
    for word in "$@"; do [[ $word != device=* ]] || echo "${word#device=}" >device; done ;;
esac
"""
CHANGES = ("install", "mount", "umount", "systemctl", "docker volume create")


class Host:
    """A host whose data disk is mounted; what is mounted at the path is in the file `at`."""

    def __init__(self, folder: Path, fstab: str = SYSTEM) -> None:
        self.fake = fake = FakeHost(folder)
        self.mount, self.path, self.root = (
            folder / "docker",
            folder / "srv/mariadb",
            folder / "docker/galera-data",
        )
        self.mount.mkdir()
        fake.file("fstab", fstab)
        fake.file("volumes", "etcd-data\n")
        fake.file("disk", f"{DISK} btrfs {UUID} /\n")
        fake.program(
            "findmnt",
            f'if [[ $4 == --mountpoint && $5 == {self.mount} ]]; then cat "$host/disk"\n'
            f'elif [[ $5 == {self.path} && -e $host/at ]]; then cat "$host/at"; else exit 1; fi',
        )
        fake.program(
            "btrfs",
            'case "$1 $2" in\n'
            '"subvolume create") mkdir "$3"; : >"$host/subvolume" ;;\n'
            '"subvolume show") [[ -e $3 && -e $host/subvolume ]] ;;\n'
            '"subvolume delete") rm -r "$4"; rm "$host/subvolume" ;;\n'
            "esac",
        )
        fake.program("install", 'mkdir -p "${@: -1}"')
        fake.program(
            "mount", f'grep -q " $1 " "$host/fstab" && echo "{DISK}[/galera-data] btrfs" >"$host/at"'
        )
        fake.program("umount", '[[ ! -e $host/busy ]] || exit 32; rm "$host/at"')
        fake.program("docker", DOCKER)
        for quiet in ("sync", "systemctl"):
            fake.program(quiet)

    @property
    def places(self) -> data_path.Places:
        return data_path.Places(str(self.mount), str(self.fake.folder / "fstab"))

    def prepare(self, path: Path | None = None, uuid: str = UUID) -> Ran:
        text = data_path.prepare("galera-1", str(path or self.path), "galera-data", self.places)
        return self.fake.run(text, f"{uuid}\n")

    def remove(self) -> Ran:
        return self.fake.run(data_path.remove("galera-1", str(self.path), self.places))

    def rebooted(self) -> None:
        (self.fake.folder / "at").unlink()

    @property
    def fstab(self) -> str:
        return (self.fake.folder / "fstab").read_text()

    @property
    def line(self) -> str:
        options = "defaults,nofail,x-systemd.before=docker.service,subvol=/galera-data"
        return f"UUID={UUID} {self.path} btrfs {options} 0 0\n"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


def changes(ran: Ran) -> list[str]:
    """What a run has changed, without what repeats itself and leaves things as they are."""
    made = [call for call in ran.calls if call.startswith(CHANGES)]
    return [*made, *(call for call in ran.called("btrfs") if " create " in call or " delete " in call)]


def repeated(host: Host) -> list[str]:
    """Of the owner of the data's folder nobody asks: it is set."""
    return [f"install -d -o 999 -g 999 -m 0750 {host.root}/data"]


def test_the_data_gets_a_subvolume_its_mount_a_line_for_every_boot_and_a_volume_that_leads_there(
    host: Host,
) -> None:
    ran = host.prepare()
    assert (ran.code, ran.out) == (0, f"{host.path}/data\n"), ran.err
    assert f"btrfs subvolume create {host.root}" in ran.calls
    assert repeated(host)[0] in ran.calls
    assert host.fstab == SYSTEM + host.line
    assert ran.called("mount") == [f"mount {host.path}"]
    assert (
        "docker volume create --driver local --opt type=none --opt o=bind "
        f"--opt device={host.path}/data galera-data"
    ) in ran.calls
    # systemd must know the line before the mount, and the volume comes when its folder is there.
    order = [call.split()[0] for call in changes(ran) if not call.startswith("btrfs")]
    assert order == ["install", "systemctl", "mount", "docker"]


def test_the_folder_that_the_mount_hides_never_has_what_the_volume_leads_to(host: Host) -> None:
    """So the engine starts no container while the subvolume is not mounted: its source is missing."""
    host.prepare()
    host.rebooted()
    assert list(host.path.iterdir()) == []
    assert data_path.device("/srv/mariadb") == "/srv/mariadb/data"
    assert (host.root / "data").is_dir()


def test_a_second_run_changes_nothing_and_says_the_same(host: Host) -> None:
    first, second = host.prepare(), host.prepare()
    assert (second.code, second.out) == (0, first.out), second.err
    assert changes(second) == repeated(host)
    assert host.fstab == SYSTEM + host.line


@pytest.mark.parametrize("stop", ["install", "sync", "systemctl", "mount", "docker"])
@pytest.mark.parametrize("before", ["exit 1", "DONE; exit 1"])
def test_a_run_that_was_cut_off_goes_on_where_it_stopped(host: Host, stop: str, before: str) -> None:
    program = host.fake.bin / stop
    whole = program.read_text()
    rest = whole.split("\n", 3)[3] if before.startswith("DONE") else ""
    fails = "[[ $* == 'volume create'* ]] || exit 0" if stop == "docker" else ":"
    host.fake.program(stop, f"( {rest} : )\n{fails}\nexit 1")
    assert host.prepare().code != 0
    program.write_text(whole)
    ran = host.prepare()
    assert (ran.code, ran.out) == (0, f"{host.path}/data\n"), ran.err
    assert host.fstab == SYSTEM + host.line
    assert (host.fake.folder / "volumes").read_text() == "etcd-data\ngalera-data\n"


def test_a_host_that_has_booted_without_the_mount_gets_it_back_with_its_data(host: Host) -> None:
    host.prepare()
    (host.root / "data/ibdata1").write_text("rows")
    host.rebooted()
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert ran.called("mount")
    assert not ran.called("btrfs")[-1].startswith("btrfs subvolume create")
    assert (host.root / "data/ibdata1").read_text() == "rows"


def test_a_reloaded_system_gets_folder_line_and_mount_again_and_keeps_the_data(host: Host) -> None:
    host.prepare()
    (host.root / "data/ibdata1").write_text("rows")
    host.rebooted()
    host.path.rmdir()
    host.fake.file("fstab", SYSTEM.rstrip("\n"))
    ran = host.prepare()
    assert ran.code == 0, ran.err
    assert host.fstab == SYSTEM + host.line
    assert (host.root / "data/ibdata1").read_text() == "rows"
    assert not [call for call in changes(ran) if "create" in call]


@pytest.mark.parametrize("mounted", [True, False])
def test_data_without_its_volume_is_of_nobody_knows_whom_and_the_way_to_take_it_over_is_told(
    host: Host, mounted: bool
) -> None:
    first = host.prepare()
    (host.root / "data/ibdata1").write_text("rows")
    host.fake.file("volumes", "etcd-data\n")
    if not mounted:
        host.rebooted()
    ran = host.prepare()
    (created,) = [call for call in first.calls if call.startswith("docker volume create")]
    refused(ran, "galera-data of galera-1 holds data already (ibdata1 …)", f"to go on with it, '{created}'")
    assert (f"'umount {host.path} && btrfs subvolume delete" in ran.err) == mounted
    # As it says.
    host.fake.run(created)
    assert host.prepare().code == 0
    assert (host.root / "data/ibdata1").read_text() == "rows"


def test_a_kernels_own_name_of_the_disk_is_the_same_disk(host: Host, tmp_path: Path) -> None:
    kernels = tmp_path / "dm-0"
    kernels.touch()
    (tmp_path / "mapper").symlink_to(kernels)
    host.prepare()
    host.fake.file("disk", f"{kernels} btrfs {UUID} /\n")
    host.fake.file("at", f"{tmp_path}/mapper[/galera-data] btrfs\n")
    ran = host.prepare()
    assert (ran.code, changes(ran)) == (0, repeated(host)), ran.err


def test_options_that_somebody_has_added_to_the_line_stay(host: Host) -> None:
    host.prepare()
    host.fake.file("fstab", SYSTEM + host.line.replace("defaults,", "defaults,noatime,"))
    ran = host.prepare()
    assert (ran.code, changes(ran)) == (0, repeated(host)), ran.err
    assert "noatime" in host.fstab


def refused(ran: Ran, *words: str) -> None:
    """It failed with these words, and nothing was changed."""
    assert ran.code == 1, ran.out
    for each in (*words, "Remedy: "):
        assert each in ran.err
    assert changes(ran) == []


@pytest.mark.parametrize(
    ("device", "said"),
    [("", "at a folder of the engine, not at"), ("/srv/other/data", "at /srv/other/data,")],
)
def test_a_volume_whose_data_is_elsewhere_is_left_alone(host: Host, device: str, said: str) -> None:
    host.fake.file("volumes", "galera-data\n")
    host.fake.file("device", f"{device}\n")
    refused(host.prepare(), "the volume galera-data of galera-1 is there already", said, "docker volume rm")
    assert host.fstab == SYSTEM


def test_a_folder_with_files_is_not_covered(host: Host) -> None:
    host.fake.file("srv/mariadb/.ibdata1", "somebody's")
    refused(host.prepare(), f"{host.path} of galera-1 holds files (.ibdata1 …)", "move them away")
    assert not host.root.exists()


def test_a_file_in_the_paths_place_is_left_alone(host: Host) -> None:
    host.fake.file("srv/mariadb", "somebody's")
    refused(host.prepare(), "holds files (mariadb …)")


def test_an_empty_folder_is_taken(host: Host) -> None:
    host.path.mkdir(parents=True)
    assert host.prepare().code == 0


def test_another_mount_at_the_path_is_left_alone(host: Host) -> None:
    for source in (
        "/dev/sdz1 ext4",
        f"{DISK}[/other] btrfs",
        "/dev/sdz[/galera-data] btrfs",
        f"{DISK} btrfs",
    ):
        host.fake.file("at", f"{source}\n")
        refused(host.prepare(), f"is mounted from {source.split()[0]} (", "choose another galera.dataPath")


def test_another_line_for_the_path_is_left_alone(host: Host) -> None:
    for line in (f"/dev/sdz1 {host.path} ext4 defaults 0 0\n", host.line.replace(UUID, "another")):
        host.fake.file("fstab", SYSTEM + line)
        refused(host.prepare(), f"mounts {line.split()[0]} (", "remove that line")
        assert host.fstab == SYSTEM + line


def test_a_path_of_before_is_named_with_the_way_back(host: Host) -> None:
    host.prepare()
    host.fake.file("volumes", "")
    refused(
        host.prepare(host.fake.folder / "srv/other"),
        f"mounts the subvolume galera-data on {host.path} already",
        f"'umount {host.path}' and remove that line",
    )


def test_a_symbolic_link_in_the_path_is_named_with_where_it_leads(host: Host) -> None:
    (host.fake.folder / "big").mkdir()
    (host.fake.folder / "srv").symlink_to(host.fake.folder / "big")
    refused(host.prepare(), "by a symbolic link", f"galera.dataPath: {host.fake.folder}/big/mariadb")


def test_a_folder_in_the_subvolumes_place_is_left_alone(host: Host) -> None:
    host.root.mkdir()
    refused(host.prepare(), f"{host.root} of galera-1 is there and is no subvolume")


@pytest.mark.parametrize("disk", ["", f"{DISK} ext4 {UUID} /\n", f"{DISK}[/part] btrfs {UUID} /part\n"])
def test_a_disk_that_is_not_mounted_gets_nothing(host: Host, disk: str) -> None:
    host.fake.file("disk", disk)
    refused(host.prepare(), "the data disk of galera-1 is not mounted on")
    assert host.fstab == SYSTEM


def test_another_file_system_than_the_one_that_was_prepared_gets_nothing(host: Host) -> None:
    refused(
        host.prepare(uuid="another"), f"is the file system {UUID}, and the one that was prepared is another"
    )


def test_an_engine_that_does_not_answer_is_not_one_without_volumes(host: Host) -> None:
    host.fake.file("silent", "")
    refused(host.prepare(), "does not say which volumes it has")


def test_a_mount_that_fails_is_told_with_what_to_do(host: Host) -> None:
    host.fake.program("mount", "exit 32")
    ran = host.prepare()
    assert ran.code == 1
    assert f"could not be mounted on {host.path}" in ran.err
    assert "docker volume create" not in " ".join(ran.calls)


def test_all_of_it_is_removed_and_nothing_else(host: Host) -> None:
    host.prepare()
    (host.root / "data/ibdata1").write_text("rows")
    ran = host.remove()
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert host.fstab == SYSTEM
    assert not host.path.exists()
    assert not host.root.exists()
    assert host.path.parent.exists()
    assert "removed the subvolume galera-data and its mount" in ran.err
    again = host.remove()
    assert (again.code, changes(again)) == (0, []), again.err


@pytest.mark.parametrize("stop", ["umount", "sync", "systemctl", "btrfs"])
def test_a_removal_that_was_cut_off_is_completed(host: Host, stop: str) -> None:
    host.prepare()
    program = host.fake.bin / stop
    whole = program.read_text()
    host.fake.program(stop, "[[ $* == *show* ]] || exit 1")
    assert host.remove().code == 1
    assert host.root.exists()
    program.write_text(whole)
    ran = host.remove()
    assert ran.code == 0, ran.err
    assert (host.fstab, host.path.exists(), host.root.exists()) == (SYSTEM, False, False)


def test_data_that_somebody_uses_is_not_removed(host: Host) -> None:
    host.prepare()
    host.fake.file("busy", "")
    ran = host.remove()
    assert ran.code == 1
    assert "could not be unmounted (see above); its data was not removed. Remedy: see who" in ran.err
    assert host.root.exists()
    assert host.fstab == SYSTEM + host.line


def test_an_empty_folder_or_a_line_of_somebody_else_stays(host: Host) -> None:
    host.path.mkdir(parents=True)
    line = f"/dev/sdz1 {host.path} ext4 noauto 0 0\n"
    host.fake.file("fstab", SYSTEM + line)
    ran = host.remove()
    assert (ran.code, changes(ran)) == (0, []), ran.err
    assert host.fstab == SYSTEM + line
    assert host.path.exists()
