"""Hosts of the lab, so far as no process is needed: addresses, seeds, command lines, disks, sockets."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import stat
import struct
import threading
from pathlib import Path

import pytest

from lab import network
from lab.errors import LabError
from lab.hosts import disks, kernel, machine, mconsole, rootfs, seed
from lab.hosts.backend import HostSpec, Interface, PowerState, Traffic
from lab.hosts.kernel import Kernel
from lab.hosts.machine import Machine
from lab.hosts.uml import UmlBackend

pytestmark = pytest.mark.unit

PROGRAM = Path("/cache/linux.uml")
KERNEL = Kernel(PROGRAM, Path("/cache/modules/6.12.113"), Path("/cache/registers.so"))

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExample admin@example.com"
SPEC = HostSpec(
    id=4711,
    hostname="galera-1",
    domain="example.com",
    image="DEBIAN_LATEST",
    cores=1,
    memory=2048,
    disks=(25, 25),
    private=Interface("10.144.12.10", 24, "06:00:0a:90:0c:0a", "10.144.12.1"),
    public=Interface("203.0.113.10", 24, "06:00:cb:00:71:0a", "203.0.113.1"),
    ssh_keys=(KEY,),
)


def test_a_host_with_both_networks_leaves_by_the_public_one() -> None:
    assert seed.batch(SPEC.private, SPEC.public).splitlines() == [
        "link set vec0 name eth0",
        "addr replace 10.144.12.10/24 dev eth0",
        "link set eth0 up",
        "link set vec1 name eth1",
        "addr replace 203.0.113.10/24 dev eth1",
        "link set eth1 up",
        "route replace 10.0.0.0/8 via 10.144.12.1 dev eth0",
        "route replace default via 203.0.113.1 dev eth1",
    ]


def test_a_private_host_leaves_by_the_private_network() -> None:
    lines = seed.batch(SPEC.private, None).splitlines()
    assert lines[-1] == "route replace default via 10.144.12.1 dev eth0"
    assert not any("eth1" in line for line in lines)


def test_a_host_knows_the_labs_names_and_its_own() -> None:
    lines = seed.hosts_file(SPEC).splitlines()
    assert "10.144.12.1 registry.lab" in lines
    assert "10.144.12.1 apt.lab" in lines
    assert lines[-1] == "10.144.12.10 galera-1.example.com galera-1"


def test_ordered_keys_and_the_consoles_key_lie_apart() -> None:
    files = seed.texts(SPEC, "ssh-ed25519 AAAA console\n")
    assert files["root/.ssh/authorized_keys"] == KEY + "\n"
    assert files["etc/lab/console_keys"] == "ssh-ed25519 AAAA console\n"


def test_only_what_was_ordered_is_in_the_seed() -> None:
    bare = seed.texts(SPEC)
    assert not {"etc/lab/user-data", "etc/lab/post-install-uri", "etc/lab/console_keys"} & set(bare)
    full = seed.texts(dataclasses.replace(SPEC, user_data="a: 1", post_install_uri="http://10.144.12.1/x.sh"))
    assert full["etc/lab/user-data"] == "a: 1"
    assert full["etc/lab/post-install-uri"] == "http://10.144.12.1/x.sh\n"


@pytest.mark.parametrize("key", ["", " ", f"{KEY}\nssh-rsa AAAA another"])
def test_a_key_that_is_not_one_line_is_refused(key: str) -> None:
    with pytest.raises(LabError, match="not one line"):
        seed.texts(dataclasses.replace(SPEC, ssh_keys=(key,)))


def test_every_seed_has_host_keys_and_a_machine_id_of_its_own(tmp_path: Path) -> None:
    seed.write(tmp_path / "a", SPEC)
    seed.write(tmp_path / "b", SPEC)
    for name in ("etc/ssh/ssh_host_ed25519_key", "etc/ssh/ssh_host_rsa_key", "etc/machine-id"):
        assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "b" / name).read_bytes()
    known = seed.known_host(tmp_path / "a")
    assert known is not None
    assert known.startswith("ssh-ed25519 AAAA")
    assert known in (tmp_path / "a/etc/ssh/ssh_host_ed25519_key.pub").read_text()


def test_a_seed_written_again_has_nothing_of_the_old_one(tmp_path: Path) -> None:
    seed.write(tmp_path / "seed", dataclasses.replace(SPEC, user_data="secret"))
    seed.write(tmp_path / "seed", SPEC)
    assert not (tmp_path / "seed/etc/lab/user-data").exists()


def test_secrets_of_a_seed_are_for_root_only_and_the_rest_is_not(tmp_path: Path) -> None:
    seed.write(tmp_path / "seed", dataclasses.replace(SPEC, user_data="secret"))

    def mode(name: str) -> int:
        return stat.S_IMODE((tmp_path / "seed" / name).stat().st_mode)

    assert mode("etc/ssh/ssh_host_ed25519_key") == 0o600
    assert mode("etc/lab/user-data") == 0o600
    assert mode("root/.ssh") == 0o700
    assert mode("root/.ssh/authorized_keys") == 0o600
    assert mode("etc/hosts") == 0o644
    assert mode("etc") == 0o755
    assert mode(".") == 0o755


def test_the_command_line_names_disks_cards_and_memory() -> None:
    words = machine.command_line(Machine(Path("/labs/dev/hosts/4711")), SPEC, Path("/cache/25G.img"), PROGRAM)
    assert words[0] == "/cache/linux.uml"
    assert "mem=2048M" in words
    assert "ubdat=disk0.cow,/cache/25G.img" in words
    assert "ubdbt=disk1.img" in words
    assert "vec0:transport=tap,ifname=pr4711,depth=128,gro=1,mac=06:00:0a:90:0c:0a" in words
    assert "vec1:transport=tap,ifname=pu4711,depth=128,gro=1,mac=06:00:cb:00:71:0a" in words
    assert "hostfs=/labs/dev/hosts/4711/seed" in words


def test_a_private_host_has_one_card() -> None:
    words = machine.command_line(
        Machine(Path("/h")), dataclasses.replace(SPEC, public=None), Path("/cache/25G.img"), PROGRAM
    )
    assert not any(word.startswith("vec1") for word in words)


def test_a_system_disk_that_has_grown_stands_alone() -> None:
    assert "ubdat=disk0.cow" in machine.command_line(Machine(Path("/h")), SPEC, None, PROGRAM)


def test_taps_of_the_largest_id_fit_the_kernels_limit() -> None:
    names = {machine.tap(2**31 - 1, name) for name in network.BRIDGES}
    assert len(names) == 2
    assert all(len(name) <= 15 for name in names)


def test_a_spec_comes_back_as_it_was_saved_and_is_for_root_only(tmp_path: Path) -> None:
    for spec in (SPEC, dataclasses.replace(SPEC, public=None, user_data="x", ssh_keys=())):
        machine.save(tmp_path / "spec.json", spec)
        assert machine.load(tmp_path / "spec.json") == spec
        assert stat.S_IMODE((tmp_path / "spec.json").stat().st_mode) == 0o600


def test_memory_goes_where_there_is_room(tmp_path: Path) -> None:
    assert machine.memory_folder(1, tmp_path) == tmp_path
    assert machine.memory_folder(2**40, tmp_path) is None
    assert machine.memory_folder(1, tmp_path / "not there") is None


def test_the_machine_lets_each_page_of_a_host_be_a_mapping_and_takes_no_room_back(tmp_path: Path) -> None:
    limit = tmp_path / "max_map_count"
    limit.write_text("65530\n")
    assert machine.allow_mappings(2048, limit)
    assert int(limit.read_text()) == 2048 * 256 + 65530
    assert machine.allow_mappings(1024, limit)
    assert int(limit.read_text()) == 2048 * 256 + 65530
    assert not machine.allow_mappings(2048, tmp_path / "read-only" / "max_map_count")


def test_a_data_disk_is_sparse_grows_and_never_shrinks(tmp_path: Path) -> None:
    disk = tmp_path / "disk1.img"
    disks.ensure_data(disk, 25)
    assert disk.stat().st_size == 25 * disks.GB
    assert disk.stat().st_blocks * 512 < 2**20
    with disk.open("r+b") as file:
        file.write(b"data")
    disks.ensure_data(disk, 100)
    assert disk.stat().st_size == 100 * disks.GB
    with disk.open("rb") as file:
        assert file.read(4) == b"data"
    with pytest.raises(LabError, match="cannot shrink"):
        disks.ensure_data(disk, 25)
    assert disk.stat().st_size == 100 * disks.GB


def _cow(path: Path, base: Path, size: int, sectors: dict[int, bytes]) -> None:
    """A copy-on-write file as the kernel writes it, with these sectors changed."""
    header = disks.HEADER.pack(
        disks.MAGIC, 3, 0, size, 512, 4096, 1, str(base).encode() + b"\0\x94 leftover memory"
    )
    bitmap = bytearray((size // 512 + 7) // 8)
    for number in sectors:
        bitmap[number // 8] |= 1 << number % 8
    start = (len(header) + 4095) // 4096 * 4096
    data = (start + len(bitmap) + 4095) // 4096 * 4096
    with path.open("wb") as file:
        file.write(header)
        file.seek(start)
        file.write(bitmap)
        for number, content in sectors.items():
            file.seek(data + number * 512)
            file.write(content)


def test_a_merged_disk_has_the_changes_and_the_rest_of_the_base(tmp_path: Path) -> None:
    base = tmp_path / "base.img"
    base.write_bytes(b"b" * 64 * 512)
    _cow(tmp_path / "cow", base, 64 * 512, {0: b"0" * 512, 9: b"9" * 512, 63: b"e" * 512})
    disks.merge(tmp_path / "cow", tmp_path / "merged")
    merged = (tmp_path / "merged").read_bytes()
    assert len(merged) == 64 * 512
    expected = {0: b"0", 9: b"9", 63: b"e"}
    for number in range(64):
        assert merged[number * 512 : (number + 1) * 512] == expected.get(number, b"b") * 512


def test_a_file_that_is_no_copy_on_write_disk_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x")
    (tmp_path / "other").write_bytes(b"x" * 8192)
    for name in ("short", "other"):
        with pytest.raises(LabError, match="no copy-on-write disk"):
            disks.read_cow(tmp_path / name)


class _Kernel:
    """A management socket that gives these answers; `asked` is what came."""

    def __init__(self, path: Path, answers: list[bytes]) -> None:
        self.asked: list[str] = []
        self._answers = answers
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind(str(path))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with self._line:
            data, sender = self._line.recvfrom(mconsole.REQUEST.size)
            magic, version, length, text = mconsole.REQUEST.unpack(data)
            assert (magic, version) == (0xCAFEBABE, 2)
            self.asked.append(text[:length].decode())
            for answer in self._answers:
                self._line.sendto(answer, sender)


def _answer(text: bytes, *, failed: bool = False, more: bool = False) -> bytes:
    return struct.pack("=III512s", failed, more, len(text), text)


def test_an_answer_in_several_parts_is_put_together(tmp_path: Path) -> None:
    kernel = _Kernel(tmp_path / "mconsole", [_answer(b"one ", more=True), _answer(b"two")])
    assert mconsole.ask(tmp_path / "mconsole", "version") == "one two"
    assert kernel.asked == ["version"]


def test_a_refusal_carries_the_kernels_words(tmp_path: Path) -> None:
    _Kernel(tmp_path / "mconsole", [_answer(b"Unknown command", failed=True)])
    with pytest.raises(mconsole.MconsoleError, match="Unknown command"):
        mconsole.ask(tmp_path / "mconsole", "nonsense")


@pytest.mark.parametrize("folder", [".", "not there"])
def test_a_kernel_that_is_gone_is_an_error_and_not_a_wait(tmp_path: Path, folder: str) -> None:
    with pytest.raises(mconsole.MconsoleError):
        mconsole.ask(tmp_path / folder / "mconsole", "version")


def test_a_socket_with_a_long_path_is_reached(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    present = os.open(folder, os.O_PATH)
    try:
        _Kernel(Path(f"/proc/self/fd/{present}/mconsole"), [_answer(b"ok")])
        assert mconsole.ask(folder / "mconsole", "version") == "ok"
    finally:
        os.close(present)


@pytest.fixture
def backend(tmp_path: Path) -> UmlBackend:
    """A backend whose root file system is an empty image: hosts can be made, not booted."""
    lab = tmp_path / "labs" / "unit-hosts"
    (lab / "hosts").mkdir(parents=True)
    image = tmp_path / "rootfs" / "25G.img"
    image.parent.mkdir()
    image.touch()
    KERNEL.save(image.with_name("kernel.json"))
    (lab / "lab.json").write_text(json.dumps({"rootfs": str(image.parent)}))
    return UmlBackend(lab)


def test_a_host_is_absent_then_halted_then_absent(backend: UmlBackend) -> None:
    assert backend.state(SPEC.id) is PowerState.ABSENT
    backend.create(SPEC)
    assert backend.state(SPEC.id) is PowerState.HALTED
    assert backend.hosts() == [SPEC]
    backend.destroy(SPEC.id)
    assert backend.state(SPEC.id) is PowerState.ABSENT
    assert not (backend.lab.hosts / str(SPEC.id)).exists()
    backend.destroy(SPEC.id)


def test_a_host_keeps_the_kernel_that_its_system_disk_was_made_for(backend: UmlBackend) -> None:
    backend.create(SPEC)
    host = Machine(backend.lab.hosts / str(SPEC.id))
    newer = dataclasses.replace(KERNEL, modules=Path("/cache/modules/6.18.1"))
    newer.save(backend.lab.root.parents[1] / "rootfs/kernel.json")
    assert kernel.load(host.kernel_file) == KERNEL
    backend.reload(SPEC)
    assert kernel.load(host.kernel_file) == newer


def test_making_a_host_again_changes_nothing(backend: UmlBackend) -> None:
    backend.create(SPEC)
    folder = backend.lab.hosts / str(SPEC.id)
    before = (folder / "seed/etc/machine-id").read_text()
    backend.create(SPEC)
    assert (folder / "seed/etc/machine-id").read_text() == before


def test_a_reload_renews_the_seed_and_keeps_the_data_disk(backend: UmlBackend) -> None:
    backend.create(SPEC)
    host = Machine(backend.lab.hosts / str(SPEC.id))
    host.system.write_text("what the host had changed")
    with host.data(1).open("r+b") as file:
        file.write(b"data")
    key = seed.known_host(host.seed)
    backend.reload(SPEC)
    assert not host.system.exists()
    assert seed.known_host(host.seed) != key
    with host.data(1).open("rb") as file:
        assert file.read(4) == b"data"


def test_a_resize_grows_and_adds_disks_and_refuses_to_take_any(backend: UmlBackend) -> None:
    backend.create(SPEC)
    larger = dataclasses.replace(SPEC, memory=4096, disks=(25, 100, 10))
    backend.resize(larger)
    assert backend.hosts() == [larger]
    host = Machine(backend.lab.hosts / str(SPEC.id))
    assert host.data(1).stat().st_size == 100 * disks.GB
    assert host.data(2).stat().st_size == 10 * disks.GB
    with pytest.raises(LabError, match="cannot shrink or go"):
        backend.resize(SPEC)
    assert backend.hosts() == [larger]


def test_what_is_not_there_cannot_be_started_reloaded_or_resized(backend: UmlBackend) -> None:
    with pytest.raises(LabError, match="There is no host"):
        backend.start(1)
    with pytest.raises(LabError, match="There is no host"):
        backend.reload(SPEC)
    with pytest.raises(LabError, match="There is no host"):
        backend.resize(SPEC)
    backend.stop(1)
    assert not backend.answers(1)


@pytest.mark.parametrize("count", [0, 9])
def test_a_number_of_disks_that_no_host_has_is_refused(backend: UmlBackend, count: int) -> None:
    with pytest.raises(LabError, match="order 1 to 8"):
        backend.create(dataclasses.replace(SPEC, disks=(25,) * count))
    assert backend.state(SPEC.id) is PowerState.ABSENT


def test_the_root_file_systems_key_follows_its_authority(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    assert rootfs.key(tmp_path / "a", KERNEL) == rootfs.key(tmp_path / "a", KERNEL)
    assert rootfs.key(tmp_path / "a", KERNEL) != rootfs.key(tmp_path / "b", KERNEL)


def test_the_root_file_systems_key_follows_its_kernel(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    older = dataclasses.replace(KERNEL, modules=Path("/usr/lib/uml/modules/6.1.176"))
    assert rootfs.key(tmp_path / "a", KERNEL) != rootfs.key(tmp_path / "a", older)


def test_the_root_file_systems_key_follows_its_system(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    keys = {rootfs.key(tmp_path / "a", KERNEL, system) for system in rootfs.SYSTEMS}
    assert len(keys) == len(rootfs.SYSTEMS)


@pytest.mark.parametrize(
    ("file", "also", "systems"),
    [
        ("os: DEBIAN_LATEST", "", ("debian-12",)),
        ("os: DEBIAN_12_64", "", ("debian-12",)),
        ("os: DEBIAN_13_64", "", ("debian-12", "debian-13")),
        ("os: DEBIAN_13", "", ("debian-12", "debian-13")),
        ("os: DEBIAN_130", "", ("debian-12",)),
        ('os: "DEBIAN_13_64"', "", ("debian-12", "debian-13")),
        ("os:  'DEBIAN_13_64'", "", ("debian-12", "debian-13")),
        ("- {name: new, count: 1, os: DEBIAN_13_64}", "", ("debian-12", "debian-13")),
        ('- {"name": "new", "os": "DEBIAN_13_64"}', "", ("debian-12", "debian-13")),
        ("# os: DEBIAN_13_64", "", ("debian-12",)),
        ("cos: DEBIAN_13_64", "", ("debian-12",)),
        ("os: DEBIAN_LATEST", "debian-13", ("debian-12", "debian-13")),
    ],
)
def test_a_lab_installs_what_a_stacks_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, also: str, systems: tuple[str, ...]
) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(f"config:\n  {file}\n")
    monkeypatch.setenv(rootfs.ALSO, also)
    assert rootfs.wanted(tmp_path) == systems


def test_a_system_that_there_is_not_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(rootfs.ALSO, "debian-11")
    with pytest.raises(LabError, match="not debian-11"):
        rootfs.wanted(tmp_path)


def test_a_host_gets_the_system_that_was_ordered(backend: UmlBackend) -> None:
    record = json.loads(backend.lab.record.read_text())
    other = Path(record["rootfs"]).with_name("other")
    other.mkdir()
    (other / "25G.img").touch()
    KERNEL.save(other / "kernel.json")
    newer = dataclasses.replace(SPEC, image="debian-13")
    assert backend.images == {"debian-12"}, "a lab of before there was a choice"
    with pytest.raises(LabError, match="does not install debian-13"):
        backend.create(newer)
    systems = {"debian-12": record["rootfs"], "debian-13": str(other)}
    backend.lab.record.write_text(json.dumps({"systems": systems}))
    assert backend.images == {"debian-12", "debian-13"}
    backend.create(newer)
    base = Machine(backend.lab.hosts / str(SPEC.id)).base_file
    assert base.read_text().strip() == str(other / "25G.img")
    backend.reload(SPEC)
    assert base.read_text().strip() == f"{record['rootfs']}/25G.img"


def test_the_engine_is_offered_and_not_installed() -> None:
    assert "docker.io" in rootfs.listed("engine.txt")
    assert "docker.io" not in rootfs.listed("packages.txt")


def test_no_unit_that_a_host_needs_is_masked() -> None:
    needed = {
        "ssh.service",
        "systemd-udevd.service",
        "systemd-udev-trigger.service",
        "systemd-sysctl.service",
    }
    assert not needed & set(rootfs.listed("masked.txt"))


def test_counters_that_began_anew_are_counted_on() -> None:
    assert Traffic(10, 20).since(Traffic(4, 30)) == Traffic(6, 20)
