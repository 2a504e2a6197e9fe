"""Both plugins under the real `pulumi`, with the unmodified packages pulumi_command and pulumi_docker."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker.types
import pytest

from components.commands.shell import script
from lab.plugins.testing_docker import TestEngine, engine
from lab.plugins.testing_ssh import SshServer
from lab.toolchain import build, places, plugins
from operations import leftovers, swarm_leftovers

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
        + "/log; exit 1' TERM; echo waiting; while :; do sleep 0.1; done")

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
    ipam_configs=[docker.NetworkIpamConfigArgs(subnet="10.20.0.0/24")], opts=options,
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
            stop_grace_period="60s",
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
        container_spec=docker.ServiceTaskSpecContainerSpecArgs(image="shell:1", args=["/bin/sleep", "1000"]),
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

CLUSTER = """
import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components import swarm_files
from components.overlay_network import OverlayNetwork, OverlayNetworkArgs

config = pulumi.Config()
folder, port = config.require("folder"), config.require_int("port")
connection = command.remote.ConnectionArgs(
    host="127.0.0.1", port=port, private_key=config.require_secret("key"), host_key=config.require("hostKey")
)
provider = docker.Provider(
    "swarm",
    host="ssh://root@127.0.0.1:" + str(port),
    ssh_opts=["-i", folder + "/key", "-o", "UserKnownHostsFile=" + folder + "/known_hosts",
              "-o", "StrictHostKeyChecking=yes"],
)
network = OverlayNetwork(
    "network",
    OverlayNetworkArgs(
        name="galera",
        subnet=config.get("subnet") or "10.20.0.0/24",
        encrypted=config.get_bool("encrypted") or False,
        manager=connection,
        services=["store", "db"],
        after=[],
    ),
    pulumi.ResourceOptions(providers=[provider]),
)
options = pulumi.ResourceOptions(provider=provider)
password = swarm_files.secret("db", "password", config.require_secret("password"), options)
settings = swarm_files.config("db", "cnf", "/etc/my.cnf", "[mysqld]", options)


def service(name, after):
    return docker.Service(
        name + "-service",
        name=network.service(name),
        mode=docker.ServiceModeArgs(global_=True),
        task_spec=docker.ServiceTaskSpecArgs(
            container_spec=docker.ServiceTaskSpecContainerSpecArgs(
                image="shell:1",
                args=["/bin/sleep", "1000"],
                stop_signal="SIGKILL",
                secrets=[password],
                configs=[settings],
                mounts=[docker.ServiceTaskSpecContainerSpecMountArgs(
                    type="volume", source=name + "-data", target="/data")],
            ),
            networks_advanceds=[docker.ServiceTaskSpecNetworksAdvancedArgs(id=network.network_id)],
        ),
        opts=pulumi.ResourceOptions(provider=provider, depends_on=after, delete_before_replace=True),
    )


store = service("store", [])
db = service("db", [store])
pulumi.export("store", store.id)
pulumi.export("db", db.id)
pulumi.export("network", network.network_id)
"""

RESOURCES = 10  # with the stack and the provider


@dataclass
class Stack:
    """A project in a folder of the test's own, with a file back end."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, fails: bool = False) -> str:
        """Run `pulumi` and return all it printed."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stdout
        return done.stdout

    def command(self, *arguments: str) -> list[str]:
        return ["pulumi", "--non-interactive", "--color=never", *arguments]

    def killed(self, method: str) -> None:
        """`pulumi up`, killed after a call of docker's client; then cleared up as `operations` does."""
        done = subprocess.run(
            self.command("up", "--yes", "--skip-preview"),
            cwd=self.folder,
            env={**self.environment, "DIES_AFTER": method},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
        backend = self.environment["PULUMI_BACKEND_URL"]
        folder = leftovers.lock_folder(backend, "plugins", "test")
        assert folder is not None
        leftovers.clear_locks(folder, print)
        leftovers.mend_state(backend, "plugins", "test", print)
        clean, pending = leftovers.without_pending(self.exported())
        assert any("creating" in words for words in pending)
        (self.folder / "state.json").write_text(json.dumps(clean))
        self.run("stack", "import", "--file", "state.json")

    def exported(self) -> Any:
        return json.loads(self.run("stack", "export"))

    def outputs(self) -> Any:
        return json.loads(self.run("stack", "output", "--json", "--show-secrets"))


@pytest.fixture(scope="module")
def swarm() -> Iterator[TestEngine]:
    with engine() as running:
        yield running


@pytest.fixture
def stack(swarm: TestEngine, tmp_path: Path) -> Iterator[Stack]:
    """The stack of `PROGRAM`."""
    with made(swarm, tmp_path, PROGRAM, "lab.plugins.docker") as stack:
        yield stack
        stack.run("destroy", "--yes", "--skip-preview")


@pytest.fixture
def cluster(swarm: TestEngine, tmp_path: Path) -> Iterator[Stack]:
    """The stack of `CLUSTER`, whose docker plugin may be told to die."""
    with made(swarm, tmp_path, CLUSTER, "tests.plugins.dying_docker") as stack:
        yield stack
        swarm.empty()


@contextlib.contextmanager
def made(swarm: TestEngine, tmp_path: Path, program: str, docker_plugin: str) -> Iterator[Stack]:
    """A stack in folders of the test's own, on a swarm behind SSH."""
    toolchain = build.bin_folder()
    assert toolchain is not None, "there is no pulumi for the tests: run `make toolchain` first"
    programs = tmp_path / "bin"
    programs.mkdir()
    for each in plugins.plugins():
        path = programs / each.program
        path.write_text(plugins.launcher(each).replace("lab.plugins.docker", docker_plugin))
        path.chmod(0o755)

    sshd = SshServer("/bin/bash", swarm.environment)
    sshd.sockets["/var/run/docker.sock"] = str(swarm.socket)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: plugins\nruntime: python\n")
    (folder / "__main__.py").write_text(textwrap.dedent(program))
    (folder / "key").write_text(sshd.private_key)
    (folder / "key").chmod(0o600)
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_key}\n")
    backend = tmp_path / "backend"
    backend.mkdir()
    search = f"{programs}:{toolchain}:{places.VENV / 'bin'}:{os.environ['PATH']}"
    stack = Stack(
        folder,
        {
            "PATH": search,
            "HOME": str(tmp_path),
            "PULUMI_HOME": str(tmp_path / "home"),
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PYTHONPATH": str(places.CHECKOUT),
        },
    )
    stack.run("stack", "init", "test")
    plain = {"folder": str(folder), "port": str(sshd.port), "hostKey": sshd.host_key}
    secret = {"key": sshd.private_key, "password": "hunter22"}
    words = [word for key, value in plain.items() for word in ("--plaintext", f"{key}={value}")]
    words += [word for key, value in secret.items() for word in ("--secret", f"{key}={value}")]
    stack.run("config", "set-all", *words)
    yield stack
    sshd.stop()


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


