"""The swarm through any manager, under the real `pulumi`: an existing stack comes over without a replacement,
and when the first manager is dead, or another one, nothing changes and what is to be done is done.

Two SSH servers stand for two managers; both lead to the same engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from components import moved_steps
from components.ssh_files import interpreter
from operations.around_run import left_out
from operations.around_run.care import Seen
from operations.outputs import parse
from tests.plugins.stacks import KINDS, Stack, made
from tests.support.docker_engine import TestEngine
from tests.support.ssh_server import SshServer
from tests.unit.operations.test_verify import VALUES

pytestmark = pytest.mark.plugins

PROGRAM = """
import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components import remote, swarm_files
from components.any_manager import AnyManager
from components.first_bootstrap import last_outputs
from components.in_state import InState, unless_told
from components.overlay_network import OverlayNetwork, OverlayNetworkArgs
from settings import Network

config = pulumi.Config()
folder = config.require("folder")


class Ssh:
    private_key = config.require_secret("key")


class Server:
    def __init__(self, hostname):
        self.hostname, self.address = hostname, "127.0.0.1"
        self.user = config.get("user-" + hostname) or "root"
        self.port = config.require_int("port-" + hostname)
        self.host_key = config.require("hostKey-" + hostname)
        self.connection = command.remote.ConnectionArgs(
            host=self.address, port=self.port, private_key=Ssh.private_key,
            host_key=self.host_key,
        )


if config.get_bool("any") and AnyManager.reached(last_outputs()):
    manager = AnyManager.of([Server("one"), Server("two")], Ssh)
    provider = docker.Provider("swarm", host="ssh://any-manager", ssh_opts=manager.options)
else:
    manager = Server("one").connection
    provider = docker.Provider(
        "swarm",
        host="ssh://root@127.0.0.1:" + config.require("port-one"),
        ssh_opts=["-i", folder + "/key", "-o", "UserKnownHostsFile=" + folder + "/known_hosts",
                  "-o", "StrictHostKeyChecking=yes"],
    )
network = OverlayNetwork(
    "network",
    OverlayNetworkArgs(Network(subnet="10.20.0.0/24", encrypted=False), manager, ["store"], []),
    pulumi.ResourceOptions(providers=[provider]),
)
options = pulumi.ResourceOptions(provider=provider)
password = swarm_files.secret("store", "password", config.require_secret("password"), options)
step = remote.run(
    "swarm-one-node",
    manager,
    "read -r word; echo ${NAME:-one} $word >>" + folder + "/ran; echo said $word",
    pulumi.ResourceOptions(depends_on=network.ready),
    values=config.get("word") or "hello",
    delete="touch " + folder + "/deleted",
    triggers=["same"],
    secret_output=True,
)
# What it tells stays what it is, whatever it is told.
started = remote.run(
    "swarm-started",
    manager,
    "read -r more; echo $more >>" + folder + "/started; echo token",
    pulumi.ResourceOptions(),
    values=config.get("more") or "one",
    secret_output=True,
)
token = unless_told(started.stdout, InState.read(last_outputs()).of("swarm-started", "stdout"))
# A step of the host's own, as every host has them: by an address that a resource knows.
ready = command.local.Command("one-ready", create="printf 127.0.0.1")
own = remote.run(
    "one-own",
    command.remote.ConnectionArgs(
        host=ready.stdout, port=config.require_int("port-one"), private_key=Ssh.private_key,
        host_key=config.require("hostKey-one"), dial_error_limit=2, per_dial_timeout=2,
    ),
    "read -r word; echo own $word >>" + folder + "/own",
    pulumi.ResourceOptions(),
    values=pulumi.Output.concat(config.get("own") or "hello", "\\n", token),
)
behind = [*network.ready, step]
if config.get("addresses"):
    # As the one that brings a host into the swarm: it is told where all managers are.
    behind.append(remote.run(
        "swarm-one-joined",
        command.remote.ConnectionArgs(
            host=ready.stdout, port=config.require_int("port-one"), private_key=Ssh.private_key,
            host_key=config.require("hostKey-one"), dial_error_limit=2, per_dial_timeout=2,
        ),
        "read -r addresses; echo $addresses >>" + folder + "/joined; echo node-1",
        pulumi.ResourceOptions(),
        values=config.require("addresses"),
    ))
