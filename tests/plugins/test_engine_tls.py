"""A real engine's API with TLS: who is let in, from one generation to the next; and under the real `pulumi`,
that docker resources change their way to it and back without one of them being another, or any task.

The engine is in a network of its own, with an address for each of two managers; what connects to these on
this machine is led there.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import re
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from components.engine_choice import Shown, asked
from components.manager_choice import LEADS
from operations import docker_env
from operations.around_run import engine_way
from operations.checks import engine as engine_checks
from operations.outputs import EngineAccess
from tests.plugins.stacks import KINDS, Stack, made
from tests.support import docker_engine
from tests.support.docker_engine import TestEngine
from tests.support.engine_api import EngineCertificates

pytestmark = pytest.mark.plugins

ONE, TWO = "127.45.0.1", "127.45.0.2"
PORT = 2376
CLONE_NEWNET = 0x40000000
# As systemd hands the engine its socket: `-H fd://`.
ACTIVATED = """
import os, socket, sys
path, *command = sys.argv[1:]
if os.path.exists(path):
    os.unlink(path)
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(64)
os.dup2(server.fileno(), 3)
os.set_inheritable(3, True)  # it may have been that one already
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execvp(command[0], command)
"""

PROGRAM = """
from types import SimpleNamespace

import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components import swarm_files
from components.any_manager import AnyManager
from components.docker_host_access import ByTls, DockerHostAccess, DockerHostAccessArgs
from components.engine_tls import Listener
from components.first_bootstrap import last_outputs
from components.overlay_network import OverlayNetwork, OverlayNetworkArgs
from settings import Network

config = pulumi.Config()


class Ssh:
    private_key = config.require_secret("key")


def server(hostname):
    return SimpleNamespace(
        hostname=hostname, address="127.0.0.1", user="root", port=config.require_int("port"),
        host_key=config.require("hostKey"),
    )


managers = [server("one"), server("two")]
manager = AnyManager.of(managers, Ssh)
tls = None
if config.get("access") == "tls":
    # What a run has to do before any certificate is known, and engines listen.
    signed = command.local.Command(
        "signed", create="printf %s \\"$MADE\\"", environment={"MADE": config.require_secret("made")},
        opts=pulumi.ResourceOptions(additional_secret_outputs=["stdout"]))
    made = signed.stdout.apply(lambda text: text.split("#"))
    listening = command.local.Command(
        "listening", create="true", triggers=[made.apply(lambda each: each[1])],
        opts=pulumi.ResourceOptions(depends_on=[signed]))
    engines = SimpleNamespace(
        client=SimpleNamespace(
            ca_certificate=made.apply(lambda each: each[0]), certificate=made.apply(lambda each: each[1]),
            private_key=made.apply(lambda each: each[2])),
        listeners={
            "one": Listener(pulumi.Output.from_input("127.45.0.1"), None),
            "two": Listener(pulumi.Output.from_input("127.45.0.2"), None),
        },
    )
    tls = ByTls(engines, managers, [listening], last_outputs())
access = DockerHostAccess("docker", DockerHostAccessArgs(manager, None, [], tls))
network = OverlayNetwork(
    "network",
    OverlayNetworkArgs(Network(subnet="10.20.0.0/24", encrypted=False), manager, ["store"], []),
    pulumi.ResourceOptions(providers=[access.provider]),
)
options = pulumi.ResourceOptions(provider=access.provider)
password = swarm_files.secret("store", "password", config.require_secret("password"), options)
service = docker.Service(
    "store-service",
    name=network.service("store"),
    labels=[docker.ServiceLabelArgs(label=swarm_files.LABEL, value=swarm_files.stack())],
    mode=docker.ServiceModeArgs(global_=True),
    task_spec=docker.ServiceTaskSpecArgs(
        container_spec=docker.ServiceTaskSpecContainerSpecArgs(
            image="shell:1", stop_grace_period="30s", secrets=[password],
            env={"WORD": config.get("word") or "x"},
        ),
        networks_advanceds=[docker.ServiceTaskSpecNetworksAdvancedArgs(id=network.network_id)],
    ),
    opts=pulumi.ResourceOptions(provider=access.provider, depends_on=[*network.ready]),
)
if tls is not None:
    pulumi.export("engine", {"access": "tls", "port": 2376, "addresses": {
        "one": "127.45.0.1", "two": "127.45.0.2"}})
    pulumi.export("dockerAccess", pulumi.Output.secret({
        "caCertificate": engines.client.ca_certificate, "certificate": engines.client.certificate,
        "privateKey": engines.client.private_key, "host": access.host}))
