"""Security groups and cuts on real hosts: two servers behind the program's own rules, without a stack.

Owned here: that a closed port shows as the program's own error, that rules and cuts hold over restarts, and
that the console gets in all the time. Left to others: rules of every kind (test_packets.py) and
a whole cluster behind them (test_whole_job.py, whose stack has its firewall on).

The tests tell one story, in the order they are written.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from components import etcd, swarm_ports
from components.host_scripts import swarm
from components.host_scripts.shell import script
from components.softlayer.firewall import SELF, Rule, private_rules
from lab import network, packet_filter, paths, services
from lab.daemons import service
from tests.lab.whole_cluster import LAB, empty_lab, in_lab, on_host, run, wait_for

pytestmark = pytest.mark.lab

ORDER = (
    *("--cpu", "1", "--memory", "1024", "--datacenter", "tor01", "--os", "DEBIAN_LATEST", "--disk", "25"),
    *("--network", "100", "--billing", "hourly", "--domain", "example.com"),
)
SWARM = Rule("ingress", "tcp", 2377, 2380, SELF)
FIRST = "10.144.12.10"


def tables(*words: str) -> list[Any]:
    """What SoftLayer's own command line prints, table by table, without its notices."""
    said = in_lab("slcli", "--format", "json", "-y", *words).stdout
    decoder, found, at = json.JSONDecoder(), [], 0
    while begin := re.compile(r"^[\[{]", re.MULTILINE).search(said, at):
        table, at = decoder.raw_decode(said, begin.start())
        found.append(table)
    return found


def slcli(*words: str) -> Any:
    """Its first table."""
    return tables(*words)[0]


def lab(*words: str) -> str:
    command, *rest = words
    return run(sys.executable, "-m", "lab", command, "--name", LAB, *rest).stdout


def open_port(group: str, rule: Rule) -> None:
    words = ["--direction", rule.direction, "--ethertype", rule.ethertype]
    if rule.protocol:
        words += ["--protocol", rule.protocol]
    if rule.first_port:
        words += ["--port-min", str(rule.first_port), "--port-max", str(rule.last_port)]
    if rule.source == SELF:
        words += ["--remote-group", group]
    tables("securitygroup", "rule-add", group, *words)


def close_port(group: str, port: int) -> None:
    for rule in slcli("securitygroup", "rule-list", group):
        if rule["protocol"] == "tcp" and rule["portRangeMin"] == port:
            tables("securitygroup", "rule-remove", group, str(rule["id"]))


def reaches(host: str, address: str, port: int) -> bool:
    """Whether a host can open a connection."""
    tried = f"timeout 3 bash -c ': <>/dev/tcp/{address}/{port}' 2>/dev/null && echo open || echo closed"
    return on_host(host, tried).strip() == "open"


def joined(token: str, address: str, patience: int) -> subprocess.CompletedProcess[str]:
    """The program's own step on the second host, with less patience than its five minutes."""
    text = script(swarm.join("two"))
    given = f"token={token} address={address} cluster=''\nmanagers=({FIRST})"
    values = "read -r token address cluster\nread -ra managers"
    for old, new in (("SECONDS + 300", f"SECONDS + {patience}"), (values, given)):
        assert text.count(old) == 1
        text = text.replace(old, new)
    done = subprocess.run(
        [sys.executable, "-m", "lab", "ssh", "--name", LAB, "two", 'bash -c "$(cat)"'],
        input=text,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    print(done.stdout, done.stderr)
    return done


@pytest.fixture(scope="module")
def group() -> Iterator[str]:
    """Two servers with engines, and the group of their private cards with the rules of a plain overlay."""
    with empty_lab():
        made = str(slcli("securitygroup", "create", "--name", "hosts")["id"])
        for rule in private_rules(ports=[*swarm_ports.SWARM, ("tcp", etcd.PEER_PORT)]):
            open_port(made, rule)
        for name in ("one", "two"):
            slcli("vs", "create", "--hostname", name, *ORDER, "--private-security-group", made)
        for name in ("one", "two"):
            in_lab("slcli", "vs", "ready", name, "--wait", "300")
        install = "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install docker.io"
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: on_host(name, install), ("one", "two")))
        yield made


