"""Hosts that are brought up to date: what is installed, what is foretold, in which order, one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import typer

from components.host_scripts import swarm_leaving
from operations import node_program, outputs, well
from operations.around_run import care
from operations.around_run.care import Seen
from operations.errors import OperationsError
from operations.facts.cluster import HostFacts
from operations.notes import Note
from operations.outputs import Outputs
from operations.remote_hosts import Answer
from operations.unlock import locked, locked_disks
from operations.upgrade import hosts as upgrade_hosts
from operations.upgrade import refusals as upgrade_refusals
from operations.upgrade import updates as host_updates
from operations.upgrade.updates import Package, Updates, package, parse, told
from tests.unit.fake_host import FakeHost
from tests.unit.fake_swarm import changes, manager
from tests.unit.operations.around_run.test_care import error, seen, without_database
from tests.unit.operations.test_verify import NAMES
from tests.unit.operations.test_well import in_maintenance

pytestmark = pytest.mark.unit

LIBC = (
    "Inst libc6 [2.36-9+deb12u8] (2.36-9+deb12u9 Debian:12.8/stable, Debian-Security:12/stable-security "
    "[amd64])"
)
TZ = "Inst tzdata [2024a-0] (2024b-0 Debian:12.8/stable [all])"
KERNEL = "Inst linux-image-6.1.0-28-amd64 (6.1.119-1 Debian-Security:12/stable-security [amd64])"
ENGINE = "Inst docker.io [20.10.24-1] (20.10.24-2 Debian-Security:12/stable-security [amd64]) []"
FLAT = "Inst hello [1.0] (2.0 [amd64])"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (LIBC, Package("libc6", "2.36-9+deb12u9", "2.36-9+deb12u8", security=True)),
        (TZ, Package("tzdata", "2024b-0", "2024a-0")),
        (KERNEL, Package("linux-image-6.1.0-28-amd64", "6.1.119-1", security=True)),
        (ENGINE, Package("docker.io", "20.10.24-2", "20.10.24-1", security=True)),
        (FLAT, Package("hello", "2.0", "1.0")),
        ("Inst bash [5.1] (5.2 Ubuntu:22.04/jammy-security [amd64])", Package("bash", "5.2", "5.1", True)),
        ("Conf libc6 (2.36-9+deb12u9 Debian:12.8/stable [amd64])", None),
        ("", None),
    ],
)
def test_a_line_of_apt_s_simulation_is_read(line: str, found: Package | None) -> None:
    assert package(line) == found


def printed(*lines: str, boot: str = "b1", **more: str) -> str:
    rows = [f"install\t{line}" for line in lines] + [f"boot\t{boot}"]
    return "\n".join([*rows, *(f"{key}\t{value}" for key, value in more.items())]) + "\n"


@pytest.mark.parametrize(
    ("text", "everything", "words"),
    [
        (printed(), False, ""),
        (printed(TZ), False, ""),
        (printed(TZ), True, "1 package (tzdata 2024b-0)"),
        (printed(LIBC, TZ), False, "1 package (libc6 2.36-9+deb12u9), then a reboot (libc6)"),
        (
            printed(ENGINE),
            False,
            "1 package (docker.io 20.10.24-2), then a restart of its engine (docker.io)",
        ),
        (printed(reboot="kernel 2 is installed, 1 runs"), False, "a reboot (kernel 2 is installed, 1 runs)"),
        (printed(restart="it was replaced"), False, "a restart of its engine (it was replaced)"),
    ],
)
def test_what_will_be_done_is_said_before(text: str, everything: bool, words: str) -> None:
    updates = parse(text)
    assert told(updates, everything) == words
    assert updates.due(everything) is bool(words)


def test_just_the_versions_that_were_shown_are_installed_and_nothing_goes_for_them(tmp_path: Path) -> None:
    made = FakeHost(tmp_path / "host")
    made.program("apt-get")
    made.program("apt-mark", "[[ $1 != showmanual ]] || echo libc6")
    ran = made.run(host_updates.install(parse(printed(LIBC, KERNEL)).wanted(False)))
    assert ran.code == 0, ran.err
    (call,) = ran.called("apt-get")
    assert call.endswith("--force-confold install libc6=2.36-9+deb12u9 linux-image-6.1.0-28-amd64=6.1.119-1")
    assert "--no-remove" in call
    # What nobody has asked for stays so: else no former kernel would ever go by itself.
    assert ran.called("apt-mark")[1:] == ["apt-mark auto linux-image-6.1.0-28-amd64"]
    made.program("apt-mark", "exit 100")
    ran = made.run(host_updates.install([Package("x", "1")]))
    assert (ran.code, len(ran.called("apt-mark"))) == (0, 1), "who can't say has not said that nobody has"
    made.program("apt-get", "echo 'E: no network' >&2; exit 100")
    ran = made.run(host_updates.install([Package("x", "1")]))
    assert ran.code == 1
    assert "could not be installed" in ran.err


def test_a_host_says_what_there_is_and_whether_it_must_be_rebooted(tmp_path: Path) -> None:
    made = FakeHost(tmp_path / "host")
    made.program("apt-get", f'[[ $* != *upgrade* ]] || printf "%s\\n" "{LIBC}" "Conf libc6"')
    made.program("pidof", "exit 1")
    made.program("needrestart", "echo 'NEEDRESTART-VER: 3.6'; echo 'NEEDRESTART-KSTA: 3'")
    ran = made.run(host_updates.look())
    assert ran.code == 0, ran.err
    found = parse(ran.out)
    assert [each.name for each in found.packages] == ["libc6"]
    assert "needrestart: the kernel is out of date" in found.reboot
    assert found.boot
    made.program("needrestart", "echo 'NEEDRESTART-KSTA: 1'")
    assert "needrestart" not in parse(made.run(host_updates.look()).out).reboot
    made.program("apt-get", "echo 'E: no network' >&2; exit 100")
    assert "could not be fetched" in made.run(host_updates.look()).err


WORKER = {"node4": "galera-4|ready|worker||true"}
DRAINS = "docker node update --availability drain node4"
BACK = "docker node update --availability active"


def test_a_host_is_drained_by_another_one_and_comes_back(tmp_path: Path) -> None:
    made = manager(tmp_path / "host", nodes=WORKER)
    ran = made.run(upgrade_hosts.draining("galera-4", "drain"))
    assert ran.code == 0, ran.err
    assert changes(ran) == ["docker node update --label-add swarm-galera.upgraded=true node4", DRAINS]
    ran = made.run(upgrade_hosts.draining("galera-4", "active"))
    assert changes(ran) == [f"{BACK} --label-rm swarm-galera.upgraded node4"], ran.err
    ran = made.run(upgrade_hosts.draining("galera-9", "drain"))
    assert "the swarm has no node galera-9 that is ready" in ran.err
    assert ran.code == 1


def test_a_host_that_a_person_has_drained_stays_so_unless_a_database_is_to_come_back(tmp_path: Path) -> None:
    made = manager(tmp_path / "host", nodes=WORKER)
    made.file("availability/node4", "Drain\n")
    assert changes(made.run(upgrade_hosts.draining("galera-4", "drain"))) == [DRAINS]
    ran = made.run(upgrade_hosts.draining("galera-4", "active"))
    assert (ran.code, changes(ran)) == (0, []), ran.err
    ran = made.run(upgrade_hosts.draining("galera-4", "active", required=True))
    assert changes(ran) == [f"{BACK} node4"], ran.err


def test_nothing_is_installed_while_containers_still_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database with much to write takes longer than the 90 s that a host which leaves is given."""
    monkeypatch.setattr(
        swarm_leaving, "_FUNCTIONS", swarm_leaving._FUNCTIONS.replace("SECONDS + 90", "SECONDS")
    )
    made = manager(tmp_path / "host", nodes=WORKER)
    made.program("sleep")
    made.file("tasks", "Running 3 hours ago\n")
    monkeypatch.setattr(upgrade_hosts, "ENDS_WITHIN", 0)
    ran = made.run(upgrade_hosts.draining("galera-4", "drain"))
    assert ran.code == 1
    assert "galera-4 has not stopped its containers. Nothing was installed" in ran.err
    monkeypatch.setattr(upgrade_hosts, "ENDS_WITHIN", 600)
    made.file("ending", "")
    ran = made.run(upgrade_hosts.draining("galera-4", "drain"))
    assert ran.code == 0, ran.err