pulumi.export("service", service.id)
"""


def listening_with(files: dict[str, str], folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Have test engines start with the socket that they are handed, and listen with TLS besides."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "activated.py").write_text(ACTIVATED)
    tls = f"--tlsverify --tlscacert {folder}/ca.pem --tlscert {folder}/cert.pem --tlskey {folder}/key.pem"
    hosts = " ".join(f"--host tcp://{address}:{PORT}" for address in (ONE, TWO))
    shell = docker_engine.RUN_ENGINE
    assert "until dockerd" in shell
    assert '--host "unix://$1/engine.sock"' in shell
    activated = f'until {sys.executable} {folder}/activated.py "$1/engine.sock" dockerd'
    shell = shell.replace("until dockerd", activated)
    shell = shell.replace('--host "unix://$1/engine.sock"', f"--host fd:// {hosts} {tls}")
    patch.setattr(docker_engine, "RUN_ENGINE", shell)


@dataclass
class Doors:
    """Leads what connects to the managers' addresses into the engine's network."""

    process: int
    open: dict[str, socket.socket] = field(default_factory=dict)

    def unlock(self, address: str) -> None:
        server = self.open[address] = socket.create_server((address, PORT))
        threading.Thread(target=self._serve, args=(server, address), daemon=True).start()

    def lock(self, address: str) -> None:
        """As if its host had died."""
        server = self.open.pop(address)
        server.shutdown(socket.SHUT_RDWR)
        server.close()

    def _serve(self, server: socket.socket, address: str) -> None:
        # Of this thread alone: it can go on listening where the socket was made.
        with open(f"/proc/{self.process}/ns/net", "rb") as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "no way into the engine's network")
        while True:
            try:
                here, _ = server.accept()
            except OSError:
                return
            there = socket.create_connection((address, PORT))
            threading.Thread(target=_pass_on, args=(here, there), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    """Until either end closes."""
    with one, other, contextlib.suppress(OSError):
        to = {one: other, other: one}
        while True:
            for ready in select.select([one, other], [], [])[0]:
                if not (data := ready.recv(65536)):
                    return
                to[ready].sendall(data)


@contextlib.contextmanager
def opened(files: dict[str, str], folder: Path) -> Iterator[tuple[TestEngine, Doors]]:
    """An engine with these files, and both doors to it open."""
    with pytest.MonkeyPatch.context() as patch:
        listening_with(files, folder, patch)
        with docker_engine.engine() as engine:
            doors = Doors(engine.process)
            for address in (ONE, TWO):
                doors.unlock(address)
            try:
                yield engine, doors
            finally:
                for address in list(doors.open):
                    doors.lock(address)


def reached(folder: Path, shown: Shown, engine: TestEngine) -> subprocess.CompletedProcess[str]:
    """Docker's own program, as `docker-env` leads it."""
    docker_env.write_certificates(folder, shown)
    environment = {
        **engine.environment,
        "DOCKER_HOST": f"tcp://{ONE}:{PORT}",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(folder),
        "HOME": str(folder),
    }
    words = ["docker", "node", "ls", "--format", "{{.Hostname}}"]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_an_engine_lets_in_both_generations_and_nobody_else(tmp_path: Path) -> None:
    first = EngineCertificates(addresses=(ONE, TWO))
    second, stranger = EngineCertificates(first, (ONE, TWO)), EngineCertificates()
    for number, of_engine in enumerate((first, second)):
        with opened(of_engine.files, tmp_path / f"engine-{number}") as (engine, _):
            # The socket that systemd hands over is as it was.
            assert engine.client.info()["Swarm"]["ControlAvailable"] is True
            for name, client in (("first", first), ("second", second)):
                assert asked(ONE, client.shown).rank == LEADS
                done = reached(tmp_path / name, client.shown, engine)
                assert (done.returncode, len(done.stdout.split())) == (0, 1), done.stderr
            assert asked(ONE, stranger.shown).refused
            # Known to the client, unknown to the engine.
            other = Shown(first.shown.authority + second.shown.authority, *_of(stranger))
            assert asked(ONE, other).refused
            assert reached(tmp_path / "stranger", other, engine).returncode != 0
            taken = Shown(first.shown.authority + second.shown.authority, *_of_engine(of_engine))
            assert asked(ONE, taken).refused
            heard = engine_checks.heard(EngineAccess({}, PORT, second.shown), ONE)
            assert (heard.error, bool(heard.stranger)) == ("", True)
    third = EngineCertificates(second, (ONE, TWO))
    with opened(third.files, tmp_path / "engine-3"):
        assert asked(ONE, first.shown).refused
        assert asked(ONE, second.shown).rank == LEADS


