"""Packets between a lab's hosts: they pass or not, as security groups and cuts say.

Network namespaces of the tests' own, with pairs of virtual cards in place of hosts; no host is booted.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import cuts, network, packet_filter
from lab.hosts.backend import CardFilter, FilterRule
from lab.packet_filter import Cut
from lab.paths import LabPaths

pytestmark = pytest.mark.lab

A, B, GATEWAY = 11, 12, 1
ADDRESS = "10.144.12.{}"

SERVER = """
import selectors, socket, sys
ready = selectors.DefaultSelector()
for port in (80, 81):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        one = socket.socket(socket.AF_INET, kind)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("", port))
        if kind == socket.SOCK_STREAM:
            one.listen()
        ready.register(one, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in ready.select():
        one = key.fileobj
        if one.type == socket.SOCK_DGRAM:
            one.sendto(*one.recvfrom(9))
        elif one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            ready.register(one.accept()[0], selectors.EVENT_READ)
        elif data := one.recv(9):
            one.sendall(data)
        else:
            ready.unregister(one)
            one.close()
"""
"""Answers every byte on TCP and UDP port 80 and 81."""

CLIENT = """
import socket, sys
kind, address, port, source = sys.argv[1:]
one = socket.socket(socket.AF_INET, getattr(socket, kind))
one.settimeout(0.4)
one.bind((source, 0))
asked = 0
try:
    one.connect((address, int(port)))
    for line in sys.stdin:
        one.send(b"x")
        print("answered" if one.recv(9) == b"x" else "closed", flush=True)
except OSError as error:
    print(f"no answer: {error}", flush=True)
"""
"""Sends a byte for every line of its input, and says whether it was answered."""

RAW = """
import select, socket, sys
number, source, address = int(sys.argv[1]), *sys.argv[2:]
one = socket.socket(socket.AF_INET, socket.SOCK_RAW, number)
one.bind((source, 0))
if address == "listen":
    print("ready", flush=True)
    print("heard" if select.select([one], [], [], 1.0)[0] else "silence", flush=True)
else:
    one.sendto(b"x" * 32, (address, 0))
"""
"""Sends one packet of an IP protocol, or waits for one."""


class Net:
    """A lab's network with two cards on its private bridge, each in a namespace of its own."""

    def __init__(self, lab: LabPaths) -> None:
        self.lab = lab
        self.spaces = {A: f"{lab.namespace}-a", B: f"{lab.namespace}-b", GATEWAY: lab.namespace}
        self.running: list[subprocess.Popen[str]] = []

    def up(self) -> None:
        network.up(self.lab.namespace)
        for number in (A, B):
            self.ip("netns", "add", self.spaces[number])
            self.ip("-n", self.spaces[number], "link", "set", "lo", "up")
            self.plug(number)
            self.start(number, SERVER)

    def plug(self, number: int) -> None:
        """A new card and its end on the bridge, as when a host boots."""
        self.ip("-n", self.lab.namespace, "link", "delete", f"pr{number}", check=False)
        card = ("-n", self.lab.namespace, "link", "add", f"pr{number}", "type", "veth")
        peer = ("peer", "name", "eth0", "address", f"06:00:0a:90:0c:{number:02x}", "netns")
        self.ip(*card, *peer, self.spaces[number])
        self.ip("-n", self.lab.namespace, "link", "set", f"pr{number}", "master", "private", "up")
        self.ip("-n", self.spaces[number], "address", "add", f"10.144.12.{number}/24", "dev", "eth0")
        self.ip("-n", self.spaces[number], "link", "set", "eth0", "up")

    def down(self) -> None:
        for process in self.running:
            process.kill()
            process.communicate()
        for number in (A, B):
            self.ip("netns", "delete", self.spaces[number], check=False)
        network.down(self.lab.namespace)

    @staticmethod
    def ip(*words: str, check: bool = True) -> None:
        subprocess.run(["ip", *words], check=check, capture_output=True)

    def start(self, number: int, program: str, *words: str) -> subprocess.Popen[str]:
        """A program inside, once it has said its first line."""
        process = self.run(number, program, *words)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def run(self, number: int, program: str, *words: str) -> subprocess.Popen[str]:
        """A program inside."""
        enter = network.enter(self.spaces[number])
        process = subprocess.Popen(
            [*enter, sys.executable, "-S", "-c", program, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        return process

    def filters(self, *cards: CardFilter) -> None:
        packet_filter.load(self.lab.namespace, packet_filter.groups_text(cards))

    def talk(self, sender: int, receiver: int, port: int, kind: str = "STREAM", source: str = "") -> Talk:
        """A conversation, not yet begun."""
        origin = source or ADDRESS.format(sender)
        words = (f"SOCK_{kind}", ADDRESS.format(receiver), str(port), origin)
        return Talk(self.run(sender, CLIENT, *words))

    def reaches(self, *where: Any, **how: Any) -> bool:
        """Whether one byte is answered."""
        return self.talk(*where, **how).answered()

    def hears(self, sender: int, receiver: int, protocol: int) -> bool:
        """Whether a packet of that IP protocol arrives."""
        listener = self.start(receiver, RAW, str(protocol), ADDRESS.format(receiver), "listen")
        assert listener.stdout is not None
        sent = self.run(sender, RAW, str(protocol), ADDRESS.format(sender), ADDRESS.format(receiver))
        assert sent.wait(10) == 0
        return listener.stdout.readline() == "heard\n"


class Talk:
    """A connection that lives over changes of the filters."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def answered(self) -> bool:
        """Send a byte; whether it is answered."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() == "answered\n"


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    made = Net(LabPaths(f"filter-{os.getpid()}", tmp_path))
    try:
        made.up()
        found = packet_filter.prepare(made.lab.namespace, made.lab.packet_filter)
        assert found.tracking is not None, found.problem
        cuts.reload(made.lab)
        yield made
    finally:
        made.down()


def tcp(direction: Any, port: int, *remotes: str) -> FilterRule:
    return FilterRule(direction, "IPv4", "tcp", port, port, remotes or None)


ALL_OUT = FilterRule("egress", "IPv4")


def test_a_card_lets_in_what_its_rules_allow_and_answers(net: Net) -> None:
    assert net.reaches(A, B, 81), "without a group everything is open"
    net.filters(CardFilter(B, "private", (tcp("ingress", 80), ALL_OUT)))
    assert net.reaches(A, B, 80)
    assert not net.reaches(A, B, 81)
    assert not net.reaches(A, B, 80, "DGRAM")
    assert net.reaches(B, A, 81), "out, and its answers in"
    assert net.reaches(B, A, 81, "DGRAM")


def test_a_group_without_rules_lets_nothing_in_or_out(net: Net) -> None:
    net.filters(CardFilter(B, "private", ()))
    assert not net.reaches(A, B, 80)
    assert not net.reaches(B, A, 80)
    assert not net.hears(B, A, 50)


def test_what_is_sent_needs_a_rule_of_the_sender(net: Net) -> None:
    net.filters(CardFilter(A, "private", (tcp("egress", 80),)))
    assert net.reaches(A, B, 80)
    assert not net.reaches(A, B, 81)
    assert not net.reaches(B, A, 80)


def test_both_ends_must_allow_it(net: Net) -> None:
    sender, receiver = CardFilter(A, "private", (tcp("egress", 81),)), (tcp("ingress", 80),)
    net.filters(sender, CardFilter(B, "private", receiver))
    assert not net.reaches(A, B, 80)
    assert not net.reaches(A, B, 81)


def test_a_rule_for_addresses_counts_for_them_alone(net: Net) -> None:
    net.filters(
        CardFilter(B, "private", (tcp("ingress", 80, ADDRESS.format(A)), tcp("ingress", 81, "10.9.0.0/16")))
    )
    assert net.reaches(A, B, 80)
    assert not net.reaches(GATEWAY, B, 80)
    assert not net.reaches(A, B, 81)


def test_services_at_the_gateway_are_reached_by_egress_rules_only(net: Net) -> None:
    net.start(GATEWAY, SERVER)
    net.filters(CardFilter(A, "private", (tcp("egress", 80, ADDRESS.format(GATEWAY)),)))
    assert net.reaches(A, GATEWAY, 80)
    assert not net.reaches(A, GATEWAY, 81)
    assert not net.reaches(A, B, 80)
    assert not net.reaches(GATEWAY, A, 80), "the gateway is nobody special"


@pytest.mark.parametrize("protocol", [50, 112])
def test_protocols_without_ports_need_a_rule_for_any_protocol_or_their_own(net: Net, protocol: int) -> None:
    def heard(rule: FilterRule) -> bool:
        net.filters(CardFilter(B, "private", (rule,)))
        return net.hears(A, B, protocol)

    assert not heard(tcp("ingress", 80))
    assert heard(FilterRule("ingress", "IPv4", remotes=(ADDRESS.format(A),)))
    assert heard(FilterRule("ingress", "IPv4", "vrrp")) is (protocol == 112)


def test_connections_outlive_a_change_and_new_ones_go_by_it(net: Net) -> None:
    net.filters(CardFilter(B, "private", (tcp("ingress", 80),)))
    talk = net.talk(A, B, 80)
    assert talk.answered()
    net.filters(CardFilter(B, "private", ()))
    assert talk.answered(), "established before the change"
    assert not net.reaches(A, B, 80)


def test_a_new_card_of_the_same_host_has_the_filter(net: Net) -> None:
    net.filters(CardFilter(B, "private", (tcp("ingress", 80),)))
    net.plug(B)
    assert net.reaches(A, B, 80)
    assert not net.reaches(A, B, 81)


def test_the_console_gets_in_through_every_filter_and_cut_and_nobody_else_with_its_address(net: Net) -> None:
    # Port 22 belongs to the console; the server listens on 80, so let 22 lead there.
    redirect = "add table ip t; add chain ip t c { type nat hook prerouting priority -100; }; "
    words = [*network.enter(net.spaces[B]), "nft", f"{redirect}add rule ip t c tcp dport 22 redirect to :80"]
    subprocess.run(words, check=True)
    console = str(network.CONSOLE)
    net.filters(CardFilter(B, "private", ()))
    cuts.add(net.lab, Cut(B))
    assert not net.reaches(GATEWAY, B, 22)
    assert net.reaches(GATEWAY, B, 22, source=console)
    assert not net.reaches(GATEWAY, B, 80, source=console)
    net.ip("-n", net.spaces[A], "address", "add", f"{console}/24", "dev", "eth0")
    cuts.heal(net.lab)
    assert not net.reaches(A, B, 22, source=console)


def test_a_cut_stops_what_is_open_until_it_is_healed(net: Net) -> None:
    talk = net.talk(A, B, 80, "DGRAM")
    assert talk.answered()
    cuts.add(net.lab, Cut(B))
    assert not net.reaches(A, B, 80)
    assert not net.reaches(GATEWAY, B, 80)
    net.plug(B)
    assert not net.reaches(A, B, 80), "a reboot does not heal it"
    packet_filter.load(net.lab.namespace, packet_filter.cuts_text([]))
    cuts.reload(net.lab)
    assert not net.reaches(A, B, 80), "it is remembered"
    assert cuts.heal(net.lab, B) == [Cut(B)]
    assert net.reaches(A, B, 80)
    assert cuts.heal(net.lab) == []


def test_a_cut_from_one_host_leaves_the_others(net: Net) -> None:
    cuts.add(net.lab, Cut(B, A))
    assert not net.reaches(A, B, 80)
    assert net.reaches(GATEWAY, B, 80)


def test_a_cut_of_one_direction_lets_the_other_pass(net: Net) -> None:
    cuts.add(net.lab, Cut(B, direction="in"))
    assert net.hears(B, A, 50)
    assert not net.hears(A, B, 50)
    cuts.add(net.lab, Cut(B, direction="out"))
    assert cuts.present(net.lab) == [Cut(B, direction="out")], "in place of the one before"
    assert net.hears(A, B, 50)
    assert not net.hears(B, A, 50)


def test_what_is_lost_of_a_lossy_link_is_about_what_was_asked_for(net: Net) -> None:
    cuts.add(net.lab, Cut(B, loss=500))
    burst = f"""
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
for _ in range(400):
    one.sendto(b"x", ({ADDRESS.format(B)!r}, 0))
"""
    count = """
import select, socket
one = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
print("ready", flush=True)
heard = 0
while select.select([one], [], [], 1.5)[0]:
    one.recv(99)
    heard += 1
print(heard, flush=True)
"""
    listener = net.start(B, count)
    assert net.run(A, burst).wait(10) == 0
    assert listener.stdout is not None
    assert 120 <= int(listener.stdout.readline()) <= 280
