"""Both plugins under the real `pulumi`, with the unmodified packages pulumi_command and pulumi_docker."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.toolchain import places
from tests.plugins.stacks import KINDS, Stack, made
from tests.support.docker_engine import TestEngine

pytestmark = [pytest.mark.plugins, pytest.mark.first]

PROGRAM = """
import base64
import os

import pulumi
import pulumi_command as command
import pulumi_docker as docker

config = pulumi.Config()
folder = config.require("folder")
connection = command.remote.ConnectionArgs(
    host="127.0.0.1",
    port=config.require_int("port"),
    private_key=config.require_secret("key"),
    host_key=config.require("hostKey"),
)

facts = command.remote.Command("facts", connection=connection, create="echo in-$(basename " + folder + ")")
write = command.remote.Command(
    "write",
    connection=connection,
    create="cat >> " + folder + "/log",
    stdin=pulumi.Output.concat("wrote ", config.require_secret("password"), "\\n"),
    delete="echo deleted >> " + folder + "/log",
    triggers=[config.get("trigger")],
    opts=pulumi.ResourceOptions(depends_on=[facts]),
)
token = command.remote.Command(
    "token",
    connection=connection,
    create="printf join-; echo token-1234",
    logging=command.remote.Logging.NONE,
    opts=pulumi.ResourceOptions(additional_secret_outputs=["stdout"]),
)
if config.get_bool("slow"):
    command.remote.Command("slow", connection=connection, create="trap 'echo stopped >> " + folder
        + "/log; exit 1' TERM; echo waiting; while [ ! -e " + folder + "/enough ]; do sleep 0.1; done")

provider = docker.Provider(
    "swarm",
    host="ssh://root@127.0.0.1:" + str(config.require_int("port")),
    ssh_opts=["-i", folder + "/key", "-o", "UserKnownHostsFile=" + folder + "/known_hosts",
              "-o", "StrictHostKeyChecking=yes"],
    opts=pulumi.ResourceOptions(depends_on=[facts]),
)
options = pulumi.ResourceOptions(provider=provider)
network = docker.Network(
    "net", name="galera", driver="overlay", attachable=True, options={"encrypted": ""},
    ipam_configs=[docker.NetworkIpamConfigArgs(subnet="10.20.0.0/24", gateway="10.20.0.1")],
    opts=pulumi.ResourceOptions(provider=provider, ignore_changes=["options"]),
)
secret = docker.Secret(
    "password",
    data=config.require_secret("password").apply(lambda text: base64.b64encode(text.encode()).decode()),
    opts=options,
)
settings = docker.ServiceConfig("settings", data=base64.b64encode(b"[mysqld]").decode(), opts=options)
app = docker.Service(
    "app",
    name="app",
    task_spec=docker.ServiceTaskSpecArgs(
        container_spec=docker.ServiceTaskSpecContainerSpecArgs(
            image="shell:1",
            args=["/bin/sleep", "1000"],
            env={"SIZE": config.get("size") or "3", "FROM": facts.stdout},
            stop_signal="SIGKILL",
            stop_grace_period="1m",
            secrets=[docker.ServiceTaskSpecContainerSpecSecretArgs(
                secret_id=secret.id, secret_name=secret.name, file_name="password")],
            configs=[docker.ServiceTaskSpecContainerSpecConfigArgs(
                config_id=settings.id, config_name=settings.name, file_name="/etc/my.cnf")],
            mounts=[docker.ServiceTaskSpecContainerSpecMountArgs(
                type="volume", source="app-data", target="/data")],
        ),
    ),
    mode=docker.ServiceModeArgs(replicated=docker.ServiceModeReplicatedArgs(replicas=2)),
    update_config=docker.ServiceUpdateConfigArgs(parallelism=2, monitor="100ms"),
    converge_config=docker.ServiceConvergeConfigArgs(timeout="60s"),
    opts=options,
)
etcd = docker.Service(
    "global",
    name="global",
    task_spec=docker.ServiceTaskSpecArgs(
        container_spec=docker.ServiceTaskSpecContainerSpecArgs(
            image="shell:1", args=["/bin/sleep", "1000"], stop_signal="SIGKILL"),
    ),
    mode=docker.ServiceModeArgs(global_=True),
    opts=options,
)

pulumi.export("facts", facts.stdout)
pulumi.export("token", token.stdout)
pulumi.export("network", network.id)
pulumi.export("subnet", network.ipam_configs[0].subnet)
pulumi.export("service", app.id)
"""

RESOURCES = 10  # with the stack and the provider


@pytest.fixture(params=KINDS)
def stack(swarm: TestEngine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The stack of `PROGRAM`."""
    with made(swarm, tmp_path, PROGRAM, request.param) as stack:
        yield stack
        stack.run("destroy", "--yes", "--skip-preview")


