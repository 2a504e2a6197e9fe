"""Hosts replaced in one word, the first manager too, with writes going on, and one call that was broken off.

Left to others: what is refused (unit/operations/replace/test_replacement.py, test_well.py), a server that
somebody cancelled (test_any_manager.py).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.lab.whole_cluster import (
    CHECKOUT,
    HOSTS,
    LAB,
    LONG,
    SETTINGS,
    checksums,
    cluster_uuid,
    guests,
    holds,
    insert,
    nothing_changes,
    on_host,
    operations,
    outputs,
    sql,
)
from tests.lab.writer import nothing_is_lost, verified, writing

pytestmark = [pytest.mark.lab, LONG, pytest.mark.usefixtures("cluster")]


def servers() -> dict[str, int]:
    """Ids of the servers in the account, by host name."""
    return {str(guest["hostname"]): int(guest["id"]) for guest in guests()}


def managers() -> dict[str, str]:
    """What the swarm says of its managers, by host name; fails if one is there twice."""
    told = on_host("galera-3", "docker node ls --format '{{.Hostname}} {{.ManagerStatus}}'").split("\n")
    rows = [line.split() for line in told if line]
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1] for row in rows if len(row) > 1}


def test_a_host_is_replaced_in_one_word_while_a_client_writes() -> None:
    insert("galera-1", 1, 10)
    before, uuid = servers(), cluster_uuid()
    with writing("galera-3") as client:
        refused = operations("replace", "galera-9", "--yes", check=False)
        assert refused.returncode == 1
        assert "galera-9 is no host of this stack" in refused.stderr
        assert servers() == before
        ran = operations("replace", "galera-2", "--yes", limit=1800)
        assert "galera-2 has left the swarm, the store and the database" in ran.stderr
        assert "galera-2 has been replaced" in ran.stderr
        met = client.met()
    after = servers()
    assert after.pop("galera-2") != before.pop("galera-2")
    assert after == before
    assert met.failed == []
    nothing_is_lost(met, HOSTS)
    assert cluster_uuid() == uuid
    assert set(managers()) == set(HOSTS)
    holds()
    assert len(checksums()) == 1
    nothing_changes()


def test_a_call_that_was_broken_off_goes_on_with_the_first_manager() -> None:
    before = servers()
    # Whoever runs in the background of a shell has Ctrl-C ignored, and so would what it starts.
    words = ["env", "--default-signal=INT", sys.executable, "-m", "lab", "exec", "--name", LAB, "--"]
    words += [sys.executable, "-m", "operations"]
    with writing("galera-3") as client:
        first = subprocess.Popen(
            [*words, "replace", "galera-1", "--yes", "--stack", LAB],
            cwd=CHECKOUT,
            env={**os.environ, "LAB": LAB},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert first.stderr is not None
        for line in first.stderr:
            print(line, end="", flush=True)
            if "galera-1 has left the swarm" in line:
                break
        time.sleep(1)
        first.send_signal(signal.SIGINT)
        first.communicate()
        assert "its host is being replaced" in verified()
        ran = operations("replace", "galera-1", "--yes", limit=1800)
        assert "galera-1 has been replaced" in ran.stderr
        met = client.met()
    assert servers()["galera-1"] != before["galera-1"]
    assert met.failed == []
    nothing_is_lost(met, HOSTS)
    holds()
    assert "being replaced" not in verified()


def test_by_setting_a_server_is_replaced_once() -> None:
    before = servers()
    assert {host["name"]: int(host["id"]) for host in outputs()["hosts"]} == before
    settings = SETTINGS.read_text()
    named = f"replaceServer: {{galera-3: {before['galera-3']}}}"
    assert "    managers: 3\n" in settings
    SETTINGS.write_text(settings.replace("    managers: 3\n", f"    managers: 3\n    {named}\n"))
    operations("up", "--yes", limit=1800)
    after = servers()
    assert after["galera-3"] != before["galera-3"]
    operations("up", "--yes", limit=600)
    assert servers() == after
    holds()
    assert sql("galera-3", "SELECT COUNT(*) FROM kept.row") == "10"
    SETTINGS.write_text(settings)