service = docker.Service(
    "store-service",
    name=network.service("store"),
    labels=[docker.ServiceLabelArgs(label=swarm_files.LABEL, value=swarm_files.stack())],
    mode=docker.ServiceModeArgs(global_=True),
    task_spec=docker.ServiceTaskSpecArgs(
        container_spec=docker.ServiceTaskSpecContainerSpecArgs(
            image="shell:1",
            stop_grace_period="30s",
            secrets=[password],
            env={"WORD": config.get("word") or "x"},
        ),
        networks_advanceds=[docker.ServiceTaskSpecNetworksAdvancedArgs(id=network.network_id)],
    ),
    opts=pulumi.ResourceOptions(provider=provider, depends_on=behind),
)
pulumi.export("service", service.id)
pulumi.export("said", step.stdout)
"""


@dataclass
class Managers:
    """A stack, and the SSH of the two managers of its swarm."""

    stack: Stack
    one: SshServer
    two: SshServer

    def ran(self) -> list[str]:
        """Which manager ran the step, and with which value, each time."""
        return (self.stack.folder / "ran").read_text().splitlines()

    def up(self, *words: str) -> str:
        return self.stack.run("up", "--yes", "--skip-preview", *words)

    def pin(self) -> None:
        """Have the program know both as they are now."""
        words = []
        for name, server in (("one", self.one), ("two", self.two)):
            key = server.host_keys[0].export_public_key().decode().strip()
            words += ["--plaintext", f"port-{name}={server.port}", "--plaintext", f"hostKey-{name}={key}"]
        self.stack.run("config", "set-all", *words)

    def move(self) -> list[str]:
        """Bring the state over as `operations up` does; names of what was moved."""
        state, names = moved_steps.moved(self.stack.exported(), interpreter("plugins", "test"))
        (self.stack.folder / "moved.json").write_text(json.dumps(state))
        if names:
            self.stack.run("stack", "import", "--file", "moved.json")
        return names

    def ids(self) -> dict[str, str]:
        """Ids of all that the state has, by name."""
        resources = self.stack.exported()["deployment"]["resources"]
        return {
            each["urn"].rpartition("::")[2]: each["id"]
            for each in resources
            if each.get("id") and not each["type"].startswith("pulumi:")
        }


def second(swarm: TestEngine, first: SshServer, name: str) -> SshServer:
    """Another manager, with the same key for whoever logs in."""
    server = SshServer("/bin/bash", {**swarm.environment, "NAME": name})
    server.key, server.private_key = first.key, first.private_key
    server.sockets["/var/run/docker.sock"] = str(swarm.socket)
    return server


@pytest.fixture(params=KINDS)
def managers(swarm: TestEngine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Managers]:
    """A stack that an older version made through its first manager."""
    with made(swarm, tmp_path, PROGRAM, request.param) as stack:
        stack.environment["SWARM_GALERA_SSH"] = str(tmp_path / "ssh")
        found = Managers(stack, stack.sshd, second(swarm, stack.sshd, "two"))
        known = stack.folder / "known_hosts"
        key = stack.sshd.host_keys[0].export_public_key().decode().strip()
        known.write_text(f"{known.read_text()}[127.0.0.1]:{stack.sshd.port} {key}\n")
        found.pin()
        found.up()
        yield found
        swarm.empty()
        found.two.stop()


def tasks(swarm: TestEngine) -> list[str]:
    return sorted(str(task["ID"]) for task in swarm.client.tasks(filters={"service": "store"}))


def test_an_existing_stack_comes_over_and_then_needs_no_manager_in_particular(
    managers: Managers, swarm: TestEngine
) -> None:
    stack, ids, before = managers.stack, managers.ids(), tasks(swarm)
    assert managers.ran() == ["one hello"]
    stack.run("config", "set", "any", "true")
    # Plain `pulumi up` goes on as before, and says so.
    assert "is still asked of the first manager" in managers.up("--expect-no-changes")
    assert not (stack.folder / "deleted").exists()
    assert sorted(managers.move()) == ["network-free", "network-left", "swarm-one-node", "swarm-started"]
    assert managers.move() == []
    managers.up()
    # In place: nothing is another one, nothing was taken back, no task was replaced. And nothing ran.
    assert managers.ids() == ids
    assert tasks(swarm) == before
    assert not (stack.folder / "deleted").exists()
    assert managers.ran() == ["one hello"]
    resources = stack.exported()["deployment"]["resources"]
    (remote,) = (each["urn"] for each in resources if each["type"] == "command:remote:Command")
    assert remote.endswith("::one-own")
    assert set(left_out.THROUGH_A_MANAGER) <= {each["type"] for each in resources}
    managers.up("--expect-no-changes")

    # The first manager is dead: nothing changes, nothing runs.
    managers.one.stop()
    stack.run("preview", "--expect-no-changes")
    managers.up("--expect-no-changes")
    stack.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert managers.ran() == ["one hello"]
    assert tasks(swarm) == before

    # What is to be done is done by the other one.
    stack.run("config", "set", "word", "again")
    managers.up()
    assert managers.ran() == ["one hello", "two again"]
    assert stack.outputs()["said"] == "said again"
    assert managers.ids() == ids
    assert not (stack.folder / "deleted").exists()

    # Its host is replaced: another address, another key. Its own step runs there, and nothing else changes.
    managers.one = second(swarm, managers.one, "new")
    managers.pin()
    printed = managers.up()
    assert "one-own updated" in printed
    assert "~ 1 updated" in printed
    managers.two.stop()
    stack.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    stack.run("config", "set", "word", "last")
    managers.up()
    assert managers.ran()[-1] == "new last"
    stack.run("destroy", "--yes", "--skip-preview")
    assert (stack.folder / "deleted").exists()
    managers.one.stop()


def test_only_what_would_have_to_be_done_on_a_dead_host_is_left_out(
    managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As operations/around_run/left_out.py reads it out of a preview."""
    stack, said = managers.stack, list[str]()
    monkeypatch.setattr(left_out, "say", said.append)
    stack.run("config", "set", "any", "true")
    managers.move()
    managers.up()
    managers.one.stop()
    seen = Seen(parse("dev", VALUES), {}, {"one": "no SSH"})

    def options() -> list[str]:
        planned = json.loads(stack.run("preview", "--json")).get("steps") or []
        return left_out.options(seen, stack.exported(), ["one"], lambda: planned)

    stack.run("config", "set", "word", "again")
    assert options() == []
    # What it rests on runs again, and a preview can't tell what that will say.
    stack.run("config", "set", "more", "two")
    assert options() == []
    assert "Nothing has to be done on one" in said[-1]
    stack.run("config", "set", "own", "again")
    without = options()
    assert [word.rpartition("::")[2] for word in without] == ["--exclude", "one-own", "--exclude-dependents"]
    assert "would have to be done on one (one-own)" in said[-1]
    managers.up(*without)
    assert managers.ran()[-1] == "two again"
    assert (stack.folder / "own").read_text() == "own hello\n"
    assert (stack.folder / "started").read_text() == "one\ntwo\n"
    # Back again, and the rest is done.
    managers.one.start()
    managers.up()
    assert (stack.folder / "own").read_text() == "own hello\nown again\n"


