"""HAProxy as the image has it, before nodes that say what a Galera node says.

Owned here: which node a connection comes to, what becomes of it when nodes say otherwise, the start, the end
and the statistics. Left to others: what real nodes say and when (test_galera_processes.py), the service
(tests/unit/components/test_load_balancer.py).
"""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.image_containers import Container, Site, wait_for
from harness.image_roots import image_root
from harness.name_server import NameServer, socket_in
from tests.images.fake_nodes import FakeNode

pytestmark = pytest.mark.images

WRITER, READER, STATS = 6446, 6447, 8404
PASSWORD = "Password0123456789"
AT_ONCE = 1.5
"""Seconds for what does not wait for anything, on a busy machine."""


class Balancer:
    """One load balancer, three nodes, and a client's place on the network.

    The nodes are `galera-1` … at 10.77.0.11 …; the first one is the writer.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.nodes = [self.node(number) for number in (1, 2, 3)]
        self.client = site.network.attach("client", "10.77.0.9")
        self.proxy = site.add(
            "haproxy",
            "haproxy",
            5,
            user="997:997",
            volume_at="/mnt",
            command=("/usr/local/bin/haproxy-node", "run"),
            env={"NODE_NAME": "galera-1", "SERVERS": "8"},
            secrets={"haproxy-stats-password": PASSWORD},
            hosts="",
        )
        self.names = NameServer(self.proxy.namespace)

    def node(self, number: int) -> FakeNode:
        """A node that runs and serves nobody."""
        address = f"10.77.0.{10 + number}"
        made = FakeNode(f"galera-{number}", self.site.network.attach(f"n{number}", address), address)
        made.start()
        return made

    def start(self) -> None:
        """All nodes are known and serve, the first one as the writer."""
        self.writer(1)
        for node in self.nodes:
            node.says["/reader"] = 200
        self.names.addresses = [node.address for node in self.nodes]
        self.proxy.start()
        wait_for(lambda: self.greeted(WRITER), "the writer's port leads to a node", 20)

    def writer(self, number: int, former: int = 503) -> None:
        """The record names another one. Args: former: what the one before says from now on."""
        for at, node in enumerate(self.nodes, 1):
            was = node.says["/writer"] == 200
            node.says["/writer"] = 200 if at == number else former if was else 503

    def connect(self, port: int) -> socket.socket:
        """A connection of a client. Raises OSError."""
        made = socket_in(self.client)
        made.settimeout(10)
        try:
            made.connect((self.proxy.address, port))
        except OSError:
            made.close()
            raise
        return made

    def session(self, port: int) -> Session:
        """A client's session with a node. Raises OSError, or EOFError when there was no node."""
        return Session(self.connect(port))

    def greeted(self, port: int) -> str:
        """Which node a new session comes to; empty for none."""
        try:
            with self.session(port) as session:
                return session.node
        except (OSError, EOFError):
            return ""

    def until(self, port: int, node: str) -> None:
        wait_for(lambda: self.greeted(port) == node, f"port {port} leads to {node}", 15)


