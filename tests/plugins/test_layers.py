"""A swarm's services are not declared any more, under the real `pulumi`: what goes, what stays, and what the
first manager says of it in the run that takes them down and in the next one.

Left to others: hosts that leave the swarm (images/test_swarm_engines.py), which resources the program
declares (unit/test_program_layers.py).
"""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.host_scripts import taken_down
from components.host_scripts.shell import script
from components.host_scripts.swarm_leaving import MARK
from harness.image_containers import wait_for
from tests.plugins.stacks import KINDS, Stack, made
from tests.plugins.test_cluster_stack import CLUSTER
from tests.support.docker_engine import TestEngine

pytestmark = [pytest.mark.plugins, pytest.mark.first]

PROGRAM = f"""
import pulumi

from components import galera
from settings.rotation import Passwords
from settings.tls import Tls

config = pulumi.Config()
opts = pulumi.ResourceOptions()
if config.get("round") is None:
{textwrap.indent(CLUSTER, "    ")}
    on_swarm = pulumi.ResourceOptions(providers=[provider])
    parent = pulumi.ComponentResource(galera.TYPE, "galera", None, on_swarm)
    passwords = Passwords.model_validate({{}})
    drawn = galera.drawn_passwords("galera", None, passwords, pulumi.ResourceOptions(parent=parent))
    pulumi.export("app", drawn["app"][0])
else:
    import pulumi_command as command

    from components import remote, swarm_files
    from components.host_scripts import taken_down

    connection = command.remote.ConnectionArgs(
        host="127.0.0.1", port=config.require_int("port"), private_key=config.require_secret("key"),
        host_key=config.require("hostKey")
    )
    own = swarm_files.LABEL + "=" + swarm_files.stack()
    text = taken_down.look(own, swarm_stays=False)
    looked = remote.run("taken-down-looked", connection, text, opts, triggers=[config.require_int("round")])
    kept = Passwords.model_validate({{}})
    galera.keep_secrets("galera", None, kept, Tls.model_validate({{}}), opts)
    pulumi.export("looked", looked.stdout)
"""


@pytest.fixture(params=KINDS)
def layered(swarm: TestEngine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The stack of `PROGRAM`: with its services, or, once `round` is set, without."""
    with made(swarm, tmp_path, PROGRAM, request.param) as stack:
        yield stack
        swarm.empty()


def test_what_is_taken_down_goes_at_the_runs_end_and_the_next_one_finds_it_gone(
    layered: Stack, swarm: TestEngine
) -> None:
    (node,) = swarm.client.nodes()
    spec = {**node["Spec"], "Labels": {MARK: "true"}}
    swarm.client.update_node(node["ID"], node["Version"]["Index"], spec)
    layered.run("up", "--yes", "--skip-preview")
    app = layered.outputs()["app"]
    volume = swarm.client.inspect_volume("db-data")["CreatedAt"]

    layered.run("config", "set", "round", "1")
    layered.run("up", "--yes", "--skip-preview")
    word, *found = layered.outputs()["looked"].split()
    assert word == "pending"
    assert {"db", "store", "galera"} <= set(found)
    assert len([each for each in found if each.startswith("db-")]) == 2  # a secret and a config
    assert swarm.client.services() == []
    assert swarm.client.networks(names=["galera"]) == []
    assert swarm.client.secrets() == swarm.client.configs() == []
    assert swarm.client.inspect_volume("db-data")["CreatedAt"] == volume

    layered.run("config", "set", "round", "2")
    layered.run("up", "--yes", "--skip-preview")
    assert layered.outputs()["looked"] == "clear"
    layered.run("up", "--yes", "--skip-preview", "--expect-no-changes")

    # And up again: the same volumes, and the passwords that fit to what is in them.
    layered.run("config", "rm", "round")
    layered.run("up", "--yes", "--skip-preview")
    assert layered.outputs()["app"] == app
    assert swarm.client.inspect_volume("db-data")["CreatedAt"] == volume


def on_the_host(swarm: TestEngine, text: str) -> subprocess.CompletedProcess[str]:
    """A step of a host whose swarm has nothing left that Pulumi knows of."""
    words = ["bash", "-c", script(text)]
    return subprocess.run(
        words, env=swarm.environment, input="clear\n", capture_output=True, text=True, check=False
    )


def test_volumes_and_the_swarm_are_left_alone_while_a_service_runs_and_gone_after_it(
    layered: Stack, swarm: TestEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taken_down, "PATIENCE", 3)
    remove = taken_down.remove_volumes("host", ["db-data", "store-data", "never-there"])
    layered.run("up", "--yes", "--skip-preview")
    wait_for(lambda: len(swarm.client.containers()) == 2, "both services", 60)
    held = on_the_host(swarm, remove)
    assert held.returncode == 1
    assert "containers of a service that is gone still have it: db." in held.stderr
    held = on_the_host(swarm, taken_down.leave("host"))
    assert held.returncode == 1
    assert "containers of services still run on host: " in held.stderr
    assert swarm.client.info()["Swarm"]["LocalNodeState"] == "active"

    swarm.client.remove_service("db")
    swarm.client.remove_service("store")
    wait_for(lambda: not swarm.client.containers(), "their end", 60)
    gone = on_the_host(swarm, remove)
    assert (gone.returncode, gone.stdout) == (0, "clear\n"), gone.stderr
    assert not [
        each for each in swarm.client.volumes()["Volumes"] or () if each["Name"] in ("db-data", "store-data")
    ]
    try:
        left = on_the_host(swarm, taken_down.leave("host"))
        assert (left.returncode, left.stdout) == (0, "clear\n"), left.stderr
        assert swarm.client.info()["Swarm"]["LocalNodeState"] == "inactive"
        assert not swarm.client.networks(names=["docker_gwbridge", "ingress"])
    finally:
        swarm.client.init_swarm(advertise_addr="127.0.0.1", listen_addr="127.0.0.1:2377")
