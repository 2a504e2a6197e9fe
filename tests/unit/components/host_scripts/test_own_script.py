"""What is done on hosts of one's own only: the look, what is noted, an engine that is there, the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.host_scripts import engine, host, own
from components.own_hosts.facts import parse
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

OWNER = "swarm-galera/prod/0123456789ab"
CONFIG = engine.daemon_json({"datacenter": "own"}, on_btrfs=False)
FINDMNT = r"""
case "$*" in *--target*) echo ext4 ;; *) cat "$host/mounted" 2>/dev/null ;; esac
"""
SYSTEMCTL = r"""
case "$*" in
  *is-active*) [[ -e $host/active ]] ;;
  "start docker.service") : >"$host/active" ;;
esac
"""
DOCKER = r"""
case "$*" in
  *LiveRestore*) echo "24.0.7|$(cat "$host/driver")|false|$(cat "$host/swarm")|db1|[]" ;;
  *Swarm.Cluster*) cat "$host/cluster" 2>/dev/null ;;
  *RemoteManagers*) echo "10.9.9.9:2377 " ;;
  *DockerRootDir*) echo "$(cat "$host/driver")|24.0.7|/var/lib/docker" ;;
  *LocalNodeState*) cat "$host/swarm" ;;
  "ps "*) cat "$host/running" 2>/dev/null || : ;;
  "stop "*) : >"$host/running" ;;
  "swarm leave"*) echo inactive >"$host/swarm" ;;
  "volume ls"*) printf "galera-data\nother\n"; cat "$host/further" 2>/dev/null ;;
  "volume inspect"*) cat "$host/by-hand" 2>/dev/null ;;