def paused(name: str) -> Callable[[HostFacts], HostFacts]:
    return lambda host: replace(host, paused=(name,))


BEGUN = Note("upgraded", "ann@desk", "2026-11-30 04:00 UTC").dumps()


def test_workers_come_first_the_writer_last_and_what_was_broken_off_before_all() -> None:
    now = seen(galera_1=in_maintenance("galera-3", note=BEGUN, writer="galera-1"))
    assert upgrade_refusals.order(now, NAMES) == ["galera-3", "galera-4", "galera-2", "galera-1"]
    assert upgrade_refusals.order(seen(), ["galera-2", "galera-2"]) == ["galera-2"]


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (seen(), ""),
        (seen(galera_2=without_database), "galera-2 itself is not well"),
        (seen(galera_2=error), "galera-2 itself is not well"),
        (seen(galera_3=without_database), "others are not well: galera-3"),
        (seen(away=("galera-4",)), "others are not well: galera-4"),
        (
            seen(galera_1=in_maintenance("galera-2", note=Note("replaced", server="2").dumps())),
            "`python -m operations replace galera-2` first",
        ),
        (
            seen(galera_1=in_maintenance("galera-2", note=Note(by="ann@desk", text="noisy disk").dumps())),
            "it is in maintenance (by ann@desk, noisy disk), which this would end: `python -m operations "
            "maintenance galera-2 off` first",
        ),
        (seen(galera_1=paused("galera-2")), "a change that was broken off: `up` first"),
        (seen(galera_1=paused("galera-4")), ""),
        (
            replace(seen(), outputs=replace(seen().outputs, hosts=seen().outputs.hosts[1:2], members=())),
            "no other manager answers that could do without galera-2",
        ),
    ],
)
def test_a_host_is_upgraded_only_if_it_and_the_others_are_well(now: Seen, words: str) -> None:
    found = upgrade_refusals.refusal(now, "galera-2")
    assert words in found
    assert bool(found) is bool(words)