@pytest.fixture(scope="module")
def token(group: str) -> str:
    """A swarm on the first host, and what another one joins it with."""
    on_host("one", f"docker swarm init --advertise-addr {FIRST}")
    return on_host("one", "docker swarm join-token -q worker").strip()


def test_servers_are_ready_though_nobody_may_log_in_over_their_private_network(group: str) -> None:
    assert on_host("one", "hostname").strip() == "one", "the console gets in"
    with pytest.raises(TimeoutError):
        network.connect(paths.lab(LAB).namespace, FIRST, 22, 3).close()


def test_a_closed_port_is_the_programs_own_error_with_the_port_and_where_to_look(
    group: str, token: str
) -> None:
    close_port(group, 2377)
    done = joined(token, "10.144.12.11", 15)
    assert done.returncode != 0
    assert "two could not join the swarm of 10.144.12.10 in 5 minutes" in done.stderr
    assert "10.144.12.10 does not answer on port 2377" in done.stderr
    assert "check that port 2377 of one of them answers it over the private network" in done.stderr
    assert reaches("two", FIRST, 7946), "only this port was closed"


def test_with_the_rule_back_it_joins(group: str, token: str) -> None:
    open_port(group, SWARM)
    assert joined(token, "10.144.12.11", 120).returncode == 0
    assert on_host("one", "docker node ls --format '{{.Hostname}} {{.Status}}'").split() == [
        *("one", "Ready"),
        *("two", "Ready"),
    ]


def test_rules_are_in_force_after_the_api_was_killed(group: str, token: str) -> None:
    close_port(group, 7946)
    assert not reaches("two", FIRST, 7946)
    number = services.pid(service(paths.lab(LAB), "api"))
    assert number is not None
    os.kill(number, signal.SIGKILL)
    packet_filter.load(paths.lab(LAB).namespace, packet_filter.groups_text([]))
    assert reaches("two", FIRST, 7946), "nobody filters"
    lab("up")
    assert not reaches("two", FIRST, 7946)
    open_port(group, Rule("ingress", "tcp", 7946, 7946, SELF))
    assert reaches("two", FIRST, 7946)


def node_is(state: str) -> bool:
    said = on_host("one", "docker node inspect two --format '{{.Status.State}}'", check=False)
    return said.strip() == state


def test_a_cut_host_is_lost_until_it_is_healed_even_over_a_reboot(group: str, token: str) -> None:
    assert "two from everybody on the private network" in lab("cut", "two")
    wait_for("the swarm to miss the host", lambda: node_is("down"))
    boot = on_host("two", "cat /proc/sys/kernel/random/boot_id")
    in_lab("slcli", "-y", "vs", "reboot", "two")
    told = "cat /proc/sys/kernel/random/boot_id"
    wait_for("another boot", lambda: on_host("two", told, check=False) not in ("", boot))
    assert not reaches("two", FIRST, 2377)
    assert "two from everybody on the private network" in lab("status")
    lab("heal", "two")
    wait_for("the swarm to have the host back", lambda: node_is("ready"))


def test_traffic_of_the_hosts_is_told(group: str, token: str) -> None:
    summary, _ = tables("vs", "bandwidth", "two", "-s", "2020-01-01", "-e", "2100-01-01")
    received = {row["Type"]: row["Sum GB"] for row in summary}
    assert received["Pri In"] > 0.03, "the engine's packages came over the private network"
    assert received["Pri In"] > received["Pri Out"] > 0


def test_filters_and_cuts_go_with_their_host(group: str, token: str) -> None:
    lab("cut", "two")
    number = slcli("vs", "list", "--hostname", "two")[0]["id"]
    in_lab("slcli", "-y", "vs", "cancel", "two")
    wait_for("the server to be gone", lambda: len(slcli("vs", "list")) == 1)
    namespace = paths.lab(LAB).namespace
    loaded = subprocess.run(
        [*network.enter(namespace), "nft", "list", "ruleset"], capture_output=True, text=True, check=True
    ).stdout
    assert f"pr{number}" not in loaded
    assert "10.144.12.11" not in loaded
    assert "two from" not in lab("status")
