"""The end of the tests' stack on real hosts, whatever it has been through: nothing of it is left.

The tests tell one story and run in the order they are written, after all others of one cluster.
"""

from __future__ import annotations

import json

import pytest

from lab.paths import lab as lab_paths
from tests.lab.whole_cluster import LAB, guests, in_lab, make, operations, run

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]


def test_the_labs_api_had_no_error_of_its_own() -> None:
    log = (lab_paths(LAB).logs / "api.log").read_text(errors="replace")
    assert "listening" in log
    assert "internal error" not in log


def test_destroy_leaves_nothing() -> None:
    operations("destroy", "--yes")
    assert guests() == []
    assert json.loads(in_lab("slcli", "--format", "json", "sshkey", "list").stdout) == []
    groups = json.loads(in_lab("slcli", "--format", "json", "securitygroup", "list").stdout)
    assert [group for group in groups if LAB in str(group)] == []
    make("down")
    assert run("ip", "netns", "list").stdout.find(f"swarm-galera-{LAB}\n") == -1