def test_one_that_was_broken_off_is_gone_on_with_though_it_is_not_well() -> None:
    now = seen(galera_1=in_maintenance("galera-2", note=BEGUN), galera_2=without_database)
    assert upgrade_refusals.refusal(now, "galera-2") == ""
    dead = seen(galera_1=in_maintenance("galera-2", note=BEGUN), galera_3=without_database)
    assert "galera-3" in upgrade_refusals.refusal(dead, "galera-2")


class Hosts:
    """In place of the hosts: what each was told, in order."""

    unreachable: ClassVar[dict[str, str]] = {}

    def __init__(self, monkeypatch: pytest.MonkeyPatch, packages: Mapping[str, str]) -> None:
        self.done: list[str] = []
        self.packages = dict(packages)
        self.boots = dict.fromkeys(NAMES, "b1")
        self.needs: set[str] = set()
        self.now = seen()
        self.fails = ""
        self.tokens: dict[str, str] = {}
        self.unwell_after = ""
        self.drained = set[str]()
        self.half = set[str]()
        monkeypatch.setattr(upgrade_hosts, "connected", self.connected)
        monkeypatch.setattr(care, "look_at", self.look_at)
        monkeypatch.setattr(node_program, "tell", self.tell)
        monkeypatch.setattr(upgrade_hosts, "WELL_WITHIN", 0.0)
        monkeypatch.setattr(upgrade_hosts, "BOOTS_WITHIN", 0.0)

    @contextlib.asynccontextmanager
    async def connected(self, _found: object) -> AsyncIterator[Any]:
        yield self

    async def look_at(self, _found: object) -> Seen:
        if self.unwell_after and any(f"active {self.unwell_after}" in each for each in self.done):
            return seen(galera_3=without_database)
        return self.now

    async def tell(self, _hosts: object, _found: object, by: str, *words: str) -> str:
        self.done.append(" ".join(words[:3]))
        note = words[4] if words[1] == "on" else None
        told = seen().facts
        changed = {} if note is None else {"galera-1": in_maintenance(words[2], note=note)(told["galera-1"])}
        self.now = replace(self.now, facts={**told, **changed})
        return ""

    async def run_all(self, texts: Mapping[str, str], limit: float = 0) -> dict[str, Answer]:
        return {name: await self.run(name, text) for name, text in texts.items()}

    def looked(self, name: str) -> str:
        more = {"reboot": "a package asks for it"} if name in self.needs else {}
        if name in self.half:  # apt says nothing else then
            return printed(boot=self.boots[name], half="libc6", **more)
        return printed(*filter(None, [self.packages.get(name, "")]), boot=self.boots[name], **more)

    async def run(self, name: str, text: str, limit: float = 0) -> Answer:
        if "fetching lists of packages" in text:
            return Answer(self.looked(name))
        if text == host_updates.finish():
            self.done.append(f"finish on {name}")
            self.half.discard(name)
            return Answer()
        if text.startswith("cat /proc"):
            return Answer(self.boots[name])
        if text.startswith("cat /var"):
            return Answer(self.tokens.get(name, ""))
        if text == upgrade_hosts.drained():
            return Answer("".join(f"{each}\n" for each in sorted(self.drained)))
        words = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and " " not in line)
        if "availability" in words:
            self.done.append(f"{words['availability']} {words['hostname']} by {name}")
            change = self.drained.add if words["availability"] == "drain" else self.drained.discard
            change(words["hostname"])
        elif "packages=(" in text:
            self.done.append(f"install on {name}")
            if self.fails:
                return Answer(error=self.fails)
            if "linux-image" in self.packages.pop(name):
                self.needs.add(name)
        elif "systemctl reboot" in text:
            self.done.append(f"reboot {name}")
            self.boots[name] += "+"
            self.needs.discard(name)
        elif "token=" in text:
            self.tokens[name] = words["token"]
        else:
            self.done.append(f"{name}: {text[:40]}")
        return Answer()

    def upgrade(self, *names: str, token: str = "", yes: bool = True, interrupt: bool = False) -> list[str]:
        self.done.clear()
        upgrade_hosts.upgraded(seen().outputs, names, False, yes, token, interrupt=interrupt)
        return self.done