def log_of(stack: Stack) -> list[str]:
    log = stack.folder / "log"
    return log.read_text().splitlines() if log.exists() else []


def test_a_stack_goes_up_stays_changes_and_goes_away(stack: Stack, swarm: TestEngine) -> None:
    planned = stack.run("preview")
    assert f"{RESOURCES} to create" in planned
    assert not swarm.client.services()
    assert not log_of(stack)

    stack.run("up", "--yes", "--skip-preview")
    outputs = stack.outputs()
    assert outputs["facts"] == "in-project"
    assert outputs["subnet"] == "10.20.0.0/24"
    assert outputs["network"] == swarm.client.inspect_network("galera")["Id"]
    assert log_of(stack) == ["wrote hunter22"]

    state = (next((stack.folder.parent / "backend").rglob("test.json"))).read_text()
    for text in ("hunter22", "aHVudGVyMjI=", "join-token-1234", "PRIVATE KEY"):
        assert text not in state
    assert json.loads(stack.run("stack", "output", "--json"))["token"] == "[secret]"

    # Neither what is recorded nor what is there differs from the program.
    assert f"{RESOURCES} unchanged" in stack.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    stack.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    stack.run("preview", "--expect-no-changes")

    stack.run("config", "set", "size", "5")
    changed = stack.run("up", "--yes", "--diff")
    assert "1 updated" in changed
    assert f"{RESOURCES - 1} unchanged" in changed
    assert stack.outputs()["service"] == outputs["service"]
    assert "SIZE=5" in swarm.client.inspect_service("app")["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"]

    stack.run("config", "set", "trigger", "again")
    assert "1 replaced" in stack.run("up", "--yes", "--skip-preview")
    assert log_of(stack) == ["wrote hunter22", "wrote hunter22", "deleted"]

    # A changed secret gets a new name, so the service changes over before the old one goes.
    stack.run("config", "set", "--secret", "password", "hunter33")
    stack.run("up", "--yes", "--skip-preview")
    assert len(swarm.client.secrets()) == 1

    stack.run("destroy", "--yes", "--skip-preview")
    assert log_of(stack)[-1] == "deleted"
    assert not swarm.client.services()
    assert not swarm.client.secrets()
    assert not swarm.client.configs()
    assert [n["Name"] for n in swarm.client.networks(names=["galera"])] == []


def test_a_failing_command_is_reported_with_its_resource(stack: Stack) -> None:
    stack.run("config", "set", "folder", "/nonexistent")
    printed = stack.run("up", "--yes", "--skip-preview", fails=True)
    assert "command:remote:Command (write)" in printed
    assert "Process exited with status" in printed
    assert "hunter22" not in printed
    stack.run("config", "set", "folder", str(stack.folder))


def test_control_c_leaves_a_state_that_goes_on(
    stack: Stack, swarm: TestEngine, request: pytest.FixtureRequest
) -> None:
    """The lab's command plugin ends what runs; the official one lets it come to its end."""
    stack.run("config", "set", "slow", "true")
    running = subprocess.Popen(
        stack.command("up", "--yes", "--skip-preview"),
        cwd=stack.folder,
        env=stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not swarm.client.services(filters={"name": "app"}):
        assert running.poll() is None, "the update ended before its service was made"
        assert time.monotonic() < deadline, "the update does not get to its service"
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    official = request.node.callspec.params["stack"] == "official"
    if official:
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(timeout=10)
        (stack.folder / "enough").touch()
    printed, _ = running.communicate(timeout=120)
    assert running.returncode != 0, printed
    assert ("stopped" in log_of(stack)) is not official, printed

    stack.run("config", "set", "slow", "false")
    printed = stack.run("up", "--yes", "--skip-preview")
    stack.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert len(swarm.client.services()) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_plugin_ends_when_the_engine_tells_it_to(number: signal.Signals) -> None:
    """By SIGINT, that is; if nothing happens then, every run of pulumi ends five seconds later."""
    plugin = subprocess.Popen(
        [places.VENV_PYTHON, "-m", "lab.plugins.command"],
        cwd=places.CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        assert plugin.stdout is not None
        assert plugin.stdout.readline().strip().isdigit()
        plugin.send_signal(number)
        assert plugin.wait(timeout=60) == 0
    finally:
        plugin.kill()
        plugin.communicate()