def test_control_c_stops_the_command_and_leaves_a_state_that_goes_on(stack: Stack, swarm: TestEngine) -> None:
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
    printed, _ = running.communicate(timeout=120)
    assert running.returncode != 0, printed
    assert "stopped" in log_of(stack), printed

    stack.run("config", "set", "slow", "false")
    printed = stack.run("up", "--yes", "--skip-preview")
    stack.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert len(swarm.client.services()) == 2


def names(found: list[dict[str, Any]]) -> list[str]:
    return sorted(each["Spec"]["Name"] for each in found)


@pytest.mark.parametrize("method", ["create_network", "create_secret", "create_config", "create_service"])
def test_a_run_that_is_killed_when_something_was_made_goes_on_and_leaves_nothing(
    cluster: Stack, swarm: TestEngine, method: str
) -> None:
    cluster.killed(method)
    cluster.run("up", "--yes", "--skip-preview")
    cluster.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert sorted(names(swarm.client.services())) == ["db", "store"]
    assert len(swarm.client.networks(names=["galera"])) == 1

    # A secret or config of the killed run is in no state. What takes it away leaves others' alone.
    orphans = {"create_secret": "secret db-password-", "create_config": "config db-cnf-"}
    foreign = swarm.client.create_secret("foreign", b"x", labels={"swarm-galera.stack": "plugins/other"})
    removal = swarm_leftovers.removal("plugins", "test", swarm_leftovers.known(cluster.exported()))
    try:
        removed = subprocess.run(
            ["bash", "-c", script(removal)], env=swarm.environment, capture_output=True, text=True, check=True
        ).stdout
        assert orphans.get(method, "") in removed
        assert len(swarm.client.secrets()) == 2
        assert len(swarm.client.configs()) == 1
    finally:
        swarm.client.remove_secret(foreign["ID"])


def test_a_changed_secret_is_a_new_one_and_the_old_one_goes(cluster: Stack, swarm: TestEngine) -> None:
    cluster.run("up", "--yes", "--skip-preview")
    before = names(swarm.client.secrets())
    cluster.run("config", "set", "--secret", "password", "hunter33")
    cluster.run("up", "--yes", "--skip-preview")
    after = names(swarm.client.secrets())
    assert len(before) == len(after) == 1
    assert before != after
    used = swarm.client.inspect_service("db")["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"]
    assert [each["SecretName"] for each in used] == after


def test_a_changed_network_is_replaced_with_the_services_on_it_and_their_data_stays(
    cluster: Stack, swarm: TestEngine
) -> None:
    cluster.run("up", "--yes", "--skip-preview")
    before = cluster.outputs()
    volume = swarm.client.inspect_volume("db-data")["CreatedAt"]
    cluster.run("config", "set", "subnet", "10.21.0.0/24")
    cluster.run("config", "set", "encrypted", "true")
    assert "network has to be replaced" not in cluster.run("preview")
    cluster.run("up", "--yes", "--skip-preview")
    after = cluster.outputs()
    assert all(before[key] != after[key] for key in ("network", "store", "db"))
    found = swarm.client.inspect_network("galera")
    assert found["IPAM"]["Config"][0]["Subnet"] == "10.21.0.0/24"
    assert "encrypted" in found["Options"]
    targets = swarm.client.inspect_service("db")["Spec"]["TaskTemplate"]["Networks"]
    assert [each["Target"] for each in targets] == [after["network"]]
    assert swarm.client.inspect_volume("db-data")["CreatedAt"] == volume
    cluster.run("up", "--yes", "--skip-preview", "--expect-no-changes")


def test_a_network_that_serves_others_too_is_left_alone_with_all_on_it(
    cluster: Stack, swarm: TestEngine
) -> None:
    cluster.run("up", "--yes", "--skip-preview")
    before = cluster.outputs()
    container = docker.types.ContainerSpec("shell:1", command=["/bin/sleep", "1000"])
    template = docker.types.TaskTemplate(container, networks=[before["network"]])
    other = swarm.client.create_service(template, name="app")
    try:
        cluster.run("config", "set", "subnet", "10.21.0.0/24")
        said = cluster.run("up", "--yes", "--skip-preview", fails=True)
        assert (
            "the network galera has to be replaced by (galera 10.21.0.0/24 false), but serves: app." in said
        )
        assert {each["ID"] for each in swarm.client.services()} == {
            before["store"],
            before["db"],
            other["ID"],
        }
    finally:
        swarm.client.remove_service(other["ID"])