def test_hosts_are_changed_one_at_a_time_and_rebooted_only_where_that_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Hosts(monkeypatch, {"galera-2": KERNEL, "galera-3": TZ.replace("stable", "stable-security")})
    assert made.upgrade() == [
        "maintenance on galera-2",
        "drain galera-2 by galera-1",
        "install on galera-2",
        "reboot galera-2",
        "active galera-2 by galera-1",
        "maintenance off galera-2",
        "maintenance on galera-3",
        "drain galera-3 by galera-1",
        "install on galera-3",
        "active galera-3 by galera-1",
        "maintenance off galera-3",
    ]
    assert made.upgrade() == [], "nothing is left to be done"


def test_disks_that_a_reboot_has_locked_are_opened_before_the_host_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Hosts(monkeypatch, {"galera-2": KERNEL})

    async def unlocked(found: Outputs) -> None:
        made.done.append(f"open {', '.join(found.disk_keys)}")

    monkeypatch.setattr(locked_disks, "unlocked", unlocked)
    encrypted = replace(seen().outputs, disk_keys={"galera-2": "k2"})
    upgrade_hosts.upgraded(encrypted, [], everything=False, yes=True)
    at = made.done.index("open galera-2")
    assert made.done[at - 1 : at + 2] == ["reboot galera-2", "open galera-2", "active galera-2 by galera-1"]


def test_a_host_whose_disk_nobody_could_open_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Hosts(monkeypatch, {"galera-2": KERNEL})

    async def refused(_: Outputs, name: str) -> None:
        raise OperationsError(f"{name} is not rebooted")

    monkeypatch.setattr(locked_disks, "require_key", refused)
    with pytest.raises(OperationsError, match="galera-2 is not rebooted"):
        made.upgrade("galera-2")
    assert made.done == []


