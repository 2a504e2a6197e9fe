"""`lab cut`, `lab heal` and what `lab status` says of them: the commands, on a network without hosts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab import cli, cuts, network, packet_filter, paths
from lab.errors import LabError
from lab.hosts import machine
from lab.hosts.backend import HostSpec, Interface, Traffic
from lab.hosts.machine import Machine
from lab.hosts.uml import UmlBackend
from lab.packet_filter import Cut
from lab.paths import LabPaths

pytestmark = pytest.mark.lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabPaths]:
    """A lab of three hosts that are off, with a network."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = paths.lab(f"cut-{os.getpid()}")
    monkeypatch.setenv("LAB", made.name)
    made.root.mkdir(parents=True)
    made.record.write_text("{}")
    for number in (1, 2, 3):
        host = Machine(made.hosts / str(100 + number))
        host.folder.mkdir(parents=True)
        private, public = (
            Interface(f"{subnet}.{10 + number}", 24, "", "") for subnet in ("10.144.12", "203.0.113")
        )
        name = f"galera-{number}"
        spec = HostSpec(100 + number, name, "example.com", "", 1, 512, (25,), private, public, ())
        machine.save(host.spec_file, spec)
    network.up(made.namespace)
    try:
        packet_filter.prepare(made.namespace, made.packet_filter)
        cuts.reload(made)
        yield made
    finally:
        network.down(made.namespace)


def say(*words: str) -> str:
    """What a command prints; what it raises is raised."""
    done = CliRunner().invoke(cli.app, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def in_force(lab: LabPaths) -> str:
    words = [*network.enter(lab.namespace), "nft", "list", "table", "bridge", "lab_cuts"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


CUTS = [
    (("galera-2",), [Cut(102)], "galera-2 from everybody on the private network, both ways"),
    (
        ("102", "--in"),
        [Cut(102, direction="in")],
        "galera-2 from everybody on the private network, what comes in",
    ),
    (
        ("galera-2.example.com", "--from", "10.144.12.13", "--out"),
        [Cut(102, 103, "out")],
        "galera-2 from galera-3 on the private network, what goes out",
    ),
    (("galera-2", "--in", "--out"), [Cut(102)], "both ways"),
    (
        ("galera-1", "--network", "both", "--loss", "2.5%"),
        [Cut(101, loss=25), Cut(101, network="public", loss=25)],
        "galera-1 from everybody on the public network, both ways, 2.5% of the packets",
    ),
]


@pytest.mark.parametrize(("words", "made", "text"), CUTS, ids=[" ".join(words) for words, _, _ in CUTS])
def test_a_cut_is_said_shown_and_loaded_and_healed_again(
    lab: LabPaths, words: tuple[str, ...], made: list[Cut], text: str
) -> None:
    empty = in_force(lab)
    assert text in say("cut", *words)
    assert cuts.present(lab) == made
    assert in_force(lab) != empty
    assert text in say("cut", *words), "a second time changes nothing"
    assert cuts.present(lab) == made
    assert text in say("status")
    assert json.loads(say("status", "--json"))["cuts"][0]["host_id"] == made[0].host_id
    assert text in say("heal")
    assert cuts.present(lab) == []
    assert in_force(lab) == empty
    assert say("heal") == "Nothing was cut.\n"
    assert text not in say("status")


def test_healing_a_host_leaves_the_cuts_of_others(lab: LabPaths) -> None:
    for words in (("galera-1",), ("galera-2", "--from", "galera-3"), ("galera-3",)):
        say("cut", *words)
    assert say("heal", "galera-3").count("Healed") == 2
    assert cuts.present(lab) == [Cut(101)]


BAD = [
    (("cut", "galera-9"), r"has no host “galera-9”. There are: galera-1 \(101\)"),
    (("cut", "galera-1", "--from", "galera-9"), "has no host “galera-9”"),
    (("cut", "galera-1", "--from", "galera-1"), "cannot be cut from itself"),
    (("cut", "galera-1", "--loss", "0"), "“0” is no loss of packets: give a percentage"),
    (("cut", "galera-1", "--loss", "half"), "“half” is no loss of packets"),
    (("cut", "galera-1", "--loss", "101%"), "“101%” is no loss of packets"),
    (("heal", "galera-9"), "has no host “galera-9”"),
    (("pause", "galera-9"), "has no host “galera-9”"),
    (("pause", "galera-1"), "does not run"),
    (("resume", "galera-1"), "does not run"),
]


@pytest.mark.parametrize(("words", "text"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_what_makes_no_sense_is_refused_and_cuts_nothing(
    lab: LabPaths, words: tuple[str, ...], text: str
) -> None:
    with pytest.raises(LabError, match=text):
        say(*words)
    assert cuts.present(lab) == []


def test_the_cuts_of_a_host_go_with_it(lab: LabPaths) -> None:
    say("cut", "galera-2")
    say("cut", "galera-1", "--from", "galera-2")
    say("cut", "galera-3")
    UmlBackend(lab.root).destroy(102)
    assert cuts.present(lab) == [Cut(103)]


def test_a_host_can_be_removed_when_the_network_is_gone_and_the_others_stay_cut(lab: LabPaths) -> None:
    say("cut", "galera-2")
    say("cut", "galera-3")
    network.down(lab.namespace)
    UmlBackend(lab.root).destroy(102)
    network.up(lab.namespace)
    packet_filter.prepare(lab.namespace, lab.packet_filter)
    cuts.reload(lab)
    assert "pr103" in in_force(lab)
    assert "pr102" not in in_force(lab)


def test_a_machine_that_cannot_filter_says_so_in_status_and_cuts_nothing(lab: LabPaths) -> None:
    lab.packet_filter.write_text(json.dumps({"tracking": None, "problem": "the kernel is too old"}))
    assert "NOT enforced: the kernel is too old" in say("status")
    assert json.loads(say("status", "--json"))["security_groups"]["problem"] == "the kernel is too old"
    with pytest.raises(LabError, match="cannot cut hosts: the kernel is too old"):
        say("cut", "galera-1")


def test_filters_that_somebody_removed_are_missed(lab: LabPaths) -> None:
    assert "enforced (connections tracked by" in say("status")
    words = [*network.enter(lab.namespace), "nft", "delete", "table", "bridge", "lab_groups"]
    subprocess.run(words, check=True)
    assert "the filters are gone from the namespace: run `lab up`" in say("status")


def test_traffic_is_that_of_the_taps_from_the_hosts_point_of_view(
    lab: LabPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.tap(lab.namespace, "pr101", "private")
    assert network.traffic(lab.namespace)["pr101"] == (0, 0)
    received_and_sent = {"pr101": (1, 2), "pu101": (3, 4), "pr102": (5, 6), "private": (7, 8)}
    monkeypatch.setattr(network, "traffic", lambda namespace: received_and_sent)
    assert UmlBackend(lab.root).traffic() == {
        101: Traffic(private_in=2, private_out=1, public_in=4, public_out=3),
        102: Traffic(private_in=6, private_out=5),
        103: Traffic(),
    }
