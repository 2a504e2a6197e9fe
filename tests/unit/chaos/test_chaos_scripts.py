"""What runs on hosts: it is shell, does what it says by their programs, and fails if there is nothing."""

from __future__ import annotations

import inspect
import os
import subprocess
from pathlib import Path

import pytest

from chaos import scripts

pytestmark = pytest.mark.unit

TEXTS = {
    "signalled": scripts.signalled("mariadbd", "KILL"),
    "let_go": scripts.let_go("etcd"),
    "node_stopped": scripts.node_stopped(100),
    "container_removed": scripts.container_removed("galera"),
    "engine_killed": scripts.engine_killed(),
    "engine_back": scripts.engine_back(),
    "stop_and_go": scripts.stop_and_go("etcd", 0.8, 0.4),
    "rhythm_ended": scripts.rhythm_ended("etcd"),
    "disk_filled": scripts.disk_filled(),
    "disk_emptied": scripts.disk_emptied(),
    "disk_frozen": scripts.disk_frozen(),
    "disk_thawed": scripts.disk_thawed(),
    "disk_suspended": scripts.disk_suspended(),
    "disk_resumed": scripts.disk_resumed(),
    "disk_slow": scripts.disk_slow(40),
    "disk_fails": scripts.disk_fails(),
    "disk_as_before": scripts.disk_as_before(),
    "network_slow": scripts.network_slow(60, 20),
    "network_as_before": scripts.network_as_before(),
    "clock_moved": scripts.clock_moved(-1800),
    "clock_set": scripts.clock_set(1796000000),
    "boots_not_before": scripts.boots_not_before(1796003600),
    "manager_port_closed": scripts.manager_port_closed(),
    "manager_port_open": scripts.manager_port_open(),
    "data_wiped": scripts.data_wiped(),
    "store_wiped": scripts.store_wiped(),
    "killed_in_a_transfer": scripts.killed_in_a_transfer("mariadbd", 150),
    "disarmed": scripts.disarmed(),
}


