"""What load balancers hear of real nodes: one takes the writes, whatever ends it another one follows.

The rule one by one, and the codes: test_galera_node_writer.py.
"""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from harness.image_containers import wait_for
from tests.images.galera_site import (
    GaleraSite,
    add,
    cluster,
    formed,
    galera_address,
    rows,
    server_pid,
    start,
    synced,
)

pytestmark = pytest.mark.images

ASK = """
import http.client, sys
codes = []
for path in ("/writer", "/reader"):
    for address in sys.argv[1:]:
        connection = http.client.HTTPConnection(address, 4569, timeout=1)
        try:
            connection.request("HEAD", path)
            codes.append(str(connection.getresponse().status))
        except OSError:
            codes.append("-")
print(*codes)
"""


def codes(site: GaleraSite) -> tuple[list[str], list[str]]:
    """What galera-1, -2 and -3 answer to a load balancer, for the writer and for readers; `-`: nothing."""
    asker = site.containers["etcd-1"]
    found = asker.run("/usr/bin/python3", "-ISc", ASK, *(galera_address(n) for n in (1, 2, 3))).stdout.split()
    return found[:3], found[3:]


def writer(site: GaleraSite) -> int:
    """Number of the one node that takes the writes. Raises OSError unless it is one."""
    answers = codes(site)[0]
    if answers.count("200") != 1:
        raise OSError(f"the writer: {answers}")
    return answers.index("200") + 1


def another(site: GaleraSite, than: int) -> int:
    """Wait until another node takes the writes; its number."""
    wait_for(lambda: writer(site) != than, f"another writer than galera-{than}", 120)
    return writer(site)


def test_whatever_ends_the_writer_another_node_follows_and_stays(site: GaleraSite) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    first = wait_for(lambda: writer(site), "a writer")
    wait_for(lambda: codes(site)[1] == ["200"] * 3, "three readers")

    os.kill(server_pid(nodes[first - 1]), signal.SIGKILL)
    second = another(site, first)
    add(nodes[second - 1], "after the death of mariadbd")
    wait_for(lambda: not nodes[first - 1].running, "its container's end")
    nodes[first - 1].start()  # as the engine does
    wait_for(lambda: codes(site)[1] == ["200"] * 3, "the first one back")
    assert writer(site) == second

    hung = server_pid(nodes[second - 1])
    os.kill(hung, signal.SIGSTOP)
    third = another(site, second)
    os.kill(hung, signal.SIGCONT)
    wait_for(lambda: all(synced(node) for node in nodes), "three Synced nodes again")
    wait_for(lambda: codes(site)[1] == ["200"] * 3, "three readers again")
    assert writer(site) == third

    # An orderly stop: the old one still serves whom it has when the new one takes whoever comes.
    seen: list[tuple[list[str], list[str]]] = []
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.is_set():
            seen.append(codes(site))
            time.sleep(0.1)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        assert nodes[third - 1].stop() == 0
    finally:
        stopped.set()
        watching.join()
    old = third - 1
    assert any(w[old] == "404" and w.count("200") == 1 and r[old] == "404" for w, r in seen), seen
    assert all(w.count("200") <= 1 for w, _ in seen), seen
    fourth = another(site, third)
    nodes[old].start()
    formed(nodes)
    assert len(set(rows(nodes))) == 1

    # A person takes the writer out, and puts it back.
    done = nodes[0].run("/usr/local/bin/galera-node", "maintenance", "on", f"galera-{fourth}")
    assert done.returncode == 0, done.stderr
    fifth = another(site, fourth)
    wait_for(lambda: codes(site)[1][fourth - 1] == "503", "no reader there")
    assert "in maintenance" in cluster(nodes[0])
    assert synced(nodes[fourth - 1])
    nodes[0].run("/usr/local/bin/galera-node", "maintenance", "off", f"galera-{fourth}")
    wait_for(lambda: codes(site)[1] == ["200"] * 3, "three readers in the end")
    assert writer(site) == fifth
