"""The first manager's host off, then gone, on real hosts: nothing notices, and `up` alone brings in another.

Left to others: another host that is dead or gone (test_outages.py), the choice of a manager
(unit/components/test_manager_choice.py), a stack that comes over from an older version
(plugins/test_any_manager.py).
"""

from __future__ import annotations

import re

import pytest

from tests.lab.whole_cluster import (
    HOSTS,
    LAB,
    SETTINGS,
    guests,
    holds,
    in_lab,
    insert,
    make,
    on_host,
    one_cluster,
    operations,
    sql,
    wait_for,
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]

FIRST, *OTHERS = HOSTS


def number(host: str) -> str:
    """The id of a host's server in the account."""
    (found,) = (str(guest["id"]) for guest in guests() if guest["hostname"] == host)
    return found


def tasks() -> dict[str, list[str]]:
    """Ids of all tasks that the services have or had, as another manager says."""
    return {
        service: sorted(on_host(OTHERS[0], f"docker service ps --no-trunc --quiet {service}").split())
        for service in ("etcd", "galera")
    }


def would(printed: str) -> set[str]:
    """What a preview or a run says that it does: `1 to update`, `2 created`, … without what is unchanged."""
    found = re.findall(r"^ +(?:[+~-]+|\+-|-\+)? ?(\d+ (?:to )?\w+)$", printed, re.MULTILINE)
    return {words for words in found if not words.endswith("unchanged")}


def test_with_the_first_managers_host_off_everything_goes_on() -> None:
    insert(OTHERS[0], 1, 10)
    assert would(operations("preview", limit=300).stdout) == set()
    in_lab("slcli", "-y", "vs", "power-off", "--hard", number(FIRST))
    rows = "SELECT COUNT(*) FROM kept.row"
    wait_for("a cluster of two", lambda: sql(OTHERS[0], rows, check=False) == "10", 120)
    # A node that is down is known as such after three heartbeats: whatever happens to tasks happens then.
    down = "docker node ls --format '{{.Hostname}} {{.Status}}'"
    wait_for("the swarm to miss it", lambda: f"{FIRST} Down" in on_host(OTHERS[0], down, check=False), 180)
    before = tasks()

    shown = operations("preview", limit=300)
    assert f"{FIRST} does not answer" in shown.stderr
    assert f"Nothing has to be done on {FIRST}" in shown.stderr
    assert would(shown.stdout) == set()
    ran = operations("up", "--yes", limit=600)
    assert would(ran.stdout) == set()
    seen = operations("refresh", "--yes", limit=600)
    assert "to delete" not in seen.stdout
    assert "deleted" not in seen.stdout
    assert would(operations("preview", limit=300).stdout) == set()
    assert tasks() == before
    broken = make("verify", check=False)
    assert broken.returncode != 0
    assert FIRST in broken.stdout

    # The two that are left can't do without one another.
    settings = SETTINGS.read_text()
    assert "managers: 3" in settings
    SETTINGS.write_text(settings.replace("managers: 3", "managers: 1"))
    refused = operations("preview", check=False, limit=300)
    assert refused.returncode != 0
    assert "galera-2, galera-3 would give up its vote in the swarm" in refused.stdout + refused.stderr
    SETTINGS.write_text(settings)

    # What is to be done on the swarm is done; by plain Pulumi, too.
    step = "**swarm-started"
    replaced = in_lab("pulumi", "up", "--yes", "--skip-preview", "--stack", LAB, "--replace", step, limit=600)
    assert "swarm-started replaced" in replaced.stdout
    assert "tags: [dockerhost]" in settings
    SETTINGS.write_text(settings.replace("tags: [dockerhost]", "tags: [dockerhost, marked]"))
    assert f"Nothing has to be done on {FIRST}" in operations("up", "--yes", limit=600).stderr
    SETTINGS.write_text(settings)
    operations("up", "--yes", limit=600)
    assert tasks() == before


def test_a_cancelled_first_manager_is_ordered_anew_and_brought_in_by_up_alone() -> None:
    gone = number(FIRST)
    in_lab("slcli", "-y", "vs", "cancel", gone)
    wait_for("its end", lambda: gone not in {str(guest["id"]) for guest in guests()}, 300)
    shown = operations("preview", limit=300)
    assert f"{FIRST}: the account no longer has its server ({gone})" in shown.stderr
    operations("up", "--yes", limit=1500)
    assert number(FIRST) != gone
    wait_for("three Synced nodes", one_cluster, 600)
    holds()
    votes = on_host(OTHERS[0], "docker node ls --format '{{.Hostname}} {{.ManagerStatus}}'").split("\n")
    assert sorted(line.split()[0] for line in votes if line) == list(HOSTS)
    assert {line.split()[1] for line in votes if line} == {"Leader", "Reachable"}
    insert(FIRST, 11, 5)
    for host in HOSTS:
        assert sql(host, "SELECT COUNT(*) FROM kept.row") == "15"
    before = tasks()
    assert would(operations("up", "--yes", limit=600).stdout) == set()
    assert tasks() == before