def test_a_manager_whose_engine_restarted_with_its_package_is_unlocked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With autolock it would be no part of the swarm, and waited for in vain."""
    made = Hosts(monkeypatch, {"galera-2": ENGINE})

    async def unlocked(_found: Outputs) -> None:
        made.done.append("unlock")

    monkeypatch.setattr(locked, "unlocked", unlocked)
    upgrade_hosts.upgraded(replace(seen().outputs, unlock_keys=("k",)), [], everything=False, yes=True)
    at = made.done.index("unlock")
    assert made.done[at - 1 : at + 2] == ["install on galera-2", "unlock", "active galera-2 by galera-1"]


def test_an_engine_that_comes_up_late_after_a_reboot_is_unlocked_once_it_says_that_it_is_locked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Hosts(monkeypatch, {"galera-2": KERNEL})
    monkeypatch.setattr(upgrade_hosts, "BOOTS_WITHIN", 60.0)
    monkeypatch.setattr(asyncio, "sleep", nothing)
    run, states = made.run, ["no answer yet", "locked"]

    async def unlocked(_found: Outputs) -> None:
        if states and states.pop(0) == "locked":
            made.done.append("unlock")

    async def ready(name: str, text: str, limit: float = 0) -> Answer:
        comes_back = "availability=active" in text and "unlock" not in made.done
        return Answer(error="no node that is ready") if comes_back else await run(name, text, limit)

    monkeypatch.setattr(locked, "unlocked", unlocked)
    monkeypatch.setattr(made, "run", ready)
    upgrade_hosts.upgraded(replace(seen().outputs, unlock_keys=("k",)), [], everything=False, yes=True)
    assert made.done[-2:] == ["active galera-2 by galera-1", "maintenance off galera-2"]


def test_what_an_installation_that_was_broken_off_has_left_is_finished_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Hosts(monkeypatch, {"galera-2": TZ.replace("stable", "stable-security")})
    made.half.add("galera-2")
    assert told(parse(printed(half="libc6 ")), False) == (
        "the end of an installation that was broken off (libc6)"
    )
    assert made.upgrade()[1:5] == [
        "drain galera-2 by galera-1",
        "finish on galera-2",
        "install on galera-2",
        "active galera-2 by galera-1",
    ]


def test_a_host_says_what_is_half_there_though_apt_says_nothing_then(tmp_path: Path) -> None:
    made = FakeHost(tmp_path / "host")
    made.program("apt-get", "[[ $* != *upgrade* ]] || { echo 'E: dpkg was interrupted' >&2; exit 100; }")
    made.program("dpkg-query", "printf '%s\\n' 'installed bash' 'half-configured libc6' 'unpacked tzdata'")
    made.program("pidof", "exit 1")
    made.program("needrestart", "exit 1")
    found = parse(made.run(host_updates.look()).out)
    assert (found.half, found.packages, bool(found.boot)) == ("libc6 tzdata", (), True)
    assert found.due(everything=False)
    made.program("dpkg-query", "echo installed bash")
    assert "apt does not say what there is" in made.run(host_updates.look()).err
    made.program("dpkg")
    made.program("apt-get")
    ran = made.run(host_updates.finish())
    assert ran.called("dpkg") == ["dpkg --force-confold --configure -a"], ran.err
    assert "--no-remove" in ran.called("apt-get")[-1]
    made.program("dpkg", "exit 1")
    assert "could not be finished" in made.run(host_updates.finish()).err


def test_a_reboot_that_was_foretold_is_done_though_nothing_on_the_host_asks_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Plain Debian notes nowhere that a new OpenSSL is used by nobody yet."""
    ssl = LIBC.replace("libc6", "libssl3").replace("2.36", "3.0")
    made = Hosts(monkeypatch, {"galera-2": ssl})
    assert "a reboot (libssl3)" in told(parse(printed(ssl)), everything=False)
    assert "reboot galera-2" in made.upgrade()


async def nothing(_seconds: float) -> None:
    """In place of a wait."""


def test_the_next_host_is_not_touched_while_not_all_is_well_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Hosts(monkeypatch, {"galera-1": KERNEL, "galera-2": KERNEL})
    made.unwell_after = "galera-1"
    with pytest.raises(OperationsError, match="After the upgrade of galera-1 not all is well: galera-3"):
        made.upgrade("galera-1", "galera-2")
    assert not [each for each in made.done if "galera-2" in each and "by galera-2" not in each]


def test_one_that_could_not_be_installed_stays_drained_and_the_next_call_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Hosts(monkeypatch, {"galera-2": KERNEL})
    made.fails = "the packages could not be installed"
    with pytest.raises(OperationsError, match="galera-2 could not be brought up to date"):
        made.upgrade()
    assert "active galera-2 by galera-1" not in made.done
    made.fails = ""
    assert made.upgrade()[-1] == "maintenance off galera-2"
    # Though nothing is left to be installed, one that was broken off is let back.
    made.now = seen(galera_1=in_maintenance("galera-2", note=BEGUN))
    assert made.upgrade()[-2:] == ["active galera-2 by galera-1", "maintenance off galera-2"]


