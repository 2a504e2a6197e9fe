"""Hosts of one's own: every reason to refuse one, all in one list, and what is no reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components import data_layer
from components.own_hosts import fit, look
from components.own_hosts.facts import Facts
from settings.application import VOLUME
from settings.errors import UserError
from settings.own_hosts import OwnHost
from tests.unit.program import FITTING, run

pytestmark = pytest.mark.unit

OURS = "swarm-galera/prod/0123456789ab"
ENGINE: dict[str, Any] = {
    "engine": True,
    "unit": True,
    "kept": True,
    "version": "24.0.7",
    "driver": "overlay2",
    "swarm": "inactive",
    "engine_name": "db1",
}


def own(number: int = 1, **given: Any) -> OwnHost:
    return OwnHost.model_validate({"name": f"db{number}", "address": f"10.0.0.{number}", **given})


def facts(number: int = 1, **changes: Any) -> Facts:
    whole = {"hostname": f"db{number}", "addresses": (f"10.0.0.{number}",), "boot": f"boot-{number}"}
    return replace(FITTING, **{**whole, **changes})


def refused(host: OwnHost, seen: Facts, *, member: bool = False, ours: bool = False) -> list[str]:
    return fit.problems([fit.Wanted(host, seen, member, ours)])


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ({}, {}),
        ({}, ENGINE),
        ({}, ENGINE | {"version": "20.10.24+dfsg1", "driver": "btrfs"}),
        ({}, ENGINE | {"version": "29.1.0", "driver": "overlayfs"}),
        ({"disk": "/dev/sdb"}, {"disk": "disk", "btrfs": True}),
        # A run that was broken off, or a former stack: LVM's group is this program's.
        (
            {"disk": "/dev/sdb"},
            {"disk": "disk LVM2_member", "disk_parts": ("v",), "disk_group": "docker_vg", "holds": "volumes"},
        ),
        ({}, {"holds": "overlay2"}),
        ({}, {"systems": ("rocky", "rhel"), "system_name": "Rocky Linux 9"}),
    ],
)
def test_a_host_that_will_do_is_taken(given: dict[str, Any], changes: dict[str, Any]) -> None:
    assert refused(own(**given), facts(**changes)) == []


BAD: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"refused": "no SSH at 10.0.0.1 port 22 (…). Remedy: start it", "unreachable": True}, "no SSH at"),
    ({}, {"refused": "deploy may not use sudo. Remedy: sudoers"}, "may not use sudo"),
    ({}, {"hostname": "db1.example.com"}, "hostnamectl set-hostname db1"),
    ({}, {"addresses": ("192.168.0.5",)}, "none of its own addresses (192.168.0.5)"),
    ({}, {"overlap": "network.subnet … Remedy: another"}, "network.subnet"),
    ({}, {"mark": "swarm-galera/other/aaaa"}, "belongs to another stack of this program (swarm-galera/other"),
    ({}, {"systems": ("arch",), "system_name": "Arch Linux"}, "it runs Arch Linux, and this program knows"),
    ({}, {"systemd": False}, "without systemd"),
    ({}, {"machine": "aarch64"}, "it is a aarch64"),
    ({}, {"volumes": ("galera-data",)}, "`rm -r /var/lib/docker/volumes/galera-data`"),
    ({}, ENGINE | {"volumes": ("galera-data", "x")}, "`docker volume rm galera-data x`"),
    ({"disk": "/dev/sdb"}, {"holds": "overlay2"}, "holds data of an engine that was removed (overlay2 …)"),
    # Of a former stack of this program, without a disk.
    (
        {"disk": "/dev/sdb"},
        ENGINE | {"kept": False, "disk": "disk", "btrfs": True, "holds": "overlay2"},
        "holds data of its engine (overlay2 …), and /dev/sdb is to be mounted there",
    ),
    ({}, ENGINE | {"unit": False}, "not the unit docker.service"),
    ({}, ENGINE | {"version": ""}, "does not answer"),
    ({}, ENGINE | {"version": "19.03.15"}, "20.10 is the oldest"),
    ({}, ENGINE | {"version": "1.13.1"}, "20.10 is the oldest"),
    ({}, ENGINE | {"swarm": "active", "managers": "10.9.9.9:2377"}, "managers 10.9.9.9:2377"),
    ({}, ENGINE | {"swarm": "locked"}, "in a swarm that is not this stack's (locked)"),
    ({}, ENGINE | {"rootless": True}, "rootless"),
    ({}, ENGINE | {"live_restore": True}, "live-restore, which swarm mode refuses"),
    ({}, ENGINE | {"driver": "vfs"}, "stores with 'vfs'"),
    ({}, ENGINE | {"engine_name": "old"}, "still calls it 'old'"),
    ({"disk": "/dev/sdb"}, ENGINE | {"disk": "disk", "btrfs": True}, "leave disk out; or remove that engine"),
    ({"disk": "/dev/sdb"}, {"disk": "none", "btrfs": True}, "no device /dev/sdb"),
    ({"disk": "/dev/sdb"}, {"disk": "disk", "btrfs": False}, "has no btrfs"),
    ({"disk": "/dev/sdb"}, {"disk": "disk ext4 /srv"}, "not blank (ext4, /srv)"),
    ({"disk": "/dev/sdb"}, {"disk": "disk", "disk_parts": ("sdb1",)}, "not blank (sdb1)"),
    ({"disk": "/dev/sdb"}, {"disk": "disk ext4", "disk_parts": ("ext4",)}, "not blank (ext4)"),
    ({"disk": "/dev/sdb"}, {"disk": "disk", "disk_parts": ("data without a signature",)}, "without a sign"),
    ({"disk": "/dev/sdb"}, {"disk": "disk LVM2_member", "disk_group": "data"}, "LVM2_member, data"),
]


@pytest.mark.parametrize(("given", "changes", "said"), BAD)
def test_a_host_that_will_not_do_is_refused_with_a_remedy(
    given: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    (problem,) = refused(own(**given), facts(**changes))
    assert problem.startswith("db1: ")
    assert said in problem
    assert "Remedy: " in problem


def test_two_addresses_of_one_machine_are_told_from_two_machines() -> None:
    pair = [fit.Wanted(own(n), facts(n, boot="the same"), member=False, ours=False) for n in (1, 2)]
    (problem,) = fit.problems(pair)
    assert "db2: it is the same machine as db1" in problem


def test_an_address_that_is_in_the_list_twice_is_one_of_the_problems() -> None:
    """Beside those of the hosts themselves, and without what was seen of the wrong one."""
    hosts = [
        own(1),
        own(2, address="10.0.0.1"),
        own(3, address="10.0.0.1", sshHost="203.0.113.3"),
        own(4, port=2222, sshHost="203.0.113.3"),
    ]
    seen = [
        facts(1, machine="arm"),
        facts(1, machine="arm"),
        facts(3, addresses=("10.0.0.1",), systemd=False),
        facts(4),
    ]
    pairs = zip(hosts, seen, strict=True)
    found = fit.problems(fit.Wanted(host, its, member=False, ours=False) for host, its in pairs)
    assert [problem.split(",")[0] for problem in found] == [
        "db1: it is a arm",
        "db2: SSH at 10.0.0.1 port 22 is that of db1 already",
        "db3: 10.0.0.1 is that of db1 already",
        "db3: it runs Debian GNU/Linux 12 (bookworm) without systemd",
    ]
    assert all("Remedy: " in problem for problem in found)


def test_a_host_that_is_ours_may_be_in_a_swarm_and_have_data() -> None:
    changes: dict[str, Any] = ENGINE | {
        "swarm": "active",
        "volumes": ("galera-data",),
        "mark": OURS,
        "kept": False,
    }
    assert refused(own(), facts(**changes), ours=True) == []
    # Its name must still be the one that swarm and store know it by.
    assert len(refused(own(), facts(**changes | {"hostname": "x"}), ours=True)) == 1


def managing(number: int, cluster: str, *, begun: bool = True) -> Facts:
    swarm: dict[str, Any] = {"swarm": "active", "cluster": cluster, "begun": begun, "mark": OURS}
    return facts(number, **ENGINE | swarm | {"engine_name": f"db{number}"})


AWAY = Facts(refused="no SSH. Remedy: start it", unreachable=True)


@pytest.mark.parametrize(
    ("known", "seen", "strangers"),
    [
        # Any manager is asked, so services would go where somebody has begun a swarm by hand.
        ("c1", [managing(1, "c1"), managing(2, "c1", begun=False), managing(3, "c2")], ["db3"]),
        ("c1", [AWAY, AWAY, managing(3, "c2")], ["db3"]),
        ("c1", [managing(1, "c1"), managing(2, ""), facts(3, mark=OURS)], []),
        # Who can't say may still be in it: an engine that does not run, a manager without a leader.
        ("c1", [managing(1, "c3"), facts(2, engine=True, unit=True, mark=OURS)], ["db1"]),
        ("c1", [managing(1, "c3"), managing(2, "")], ["db1"]),
        # A first run that was killed: what it has begun is its own, what a person has begun is not.
        ("", [managing(1, "c1"), facts(2, mark=OURS), facts(3, mark=OURS)], []),
        ("", [managing(1, "c2", begun=False), facts(2, mark=OURS)], ["db1"]),
        # Outputs of before do not say which swarm it is.
        (None, [managing(1, "c2", begun=False)], []),
        # The former swarm is gone for good, and a run was killed after it had begun the next one.
        ("c1", [managing(1, "c3"), facts(2, mark=OURS), facts(3, mark=OURS)], []),
        ("c1", [managing(1, "c3", begun=False), facts(2, mark=OURS), facts(3, mark=OURS)], ["db1"]),
    ],
)
def test_a_host_that_is_ours_manages_no_other_swarm_than_the_stack_s(
    known: str | None, seen: list[Facts], strangers: list[str]
) -> None:
    hosts = {f"db{number}": own(number) for number in range(1, len(seen) + 1)}
    found = look.Looked(hosts, dict(zip(hosts, seen, strict=True)), frozenset(hosts), cluster=known)
    if not strangers:
        found.refuse_bad(OURS)
        return
    with pytest.raises(UserError, match="it manages another swarm than this stack's") as caught:
        found.refuse_bad(OURS)
    assert [line.split(":")[0][4:] for line in str(caught.value).splitlines()[1:]] == strangers


def test_outputs_say_which_swarm_it_is_where_there_are_hosts_of_ones_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    given = [{"name": f"db{n}", "address": f"10.0.0.{n}"} for n in (1, 2, 3)]
    made = run({"servers": {"kind": "existing", "hosts": given}})
    assert look.swarm_of(made.outputs) == "c"
    assert look.swarm_of(run().outputs) is None
    assert look.swarm_of({}) == look.swarm_of({"hosts": []}) == ""


def test_a_host_that_is_ours_gets_no_disk_for_an_engine_that_has_its_data_already() -> None:
    """Bound to a mount that does not come, the engine would not start any more after a reboot."""
    changes: dict[str, Any] = ENGINE | {"swarm": "active", "mark": OURS, "kept": False, "holds": "overlay2"}
    with_disk = own(disk="/dev/sdb")
    (problem,) = refused(with_disk, facts(**changes), ours=True)
    assert "holds data of its engine (overlay2 …)" in problem
    mounted = {"mounted": "/dev/dm-0"}  # as after a boot
    assert refused(with_disk, facts(**changes | mounted), ours=True) == []
    assert refused(with_disk, facts(**changes | {"disk_group": "docker_vg"}), ours=True) == []
    assert refused(own(), facts(**changes), ours=True) == []


def test_a_host_of_the_cluster_may_be_down_and_a_new_one_may_not() -> None:
    away = Facts(refused="no SSH. Remedy: start it", unreachable=True)
    assert refused(own(), away, member=True) == []
    assert len(refused(own(), away)) == 1
    assert len(refused(own(), Facts(refused="another host key. Remedy: look"), member=True)) == 1


def test_all_that_a_stack_keeps_on_its_hosts_is_looked_for() -> None:
    assert set(look.VOLUMES) == {*data_layer.VOLUMES, VOLUME}
    assert {VOLUME} == set(look.SHARED)


def looked(**seen: Facts) -> look.Looked:
    hosts = {name: own(int(name[2:])) for name in seen}
    return look.Looked(hosts, seen, frozenset())


def test_all_problems_of_all_hosts_are_one_list() -> None:
    found = looked(db1=facts(1, machine="arm"), db2=facts(2), db3=facts(3, systemd=False, volumes=("v",)))
    with pytest.raises(UserError) as caught:
        found.refuse_bad(None)
    text = str(caught.value)
    assert text.startswith("The hosts of your own have 3 problems; nothing was ordered or changed")
    assert [line.split(":")[0] for line in text.splitlines()[1:]] == ["  - db1", "  - db3", "  - db3"]


def test_whose_a_host_is_tells_the_identity() -> None:
    found = looked(db1=facts(1, mark=OURS, swarm="active", version="24.0.7", engine=True, unit=True))
    assert found.marked
    found.refuse_bad(OURS)
    for other in (None, "swarm-galera/prod/ffffffffffff"):
        with pytest.raises(UserError, match="belongs to another stack"):
            found.refuse_bad(other)


def test_what_will_be_used_is_told_for_each_host() -> None:
    hosts = {"db1": own(1), "db2": own(2, disk="/dev/sdb"), "db3": own(3, role="worker"), "db4": own(4)}
    seen = {
        "db1": facts(1, **ENGINE),
        "db2": facts(2),
        "db3": Facts(refused="no answer", unreachable=True),
        "db4": facts(4, mark=OURS, engine=True, unit=True),
    }
    told = fit.told(hosts, seen).splitlines()
    assert "neither ordered nor ever deleted" in told[0]
    assert "engine 24.0.7 as it is, engine.* of the settings does not count there" in told[1]
    assert "storage overlay2 on ext4" in told[1]
    assert "engine to be installed, storage btrfs on /dev/sdb" in told[2]
    assert told[3].endswith("db3 (worker): does not answer")
    assert "its engine does not run" in told[4]