esac
"""


class Host(FakeHost):
    """A host with systemd, and by default with an engine that runs and stores with overlay2."""

    def __init__(self, folder: Path, *, with_engine: bool = True) -> None:
        super().__init__(folder)
        self.program("ip", 'case "$*" in *address*) echo "2: eth0 inet 10.0.0.1/24 brd" ;; esac')
        self.program("uname", "echo x86_64")
        self.program("findmnt", FINDMNT)
        self.program("systemctl", SYSTEMCTL)
        self.program("getent", "exit 2")
        self.program("id", 'cat "$host/groups"')
        for quiet in ("sleep", "sync", "gpasswd", "usermod", "groupadd"):
            self.program(quiet)
        self.file("groups", "deploy sudo")
        self.file("os-release", 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
        self.file("hostname", "db1\n")
        (folder / "systemd").mkdir()
        if with_engine:
            self.install()
        self.places = own.Places(
            notes=str(folder / "notes"),
            mount=str(folder / "var/lib/docker"),
            os_release=str(folder / "os-release"),
            sshd_dropin=str(folder / "sshd/10-swarm-galera.conf"),
            state=str(folder / "state"),
            kernel_hostname=str(folder / "hostname"),
            systemd=str(folder / "systemd"),
            machine_id=str(folder / "machine-id"),
            mapper=str(folder / "mapper"),
            of_system=host.Places(*(str(folder / name) for name in ("resolv.conf", "r", "a", "motd"))),
        )
        self.engine = engine.Places(
            daemon_json=str(folder / "docker/daemon.json"),
            wants=str(folder / "wants/docker.service"),
            state=str(folder / "state"),
        )

    def install(self, driver: str = "overlay2") -> None:
        """An engine."""
        self.program("dockerd")
        self.program("docker", DOCKER)
        self.file("driver", driver)
        self.file("swarm", "inactive")
        self.file("active", "")

    def look(self, disk: str | None = None) -> Ran:
        volumes = ["galera-data", "etcd-data", "application-uploads"]
        return self.run(
            own.look("db1", "10.20.0.0/24", disk, volumes, ("application-uploads",), self.places, self.engine)
        )

    def taken_in(self, user: str = "root") -> Ran:
        return self.run(own.taken_in(OWNER, user, self.places, self.engine))

    def configure(self, config: str = CONFIG) -> Ran:
        return self.run(own.configure("db1", config, self.places, self.engine))

    def gone(self) -> Ran:
        text = own.gone("db1", self.places)
        return self.run(text.replace(f"ends_within={own.ENDS_WITHIN}", "ends_within=0"))

    def note(self, name: str) -> str:
        return (self.folder / "notes" / name).read_text()


def test_the_look_says_what_a_host_is_and_changes_nothing(tmp_path: Path) -> None:
    there = Host(tmp_path / "host")
    there.file("calls", "")
    before = sorted(tmp_path.rglob("*"))
    ran = there.look()
    assert ran.code == 0, ran.err
    seen = parse(ran.out, "ssh-rsa B")
    assert (seen.hostname, seen.machine, seen.systems) == ("db1", "x86_64", ("debian",))
    assert seen.system_name == "Debian GNU/Linux 12 (bookworm)"
    assert seen.addresses == ("10.0.0.1",)
    assert (seen.engine, seen.unit, seen.kept, seen.version) == (True, True, True, "24.0.7")
    assert (seen.driver, seen.swarm, seen.engine_name) == ("overlay2", "inactive", "db1")
    assert seen.volumes == ("galera-data",)
    assert (seen.filesystem, seen.mounted, seen.mark, seen.overlap) == ("ext4", "", "", "")
    assert seen.systemd
    assert not seen.live_restore
    assert not seen.rootless
    assert sorted(tmp_path.rglob("*")) == before
    assert {call.split()[1] for call in ran.called("docker")} == {"info", "volume"}


def test_containers_of_one_machine_are_told_apart_and_two_addresses_of_one_host_are_not(
    tmp_path: Path,
) -> None:
    """They have one kernel, and with it one boot id."""
    boots = []
    for name, machine in (("first", "0a1b"), ("second", "2c3d"), ("first again", "0a1b"), ("without", "")):
        there = Host(tmp_path / name)
        if machine:
            there.file("machine-id", f"{machine}\n")
        boots.append(parse(there.look().out, "k").boot)
    assert boots[0] == boots[2]
    assert len(set(boots)) == 3
    assert all(boot.startswith(boots[3]) and boots[3] for boot in boots)


def test_uploads_of_a_former_stack_are_told_of_and_a_volume_that_leads_elsewhere_is_not(
    tmp_path: Path,
) -> None:
    there = Host(tmp_path / "host")
    there.file("further", "application-uploads\n")
    assert parse(there.look().out, "k").volumes == ("galera-data", "application-uploads")
    there.file("by-hand", "yes\n")
    assert parse(there.look().out, "k").volumes == ("galera-data",)
    # Of an engine that was removed.
    gone = Host(tmp_path / "gone", with_engine=False)
    gone.file("var/lib/docker/volumes/application-uploads/_data/x", "")
    assert parse(gone.look().out, "k").volumes == ("application-uploads",)
    gone.file("var/lib/docker/volumes/application-uploads/opts.json", "{}")
    assert parse(gone.look().out, "k").volumes == ()
    # The cluster's data is nothing that anybody makes beforehand.
    gone.file("var/lib/docker/volumes/etcd-data/opts.json", "{}")
    assert parse(gone.look().out, "k").volumes == ("etcd-data",)


def test_the_look_tells_of_a_swarm_of_an_overlap_and_of_what_is_on_a_disk(tmp_path: Path) -> None:
    there = Host(tmp_path / "host")
    there.file("swarm", "active")
    there.file("cluster", "c1|20s\n")
    there.program("ip", 'case "$*" in *route*) echo "10.20.0.0/16 dev eth1 scope link" ;; esac')
    there.program("lsblk", 'case "$*" in *TYPE*) echo "disk ext4 /srv" ;; *) printf "vdb\\nvdb1\\n" ;; esac')
    there.program("pvs", "echo ' other_vg'")
    # A block device is nothing that a test can make.
    text = own.look("db1", "10.20.0.0/24", "/dev/null", ["x"], (), there.places)
    seen = parse(there.run(text.replace("[[ -b $disk ]]", "true")).out, "k")
    assert (seen.swarm, seen.managers) == ("active", "10.9.9.9:2377")
    assert (seen.cluster, seen.begun) == ("c1", True)
    there.file("cluster", "c1|5s\n")
    assert not parse(there.look().out, "k").begun
    assert seen.overlap.startswith("network.subnet 10.20.0.0/24 overlaps 10.20.0.0/16")
    assert (seen.disk, seen.disk_parts, seen.disk_group) == ("disk ext4 /srv", ("vdb1",), "other_vg")


@pytest.mark.parametrize(
    ("signs", "content", "told"),
    [("gpt\nPMBR", "x", ("gpt", "PMBR")), ("", "x", ("data without a signature",)), ("", "", ())],
)
def test_the_look_tells_what_else_is_on_a_disk(
    tmp_path: Path, signs: str, content: str, told: tuple[str, ...]
) -> None:
    there = Host(tmp_path / "host")
    there.program("lsblk", 'case "$*" in *TYPE*) echo disk ;; *) echo vdb ;; esac')
    there.program("wipefs", f"printf '%s' '{signs}'")
    disk = there.file("disk", "\0" * 5000 + content)
    text = own.look("db1", "10.20.0.0/24", str(disk), [], (), there.places)
    seen = parse(there.run(text.replace("[[ -b $disk ]]", "true")).out, "k")
    assert (seen.disk, seen.disk_parts) == ("disk", told)
    assert disk.read_text() == "\0" * 5000 + content
    assert {call.split()[1] for call in there.run(text).called("wipefs")} <= {"--noheadings"}


def test_the_look_tells_of_an_encrypted_disk_that_is_open(tmp_path: Path) -> None:
    there = Host(tmp_path / "host")
    assert not parse(there.look().out, "k").encrypted
    there.file("mapper/docker_crypt", "")
    assert parse(there.look().out, "k").encrypted


def test_the_look_tells_of_data_that_an_engine_has_left_behind(tmp_path: Path) -> None:
    there = Host(tmp_path / "host", with_engine=False)
    there.program("docker", "exit 1")
    assert parse(there.look().out, "k").holds == ""
    there.file("var/lib/docker/volumes/etcd-data/_data/x", "")
    seen = parse(there.look().out, "k")
    assert (seen.holds, seen.volumes) == ("volumes", ("etcd-data",))


def test_an_engine_that_does_not_run_is_not_started_by_the_look(tmp_path: Path) -> None:
    """Whoever asks it through its socket (docker.socket) starts it, and its containers with it."""
    there = Host(tmp_path / "host")
    (there.folder / "active").unlink()
    there.file("var/lib/docker/volumes/etcd-data/_data/x", "")
    ran = there.look()
    assert ran.called("docker") == []
    seen = parse(ran.out, "k")
    assert (seen.engine, seen.unit, seen.version, seen.volumes) == (True, True, "", ("etcd-data",))


@pytest.mark.parametrize("alone", ["docker", "dockerd"])
def test_a_client_without_an_engine_and_podman_s_are_told_as_a_docker_that_is_there(
    tmp_path: Path, alone: str
) -> None:
    there = Host(tmp_path / "host", with_engine=False)
    there.program(alone, "exit 1")
    there.program("systemctl", "exit 1")
    seen = parse(there.look().out, "k")
    assert (seen.engine, seen.unit, seen.version) == (True, False, "")


def test_a_device_that_is_not_there_and_a_host_without_an_engine_are_told(tmp_path: Path) -> None:
    seen = parse(Host(tmp_path / "host", with_engine=False).look("/dev/no-such").out, "k")
    assert seen.disk == "none"
    assert (seen.version, seen.swarm, seen.driver) == ("", "", "")


def test_a_host_that_another_stack_has_taken_in_meanwhile_stays_that_one_s(tmp_path: Path) -> None:
    there = Host(tmp_path / "host")
    other = there.file("notes/stack", "swarm-galera/other/ba9876543210\n")
    ran = there.taken_in("deploy")
    assert ran.code == 1
    assert "another stack of this program has taken it in since" in ran.err
    assert "ba9876543210" in other.read_text()
    assert not ran.called("usermod")
    assert not (there.folder / "notes/engine").exists()


def test_what_was_there_before_is_noted_once(tmp_path: Path) -> None:
    there = Host(tmp_path / "host")
    there.file("notes/engine", "brought\n")
    assert there.taken_in().code == 0
    assert there.note("stack") == f"{OWNER}\n"
    assert there.note("engine") == "brought\n"
    # While the stack has it, whatever becomes of its configuration.
    there.file("notes/daemon.json", "{}")
    assert there.taken_in().code == 0
    assert there.note("engine") == "brought\n"
    assert not parse(there.look().out, "k").kept


@pytest.mark.parametrize(
    ("noted", "left", "now", "whose"),
    [
        (None, None, None, "kept"),
        ("kept", None, None, "kept"),
        ("brought", "{}", "{}", "brought"),
        ("brought", None, None, "brought"),
        # Since the former stack somebody has made it an engine of his own.
        ("brought", "{}", '{"data-root": "/srv"}', "kept"),
        ("brought", "{}", None, "kept"),
    ],
)
def test_whose_an_engine_is_that_a_former_stack_has_left_is_told_by_its_configuration(
    tmp_path: Path, noted: str | None, left: str | None, now: str | None, whose: str
) -> None:
    there = Host(tmp_path / "host")
    for name, text in (("notes/engine", noted), ("notes/daemon.json", left), ("docker/daemon.json", now)):
        if text is not None:
            there.file(name, f"{text}\n")
    assert parse(there.look().out, "k").kept == (whose == "kept")
    assert there.taken_in().code == 0
    assert there.note("engine") == f"{whose}\n"
    assert parse(there.look().out, "k").kept == (whose == "kept")


@pytest.mark.parametrize("noted", ["kept", "brought"])
def test_an_engine_that_was_removed_since_is_brought_anew(tmp_path: Path, noted: str) -> None:
    there = Host(tmp_path / "host", with_engine=False)
    there.file("notes/engine", f"{noted}\n")
    for gone in ("docker", "dockerd"):
        there.program(gone)
        (there.bin / gone).unlink()
    text = own.taken_in(OWNER, "root", there.places, there.engine)
    assert there.run(f"type() {{ [[ $2 != docker* ]]; }}\n{text}").code == 0
    assert there.note("engine") == "brought\n"


def test_a_user_who_is_not_root_gets_into_the_group_docker_unless_there_already(tmp_path: Path) -> None:
    there = Host(tmp_path / "host")
    ran = there.taken_in("deploy")
    assert ran.code == 0, ran.err
    assert ran.called("groupadd") == ["groupadd --system docker"]
    assert ran.called("usermod") == ["usermod --append --groups docker deploy"]
    assert there.note("in-docker") == "deploy\n"
    there.file("groups", "deploy docker sudo")
    assert not there.taken_in("deploy").called("usermod")
    assert not there.taken_in("root").called("usermod")


def test_an_engine_that_was_there_is_used_as_it_is(tmp_path: Path) -> None:
    there = Host(tmp_path / "host")
    theirs = there.file("docker/daemon.json", '{"log-driver": "journald"}\n')
    assert there.taken_in().code == 0
    ran = there.configure()
    assert ran.code == 0, ran.err
    assert ran.out == "24.0.7\n"
    assert "stores with overlay2 on ext4" in ran.err
    assert "it was there before and keeps its own configuration" in ran.err
    assert theirs.read_text() == '{"log-driver": "journald"}\n'
    assert [call for call in ran.called("systemctl") if "is-active" not in call] == []


def test_an_engine_that_was_there_and_does_not_run_is_not_started(tmp_path: Path) -> None:
    there = Host(tmp_path / "host")
    assert there.taken_in().code == 0
    (there.folder / "active").unlink()
    ran = there.configure()
    assert ran.code == 1
    assert "It is not started, because it is not this program's" in ran.err


def test_an_engine_of_ours_without_a_disk_is_configured_and_chooses_how_it_stores(tmp_path: Path) -> None:
    there = Host(tmp_path / "host")
    (there.folder / "active").unlink()
    there.file("notes/engine", "brought\n")
    ran = there.configure()
    assert ran.code == 0, ran.err
    assert "storage-driver" not in CONFIG
    assert Path(there.engine.daemon_json).read_text() == f"{CONFIG}\n"
    assert there.note("daemon.json") == f"{CONFIG}\n"
    assert "systemctl start docker.service" in ran.calls
    # Containers run now: a changed configuration waits for the host's turn.
    there.file("running", "c1\n")
    ran = there.configure(engine.daemon_json({"datacenter": "own"}, ["10.0.0.53"], on_btrfs=False))
    assert ran.code == 0, ran.err
    assert (there.folder / "state/engine.restart").exists()
    assert "systemctl restart docker.service" not in ran.calls


@pytest.mark.parametrize("driver", ["vfs", "devicemapper", "aufs"])
def test_a_storage_driver_for_trials_is_refused(tmp_path: Path, driver: str) -> None:
    there = Host(tmp_path / "host")
    there.install(driver)
    ran = there.configure()
    assert ran.code == 1
    assert f"stores with '{driver}'" in ran.err
    assert "Remedy: " in ran.err


def test_a_host_that_goes_leaves_the_swarm_and_keeps_engine_and_data(tmp_path: Path) -> None:
    there = Host(tmp_path / "host")
    assert there.taken_in("deploy").code == 0
    there.file("swarm", "active")
    there.file("running", "c1\nc2\n")
    there.file("sshd/10-swarm-galera.conf", "MaxSessions 100\n")
    there.file("motd", "ours\n")
    theirs = there.file("docker/daemon.json", "{}\n")
    ran = there.gone()
    assert ran.code == 0, ran.err
    stop, leave = f"docker stop -t {own.GRACE} c1 c2", "docker swarm leave --force"
    assert ran.calls.index(stop) < ran.calls.index(leave)
    assert not [call for call in ran.calls if "volume rm" in call]
    assert ran.called("gpasswd") == ["gpasswd --delete deploy docker"]
    assert not (there.folder / "sshd/10-swarm-galera.conf").exists()
    assert not (there.folder / "motd").exists()
    assert theirs.exists()
    assert (there.folder / "notes/engine").exists()
    assert not (there.folder / "notes/stack").exists()
    # Once more, as after a run that was killed behind it.
    again = there.gone()
    assert again.code == 0, again.err
    assert leave not in again.calls


def test_a_host_without_an_engine_goes_too(tmp_path: Path) -> None:
    there = Host(tmp_path / "host", with_engine=False)
    there.program("docker", "exit 1")
    ran = there.gone()
    assert ran.code == 0, ran.err
    assert "the engine of db1 does not answer" in ran.err