def test_a_host_without_a_node_of_the_database_that_was_left_drained_is_let_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No note says of it that it was broken off, it is well, and nothing is left to be installed."""
    made = Hosts(monkeypatch, {"galera-2": KERNEL, "galera-4": TZ.replace("stable", "stable-security")})
    made.fails = "the connection broke"
    with pytest.raises(OperationsError, match="galera-4 could not be brought up to date"):
        made.upgrade()
    made.packages.pop("galera-4", None)
    made.fails = ""
    assert made.upgrade()[:2] == ["drain galera-4 by galera-1", "active galera-4 by galera-1"]
    assert made.drained == set()


def test_all_that_can_be_known_of_all_hosts_is_said_before_the_first_is_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Hosts(monkeypatch, dict.fromkeys(NAMES, KERNEL))
    made.now = seen(galera_1=in_maintenance("galera-3", note="noisy disk"))
    with pytest.raises(
        OperationsError, match=r"galera-3 is not upgraded: it is in maintenance \(noisy disk\)"
    ):
        made.upgrade()
    # Behind one that was broken off, too, which is not well yet.
    begun = in_maintenance("galera-2", note=BEGUN)
    made.now = seen(galera_1=lambda host: in_maintenance("galera-3")(begun(host)), galera_2=without_database)
    with pytest.raises(OperationsError, match="galera-3 is not upgraded: it is in maintenance"):
        made.upgrade()
    assert made.done == []
    assert upgrade_refusals.in_the_way(seen(galera_1=begun, galera_2=without_database), NAMES[1:], []) == ""


def test_nothing_is_touched_without_a_yes_or_while_others_are_not_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Hosts(monkeypatch, {"galera-2": KERNEL})
    monkeypatch.setattr(typer, "confirm", lambda _: False)
    with pytest.raises(typer.Exit):
        made.upgrade(yes=False)
    made.now = seen(galera_3=without_database)
    with pytest.raises(OperationsError, match="galera-2 is not upgraded: others are not well"):
        made.upgrade()
    with pytest.raises(OperationsError, match="galera-9 is no host of this stack"):
        made.upgrade("galera-9")
    assert made.done == []


def test_by_setting_it_is_done_once_for_each_text(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Hosts(monkeypatch, {"galera-2": KERNEL})
    for nothing in (None, "", 7):
        upgrade_hosts.by_setting(seen().outputs, nothing)
    assert made.done == []
    upgrade_hosts.by_setting(seen().outputs, "2026-11")
    assert "reboot galera-2" in made.done
    assert made.tokens == dict.fromkeys(NAMES, "2026-11")
    made.done.clear()
    made.packages["galera-2"] = KERNEL
    upgrade_hosts.by_setting(seen().outputs, "2026-11")
    assert made.done == []
    upgrade_hosts.by_setting(seen().outputs, "2026-12")
    assert "reboot galera-2" in made.done


def test_the_command_holds_its_stack_as_up_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time might each drain a host while the other one still is well."""
    done = list[str]()

    @contextlib.contextmanager
    def opened(stack: str) -> Iterator[Any]:
        done.append(f"held {stack}")
        yield SimpleNamespace(pulumi=None)
        done.append("let go")

    monkeypatch.setattr(upgrade_hosts, "opened", opened)
    monkeypatch.setattr(outputs, "read", lambda _: seen().outputs)
    monkeypatch.setattr(upgrade_hosts, "upgraded", lambda *_, **how: done.append(f"upgraded {how}"))
    upgrade_hosts.upgrade_hosts(["galera-2"], stack="dev", yes=True, interrupt_backup=True)
    assert done == ["held dev", "upgraded {'interrupt': True}", "let go"]


def test_the_note_of_a_host_that_is_upgraded_tells_who_and_since_when() -> None:
    assert json.loads(BEGUN)["why"] == "upgraded"
    assert well.maintained(seen(galera_1=in_maintenance("galera-2", note=BEGUN))) == {"galera-2": BEGUN}
    assert Updates().due(everything=True) is False