def _of(made: EngineCertificates) -> tuple[str, str]:
    return made.shown.certificate, made.shown.key


def _of_engine(made: EngineCertificates) -> tuple[str, str]:
    return made.engine["certificate"], made.engine["private_key"]


def test_an_engine_does_not_start_without_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it never listens without TLS."""
    monkeypatch.setattr(docker_engine, "_START", 8)
    with pytest.raises(RuntimeError, match=r"\.pem"), opened({}, tmp_path / "engine"):
        pass


# -- under pulumi


@dataclass
class Site:
    """A stack on an engine that listens; `after`: the generation after the stack's first one."""

    stack: Stack
    engine: TestEngine
    doors: Doors
    after: EngineCertificates

    def up(self, *words: str, fails: bool = False) -> str:
        return self.stack.run("up", "--yes", "--skip-preview", *words, fails=fails)

    def resources(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.stack.exported()["deployment"]["resources"]
        return found

    def ids(self) -> dict[str, str]:
        """Of all docker resources and their provider, by name."""
        return {
            each["urn"].rpartition("::")[2]: each["id"]
            for each in self.resources()
            if each["type"].startswith(("docker:", "pulumi:providers:docker"))
        }

    def provider(self) -> dict[str, Any]:
        return next(each["inputs"] for each in self.resources() if each["type"] == "pulumi:providers:docker")

    def tasks(self) -> list[str]:
        return sorted(str(task["ID"]) for task in self.engine.client.tasks(filters={"service": "store"}))

    def show(self, made: EngineCertificates) -> None:
        """What the stack has for a client, from the next run on."""
        shown = made.shown
        text = "#".join((shown.authority, shown.certificate, shown.key))
        self.stack.run("config", "set", "--secret", "--", "made", text)


@pytest.fixture(scope="module")
def certificates() -> EngineCertificates:
    return EngineCertificates(addresses=(ONE, TWO))


@pytest.fixture(params=KINDS)
def site(certificates: EngineCertificates, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A stack that reaches its swarm over SSH."""
    both = EngineCertificates(certificates, (ONE, TWO))
    with (
        opened(both.files, tmp_path / "engine") as (engine, doors),
        made(engine, tmp_path, PROGRAM, request.param) as stack,
    ):
        stack.environment["SWARM_GALERA_SSH"] = str(tmp_path / "ssh")
        found = Site(stack, engine, doors, both)
        found.show(certificates)
        found.up()
        yield found


def changed(preview: str) -> dict[str, str]:
    """What a preview would do to docker resources and their provider, by name."""
    steps = json.loads(preview).get("steps") or []
    return {
        step["urn"].rpartition("::")[2]: step["op"]
        for step in steps
        if re.search(r"docker:index|providers:docker::", step["urn"]) and step["op"] != "same"
    }


def test_docker_resources_change_their_way_and_nothing_else(
    site: Site, certificates: EngineCertificates
) -> None:
    stack, ids, tasks = site.stack, site.ids(), site.tasks()
    assert site.provider()["host"] == "ssh://any-manager"

    # The preview knows no certificate yet, and shows no docker resource as changed.
    stack.run("config", "set", "access", "tls")
    assert changed(stack.run("preview", "--json")) == {}
    site.up()
    assert (site.ids(), site.tasks()) == (ids, tasks)
    given = site.provider()
    assert given["host"] == f"tcp://{ONE}:{PORT}"
    assert "ciphertext" in given["keyMaterial"]
    assert certificates.shown.key.splitlines()[1] not in json.dumps(stack.exported())
    site.up("--expect-no-changes")
    stack.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")

    # That manager is dead: the provider changes, in place, and nothing else.
    site.doors.lock(ONE)
    assert changed(stack.run("preview", "--json")) == {"docker-provider": "update"}
    site.up()
    assert (site.ids(), site.tasks(), site.provider()["host"]) == (ids, tasks, f"tcp://{TWO}:{PORT}")
    # The other one stays, though the first is back.
    site.doors.unlock(ONE)
    site.up("--expect-no-changes")

    # What is to be done is done that way.
    stack.run("config", "set", "word", "again")
    site.up()
    assert site.ids() == ids
    assert site.tasks() != tasks
    tasks = site.tasks()

    # Another generation: again the provider alone.
    site.show(site.after)
    assert changed(stack.run("preview", "--json")) == {}
    site.up()
    assert (site.ids(), site.tasks()) == (ids, tasks)
    assert site.provider()["certMaterial"] == site.after.shown.certificate

    # An authority that the engine does not know: one error, and nothing is changed.
    site.show(EngineCertificates())
    said = site.up(fails=True)
    assert "No manager's engine can be asked with TLS" in said
    assert "Traceback" not in said
    assert site.provider()["certMaterial"] == site.after.shown.certificate
    site.show(site.after)
    site.up()
    assert (site.ids(), site.tasks()) == (ids, tasks)

    # Back to SSH.
    stack.run("config", "set", "access", "ssh")
    assert changed(stack.run("preview", "--json")) == {"docker-provider": "update"}
    site.up()
    assert (site.ids(), site.tasks(), site.provider()["host"]) == (ids, tasks, "ssh://any-manager")
    assert "keyMaterial" not in site.provider()
    for address in (ONE, TWO):
        site.doors.lock(address)
    site.up("--expect-no-changes")
    stack.run("destroy", "--yes", "--skip-preview")
    assert site.engine.client.services() == []


def test_refresh_and_destroy_go_to_another_manager_once_the_state_leads_there(
    site: Site,
) -> None:
    stack = site.stack
    stack.run("config", "set", "access", "tls")
    site.up()
    site.doors.lock(ONE)
    stack.run("refresh", "--yes", "--skip-preview", fails=True)
    # As operations/around_run/engine_way.py has it.
    state = engine_way.led_to(stack.exported(), f"tcp://{TWO}:{PORT}")
    (stack.folder / "led.json").write_text(json.dumps(state))
    stack.run("stack", "import", "--file", "led.json")
    assert engine_way.host_in(stack.exported()) == f"tcp://{TWO}:{PORT}"
    stack.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    site.up("--expect-no-changes")
    site.doors.unlock(ONE)
    stack.run("destroy", "--yes", "--skip-preview")
    assert site.engine.client.services() == []
