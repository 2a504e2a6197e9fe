"""From MariaDB 10.11 to 11.8 under a client, on real hosts: refused unasked, writer last, and no way back.

A lab and a stack of its own: it begins with Debian 12's image. Left to others: data of another version met by
a single node (tests/images/test_releases.py), the rules (unit/components/test_server_version.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.whole_cluster import (
    CHECKOUT,
    HOSTS,
    LONG,
    SETTINGS,
    add_balancer,
    checksums,
    cluster_uuid,
    empty_lab,
    holds,
    insert,
    make,
    one_cluster,
    operations,
    sql,
    wait_for,
)
from tests.lab.writer import nothing_is_lost, writing

pytestmark = [pytest.mark.lab, LONG]

OLD, NEW = ((CHECKOUT / "images/galera" / name).read_text().strip() for name in ("TAG-bookworm", "TAG"))


@pytest.fixture(scope="module", autouse=True)
def stack() -> Iterator[None]:
    with empty_lab():
        settings = SETTINGS.read_text()
        assert f"galera:{NEW}" in settings
        SETTINGS.write_text(settings.replace(f"galera:{NEW}", f"galera:{OLD}"))
        add_balancer()
        make("up", limit=3000)  # it builds the older image, too
        wait_for("three Synced nodes", one_cluster)
        sql("galera-1", "CREATE DATABASE kept; CREATE TABLE kept.row (n INT PRIMARY KEY)")
        yield


def test_the_newer_server_is_refused_until_a_person_says_so_and_then_costs_no_write() -> None:
    insert("galera-1", 1, 100)
    uuid, settings = cluster_uuid(), SETTINGS.read_text()
    newer = settings.replace(f"galera:{OLD}", f"galera:{NEW}")
    SETTINGS.write_text(newer)
    refused = operations("up", "--yes", check=False)
    assert refused.returncode != 0
    assert "set galera.upgradeTo: '11.8'" in " ".join((refused.stdout + refused.stderr).split())
    SETTINGS.write_text(newer.replace(f"galera:{NEW}\n", f'galera:{NEW}\n    upgradeTo: "11.8"\n'))
    with writing("galera-1") as client:
        ran = operations("up", "--yes", limit=2400)
        met = client.met()
    assert "is the last to be changed" in ran.stdout + ran.stderr
    assert met.failed == []
    nothing_is_lost(met, HOSTS)
    print(f"longest pause: {met.pause:.1f} s, retries: {len(met.again)}", flush=True)
    for host in HOSTS:
        assert sql(host, "SELECT VERSION()").startswith("11.8.")
    holds()
    assert len(checksums()) == 1
    assert cluster_uuid() == uuid
    SETTINGS.write_text(settings)
    back = operations("up", "--yes", check=False)
    assert back.returncode != 0
    assert "no older server reads" in " ".join((back.stdout + back.stderr).split())