class Session:
    """An open session; `node` is the one that it is with."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        try:
            first = connection.recv(200)
            if not first.startswith(b"galera-"):
                raise EOFError(first)
        except (OSError, EOFError):
            connection.close()
            raise
        self.node = first.decode().strip()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def lives(self) -> bool:
        """Whether the node answers."""
        self._connection.settimeout(5)
        try:
            self._connection.sendall(b"hello\n")
            return self._connection.recv(100) == b"hello\n"
        except OSError:
            return False

    def ends_within(self, seconds: float) -> bool:
        """Whether the other side closes it."""
        self._connection.settimeout(seconds)
        try:
            return self._connection.recv(100) == b""
        except TimeoutError:
            return False
        except OSError:
            return True


@pytest.fixture
def balancer() -> Iterator[Balancer]:
    with Site({"haproxy": image_root("haproxy")}) as site:
        made = Balancer(site)
        try:
            yield made
        finally:
            for node in made.nodes:
                node.stop()
            made.names.close()


def test_the_writers_port_leads_to_the_one_node_that_says_so_and_to_no_other(balancer: Balancer) -> None:
    balancer.start()
    assert {balancer.greeted(WRITER) for _ in range(20)} == {"galera-1"}
    balancer.writer(3)
    balancer.until(WRITER, "galera-3")
    assert {balancer.greeted(WRITER) for _ in range(20)} == {"galera-3"}


def test_before_the_first_checks_nobody_comes_to_a_node_that_is_not_the_writer(balancer: Balancer) -> None:
    """The version takes servers for up until a check says otherwise; see gate.lua."""
    balancer.writer(3)
    balancer.names.addresses = [node.address for node in balancer.nodes]
    balancer.proxy.start()
    found: Counter[str] = Counter()
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        found[balancer.greeted(WRITER)] += 1
    assert set(found) - {""} == {"galera-3"}


def test_a_node_that_comes_to_be_known_gets_no_writes_before_it_was_asked(balancer: Balancer) -> None:
    balancer.start()
    balancer.nodes += [balancer.node(4), balancer.node(5)]
    balancer.names.addresses = [node.address for node in balancer.nodes]
    found: Counter[str] = Counter()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (balancer.nodes[-1].asked and balancer.nodes[-2].asked):
        found[balancer.greeted(WRITER)] += 1
    assert balancer.nodes[-1].asked
    for _ in range(50):
        found[balancer.greeted(WRITER)] += 1
    assert set(found) == {"galera-1"}


def test_a_writer_that_drains_keeps_its_sessions_and_gets_no_more(balancer: Balancer) -> None:
    balancer.start()
    with balancer.session(WRITER) as before:
        balancer.writer(2, former=404)
        balancer.until(WRITER, "galera-2")
        assert {balancer.greeted(WRITER) for _ in range(10)} == {"galera-2"}
        assert before.lives()
        # And when it does not serve any longer, they end.
        balancer.nodes[0].says["/writer"] = 503
        assert before.ends_within(5)
    with balancer.session(WRITER) as after:
        assert after.lives()


def test_sessions_of_a_writer_that_is_none_any_longer_are_cut(balancer: Balancer) -> None:
    balancer.start()
    with balancer.session(WRITER) as before, balancer.session(READER) as reader:
        balancer.writer(2)
        assert before.ends_within(5)
        assert reader.lives()
        balancer.until(WRITER, "galera-2")


@pytest.mark.parametrize("dead", ["process", "hung", "host"])
def test_a_dead_nodes_sessions_are_cut_and_new_ones_go_to_its_successor(
    balancer: Balancer, dead: str
) -> None:
    balancer.start()
    with balancer.session(WRITER) as before:
        if dead == "process":
            balancer.nodes[0].stop()
        elif dead == "host":
            balancer.site.network.cut(balancer.nodes[0].namespace)
        else:
            balancer.nodes[0].says = dict.fromkeys(("/writer", "/reader"), 0)
        balancer.nodes[1].says["/writer"] = 200
        assert before.ends_within(10)
        balancer.until(WRITER, "galera-2")
    assert {balancer.greeted(READER) for _ in range(6)} == {"galera-2", "galera-3"}


def refused(balancer: Balancer, port: int) -> tuple[float, bytes]:
    """After how many seconds a new connection is closed, and what was said before."""
    start = time.monotonic()
    with balancer.connect(port) as connection:
        said = b""
        while more := connection.recv(4096):
            said += more
    return time.monotonic() - start, said


def test_without_a_node_that_serves_clients_are_refused_at_once_and_told_why(balancer: Balancer) -> None:
    balancer.start()
    for node in balancer.nodes:
        node.says = dict.fromkeys(node.says, 503)
    wait_for(lambda: not balancer.greeted(WRITER) and not balancer.greeted(READER), "nobody serves", 10)
    for port in (WRITER, READER):
        seconds, said = refused(balancer, port)
        assert seconds < AT_ONCE
        # MySQL's error packet: length, number 0, 255, code, text.
        assert said[:4] == bytes([len(said) - 4, 0, 0, 0])
        assert (said[4], int.from_bytes(said[5:7], "little")) == (255, 1047)
        assert b"no node of the cluster serves" in said[7:]
    assert health(balancer.proxy) == 0


def test_a_name_that_is_not_there_yet_keeps_nothing_from_starting(balancer: Balancer) -> None:
    for node in balancer.nodes:
        node.says["/reader"] = 200
    balancer.writer(2)
    balancer.proxy.start()
    wait_for(lambda: health(balancer.proxy) == 0, "it answers", 20)
    assert refused(balancer, WRITER)[0] < AT_ONCE
    balancer.names.addresses = [node.address for node in balancer.nodes]
    balancer.until(WRITER, "galera-2")


def test_nodes_that_the_engine_takes_off_its_list_keep_their_sessions_while_they_drain(
    balancer: Balancer,
) -> None:
    """A task that is told to stop is off the list at the same moment."""
    balancer.start()
    with balancer.session(WRITER) as before:
        balancer.names.addresses = [node.address for node in balancer.nodes[1:]]
        balancer.writer(2, former=404)
        balancer.until(WRITER, "galera-2")
        time.sleep(4)
        assert before.lives()


def test_a_name_server_that_is_away_changes_nothing(balancer: Balancer) -> None:
    balancer.start()
    with balancer.session(WRITER) as before:
        balancer.names.close()
        time.sleep(8)  # more than all tries
        assert before.lives()
        assert balancer.greeted(WRITER) == "galera-1"
        balancer.writer(2)
        balancer.until(WRITER, "galera-2")


def test_a_node_with_a_new_address_is_found(balancer: Balancer) -> None:
    balancer.start()
    balancer.nodes[0].stop()
    balancer.nodes[0] = balancer.node(7)
    balancer.nodes[0].says = {"/writer": 200, "/reader": 200}
    balancer.names.addresses = [node.address for node in balancer.nodes]
    balancer.until(WRITER, "galera-7")
    wait_for(lambda: balancer.greeted(READER) == "galera-7", "as a reader, too", 10)


def test_readers_go_to_the_node_with_the_fewest_sessions_among_all_that_serve(balancer: Balancer) -> None:
    balancer.start()
    wait_for(lambda: len({balancer.greeted(READER) for _ in range(6)}) == 3, "all three read", 10)
    with contextlib.ExitStack() as kept:
        held = Counter(kept.enter_context(balancer.session(READER)).node for _ in range(9))
        assert held == {"galera-1": 3, "galera-2": 3, "galera-3": 3}
        balancer.nodes[1].says["/reader"] = 404
        wait_for(lambda: "galera-2" not in {balancer.greeted(READER) for _ in range(6)}, "it drains", 10)
        more = Counter(kept.enter_context(balancer.session(READER)).node for _ in range(4))
        assert more == {"galera-1": 2, "galera-3": 2}
        balancer.nodes[1].says["/reader"] = 200
        balancer.until(READER, "galera-2")


def test_the_statistics_want_the_password_and_show_the_servers(balancer: Balancer) -> None:
    balancer.start()

    def asked(password: str | None) -> str:
        words = "GET /;csv HTTP/1.0\r\nHost: x\r\n"
        if password is not None:
            words += f"Authorization: Basic {base64.b64encode(f'admin:{password}'.encode()).decode()}\r\n"
        with balancer.connect(STATS) as connection:
            connection.sendall(f"{words}\r\n".encode())
            answer = b""
            while more := connection.recv(65536):
                answer += more
        return answer.decode()

    assert asked(None).startswith("HTTP/1.1 401")
    assert asked("wrong").startswith("HTTP/1.1 401")
    page = asked(PASSWORD)
    assert page.startswith("HTTP/1.1 200")
    assert "writer,node1," in page


def processes(proxy: Container) -> list[int]:
    """HAProxy's: the master, which gets the engine's signals, and the one that has the connections."""
    master = proxy.init_pid()
    return [master, *map(int, Path(f"/proc/{master}/task/{master}/children").read_text().split())]


def health(proxy: Container) -> int:
    return proxy.run("/usr/local/bin/haproxy-node", "health").returncode


def test_the_password_is_in_no_argument_variable_file_or_line_of_the_log(balancer: Balancer) -> None:
    balancer.start()
    for pid in processes(balancer.proxy):
        for file in ("cmdline", "environ"):
            assert PASSWORD.encode() not in Path(f"/proc/{pid}/{file}").read_bytes()
    assert PASSWORD not in balancer.proxy.log
    in_its_own = balancer.proxy.run("/usr/bin/grep", "-rlF", PASSWORD, "/tmp", "/etc", "/run/secrets")
    assert in_its_own.stdout.split() == ["/run/secrets/haproxy-stats-password"]


def test_a_missing_password_is_said_with_its_remedy_and_ends_the_start(balancer: Balancer) -> None:
    (balancer.proxy.here / "secrets/haproxy-stats-password").unlink()
    balancer.proxy.start()
    assert balancer.proxy.process is not None
    assert balancer.proxy.process.wait(timeout=20) == 2
    assert "Attach the secret 'haproxy-stats-password' to the service" in balancer.proxy.log


def test_health_is_that_of_the_process_and_not_of_the_database(balancer: Balancer) -> None:
    balancer.start()
    assert health(balancer.proxy) == 0
    _master, worker = processes(balancer.proxy)
    os.kill(worker, signal.SIGSTOP)
    try:
        hung = balancer.proxy.run("/usr/local/bin/haproxy-node", "health")
    finally:
        os.kill(worker, signal.SIGCONT)
    assert (hung.returncode, "does not answer" in hung.stdout) == (1, True)


def test_a_stop_takes_no_more_connections_and_leaves_the_others_five_seconds(balancer: Balancer) -> None:
    balancer.start()
    with balancer.session(WRITER) as held:
        start = time.monotonic()
        os.kill(balancer.proxy.init_pid(), signal.SIGUSR1)  # as the image's STOPSIGNAL says
        wait_for(lambda: not balancer.greeted(WRITER), "no new connection", 3)
        with pytest.raises(ConnectionRefusedError):
            balancer.connect(READER)
        assert held.lives()
        assert held.ends_within(8)
        assert balancer.proxy.process is not None
        assert balancer.proxy.process.wait(timeout=10) == 0
        assert 4 <= time.monotonic() - start < 8


def test_a_stop_without_any_sessions_takes_no_time(balancer: Balancer) -> None:
    balancer.start()
    time.sleep(0.5)
    start = time.monotonic()
    os.kill(balancer.proxy.init_pid(), signal.SIGUSR1)
    assert balancer.proxy.process is not None
    assert balancer.proxy.process.wait(timeout=10) == 0
    assert time.monotonic() - start < AT_ONCE + 1


def test_sigterm_ends_it_in_order_and_at_once(balancer: Balancer) -> None:
    balancer.start()
    with balancer.session(WRITER) as held:
        start = time.monotonic()
        assert balancer.proxy.stop() == 0
        assert held.ends_within(AT_ONCE)
        assert time.monotonic() - start < AT_ONCE
    # And it can be started anew.
    balancer.proxy.start()
    balancer.until(WRITER, "galera-1")


def test_the_log_has_changes_of_servers_once_and_neither_checks_nor_connections(balancer: Balancer) -> None:
    balancer.start()
    for _ in range(20):
        balancer.greeted(WRITER)
    wait_for(lambda: balancer.proxy.log.count("writer/node") >= 2, "what the checks have found", 10)
    before = balancer.proxy.log
    time.sleep(3)
    assert balancer.proxy.log == before

    def said() -> list[str]:
        return balancer.proxy.log[len(before) :].splitlines()

    balancer.writer(2)
    changes = ["writer/node1 is DOWN", "writer/node2 is UP"]
    wait_for(lambda: len(said()) == 2 and all(any(c in line for line in said()) for c in changes), "both", 10)