def test_every_text_is_looked_at_here() -> None:
    functions = dict(inspect.getmembers(scripts, inspect.isfunction))
    assert {name for name in functions if not name.startswith("_")} == TEXTS.keys()


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_every_text_is_shell(text: str) -> None:
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class Host:
    """A folder of programs that note how they were called."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.calls = folder / "bin", folder / "calls"
        self.bin.mkdir(parents=True)
        self.calls.touch()

    def has(self, name: str, does: str = "") -> None:
        program = self.bin / name
        program.write_text(f'#!/bin/bash\necho "{name} $*" >>{self.calls}\n{does}\n')
        program.chmod(0o755)

    def run(self, text: str) -> int:
        environment = {"PATH": f"{self.bin}:{os.environ['PATH']}"}
        return subprocess.run(["bash", "-c", text], env=environment, check=False).returncode

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """With a mapped device below the engine, and its table in the folder."""
    made = Host(tmp_path)
    (tmp_path / "docker_vg-docker_lv1").touch()
    monkeypatch.setattr(scripts, "_TABLE", f"{tmp_path}/table")
    monkeypatch.setattr(scripts, "_MAPPER", str(tmp_path))
    monkeypatch.setattr(scripts, "_BLOCK", str(tmp_path / "block"))
    made.has("findmnt", "echo /dev/mapper/docker_vg-docker_lv1")
    made.has("modprobe")
    table = "printf '%s\\n' '0 100 linear 98:17 2048' '100 50 linear 98:17 9000'"
    made.has(
        "dmsetup",
        f'if test "$1" = table; then {table}; fi; if test "$1" = reload; then cp "$3" {tmp_path}/now; fi',
    )
    return made


def test_a_slow_disk_is_the_same_disk_with_a_delay_on_each_part_of_it(host: Host, tmp_path: Path) -> None:
    assert host.run(scripts.disk_slow(40)) == 0
    assert (tmp_path / "now").read_text() == "0 100 delay 98:17 2048 40\n100 50 delay 98:17 9000 40\n"
    assert host.run(scripts.disk_slow(40)) == 0, "a second time"
    assert (tmp_path / "now").read_text() == "0 100 delay 98:17 2048 40\n100 50 delay 98:17 9000 40\n"
    assert host.run(scripts.disk_as_before()) == 0
    assert (tmp_path / "now").read_text() == "0 100 linear 98:17 2048\n100 50 linear 98:17 9000\n"
    assert "dmsetup suspend --nolockfs --noflush docker_vg-docker_lv1" in host.called()
    assert host.called()[-1] == "dmsetup resume docker_vg-docker_lv1"


def test_a_disk_that_was_mounted_at_a_boot_is_found_by_the_name_that_the_mapper_has_for_it(
    host: Host, tmp_path: Path
) -> None:
    name = tmp_path / "block/dm-0/dm/name"
    name.parent.mkdir(parents=True)
    name.write_text("docker_vg-docker_lv1\n")
    host.has("findmnt", "echo /dev/dm-0")
    assert host.run(scripts.disk_suspended()) == 0
    assert host.called()[-1] == "dmsetup suspend --nolockfs --noflush docker_vg-docker_lv1"


def test_a_disk_that_fails_is_an_error_in_each_part_of_it(host: Host, tmp_path: Path) -> None:
    assert host.run(scripts.disk_fails()) == 0
    assert (tmp_path / "now").read_text() == "0 100 error\n100 50 error\n"


def test_a_host_that_has_booted_has_its_table_already(host: Host) -> None:
    assert host.run(scripts.disk_as_before()) == 0
    assert host.called() == []


@pytest.mark.parametrize("text", [scripts.disk_suspended(), scripts.disk_slow(40), scripts.disk_fails()])
def test_a_disk_that_is_not_mapped_is_not_taken_for_one_that_was_hit(tmp_path: Path, text: str) -> None:
    bare = Host(tmp_path)
    for program in ("findmnt", "modprobe", "dmsetup"):
        bare.has(program)
    assert bare.run(text) == 1
    assert not any(call.startswith("dmsetup") for call in bare.called())


@pytest.mark.parametrize(
    "text",
    [
        scripts.signalled("mariadbd", "KILL"),
        scripts.stop_and_go("etcd", 1, 1),
        scripts.container_removed("galera"),
    ],
)
def test_nothing_to_kill_is_a_failure(tmp_path: Path, text: str) -> None:
    bare = Host(tmp_path)
    for program in ("pkill", "pgrep"):
        bare.has(program, "exit 1")
    bare.has("docker")
    assert bare.run(text) == 1
    assert not any("rm -f" in call for call in bare.called())


def test_a_node_that_is_told_to_stop_has_the_time_for_it(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.has("docker", 'if test "$1" = ps; then echo 4711; fi')
    assert host.run(scripts.node_stopped(100)) == 0
    assert host.called()[-1] == "docker stop --time 100 4711"


def test_a_container_is_removed_by_its_id(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.has("docker", 'if test "$1" = ps; then echo 4711; fi')
    assert host.run(scripts.container_removed("galera")) == 0
    assert host.called() == ["docker ps -q --filter name=galera", "docker rm -f 4711"]


def test_the_managers_port_is_closed_once_and_opened_however_often_it_was_closed(tmp_path: Path) -> None:
    host, rules = Host(tmp_path), tmp_path / "rules"
    rules.touch()
    host.has(
        "iptables",
        f"case $1 in -C) test -s {rules};; -I) echo rule >>{rules};; -D) sed -i 1d {rules};; esac",
    )
    for _ in range(2):
        assert host.run(scripts.manager_port_closed()) == 0
    assert rules.read_text() == "rule\n"
    rules.write_text("rule\nrule\n")
    assert host.run(scripts.manager_port_open()) == 0
    assert rules.read_text() == ""


def test_a_slow_network_is_taken_back_where_there_is_one(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.has("tc", "if test $2 = show; then echo qdisc fq_codel; fi")
    assert host.run(scripts.network_as_before()) == 0
    assert host.called() == ["tc qdisc show dev eth0"]
    host.has("tc", "if test $2 = show; then echo qdisc netem; fi")
    assert host.run(scripts.network_as_before()) == 0
    assert host.called()[-1] == "tc qdisc del dev eth0 root"


def test_a_volume_is_emptied_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / "_data"
    (folder / "mysql").mkdir(parents=True)
    (folder / ".hidden").touch()
    assert Host(tmp_path / "host").run(scripts.data_wiped(str(folder))) == 0
    assert folder.is_dir()
    assert not any(folder.iterdir())
    assert Host(tmp_path / "other").run(scripts.data_wiped(str(tmp_path / "none"))) == 1


@pytest.mark.parametrize(("copies", "code"), [(True, 0), (False, 3)])
def test_a_node_is_killed_in_a_copy_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: bool, code: int
) -> None:
    monkeypatch.setattr(scripts, "_ARMED", f"{tmp_path}/armed")
    host = Host(tmp_path)
    host.has("pgrep", f"exit {0 if copies else 1}")
    host.has("pkill")
    host.has("sleep")
    assert host.run(scripts.killed_in_a_transfer("mariadbd", 0.5)) == code
    assert ("pkill -KILL -x mariadbd" in host.called()) is copies


@pytest.mark.parametrize("copies", [True, False])
def test_a_host_that_was_disarmed_kills_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: bool
) -> None:
    monkeypatch.setattr(scripts, "_ARMED", f"{tmp_path}/armed")
    host = Host(tmp_path)
    host.has("pgrep", f"exit {0 if copies else 1}")
    host.has("pkill")
    host.has("sleep", scripts.disarmed())  # somebody does it meanwhile
    assert host.run(scripts.killed_in_a_transfer("mariadbd", 5)) in (1, 4)
    assert not any(call.startswith("pkill") for call in host.called())


def test_a_clock_jumps_from_what_it_shows(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.has("date", 'if test "$1" = +%s; then echo 10000; fi')
    for seconds, shown in ((1800, 11800), (-1800, 8200)):
        assert host.run(scripts.clock_moved(seconds)) == 0
        assert host.called()[-1] == f"date -s @{shown}"


def test_a_copy_is_waited_for_by_the_hosts_own_time_and_then_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow host a look takes longer than a nap: counted looks would go on after everybody has left."""
    armed, uptime = tmp_path / "armed", tmp_path / "uptime"
    monkeypatch.setattr(scripts, "_ARMED", f"{armed}")
    monkeypatch.setattr(scripts, "_UPTIME", f"{uptime}", raising=False)
    uptime.write_text("100.51 90.00\n")
    host = Host(tmp_path)
    later = "case $(cat U) in 100*) t=140;; 140*) t=180;; *) t=260;; esac; echo $t.07 90.00 >U; exit 1"
    host.has("pgrep", later.replace("U", f"{uptime}"))
    host.has("sleep")
    assert host.run(scripts.killed_in_a_transfer("mariadbd", 150)) == 3
    assert sum(call.startswith("pgrep") for call in host.called()) == 3
    assert not armed.exists()