def test_a_dead_node_that_only_hears_of_other_addresses_holds_up_nothing_that_comes_after_it(
    managers: Managers, swarm: TestEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is down, and a manager that has moved, in one run."""
    stack, said = managers.stack, list[str]()
    monkeypatch.setattr(left_out, "say", said.append)
    stack.run("config", "set-all", "--plaintext", "any=true", "--plaintext", "addresses=one")
    managers.move()
    managers.up()
    before = tasks(swarm)
    managers.one.stop()
    stack.run("config", "set-all", "--plaintext", "addresses=two", "--plaintext", "word=again")
    seen = Seen(parse("dev", VALUES), {}, {"one": "no SSH"})
    planned = json.loads(stack.run("preview", "--json")).get("steps") or []
    without = left_out.options(seen, stack.exported(), ["one"], lambda: planned)
    assert [word.rpartition("::")[2] for word in without] == ["--exclude", "swarm-one-joined"]
    managers.up(*without)
    # The service comes after that node, and has its new words all the same.
    assert tasks(swarm) != before
    assert managers.ran()[-1] == "two again"
    assert (stack.folder / "joined").read_text() == "one\n"
    managers.one.start()
    managers.up()
    assert (stack.folder / "joined").read_text() == "one\ntwo\n"


def test_a_plugin_that_is_killed_leaves_no_connection_behind(managers: Managers) -> None:
    managers.stack.run("config", "set", "any", "true")
    managers.move()
    managers.up()
    managers.stack.run("refresh", "--yes", "--skip-preview")
    config = str(Path(managers.stack.environment["SWARM_GALERA_SSH"]) / "plugins-test" / "config")
    left = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if config.encode() in _read(path) and b"engine.sock" in _read(path)
    ]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


def test_a_manager_that_another_user_logs_in_to_is_any_manager_too(
    managers: Managers, swarm: TestEngine
) -> None:
    """As among hosts of one's own."""
    stack, before = managers.stack, tasks(swarm)
    managers.one.user, managers.two.user = "root", "deploy"
    stack.run("config", "set-all", "--plaintext", "any=true", "--plaintext", "user-two=deploy")
    managers.move()
    # Who is root is found out on the host now, which every step's line has to say.
    managers.up()
    assert managers.ran() == ["one hello", "one hello"]
    managers.up("--expect-no-changes")
    managers.one.stop()
    (reached,) = Path(stack.environment["SWARM_GALERA_SSH"]).glob("*/reached")
    reached.unlink()
    stack.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    managers.up("--expect-no-changes")
    stack.run("config", "set", "word", "again")
    managers.up()
    assert managers.ran()[2:] == ["two again"]
    assert not (stack.folder / "deleted").exists()
    assert tasks(swarm) != before
    managers.one.start()
