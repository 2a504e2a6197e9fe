"""The package as `pip` installs it, and the example that composes the cluster of it, under the real `pulumi`.

Hosts are SSH servers that tell what a fitting host tells; `up` on real ones is what the project's own tests
do, with the same components.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.toolchain import build, places, plugins
from tests.plugins.stacks import Stack
from tests.support.ssh_server import SshServer

pytestmark = pytest.mark.plugins

HOST = """#!/bin/sh
printf 'hostname\\t%s\\naddress\\t%s\\nboot\\t%s\\n' "$NAME" "$ADDRESS" "$NAME"
printf 'system\\tdebian \\nsystem_name\\tDebian GNU/Linux 12 (bookworm)\\n'
printf 'machine\\tx86_64\\nsystemd\\tyes\\nfilesystem\\text4\\nbtrfs\\tyes\\n'
"""
"""A login there: whatever is asked, what components/host_scripts/own_look.sh tells of a bare host."""
NAMES = ("db1", "db2", "db3")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is beside other packages then; those it requires are the tests' own."""
    folder = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    wheels, target = folder / "wheels", folder / "packages"
    for words in (
        ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(places.CHECKOUT)),
        (
            "install",
            "--no-deps",
            "--no-index",
            "--find-links",
            str(wheels),
            "--target",
            str(target),
            "swarm-galera",
        ),
    ):
        done = subprocess.run([*pip, *words], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[SshServer]]:
    """Three, all with the first one's key."""
    shell = tmp_path / "host"
    shell.write_text(HOST)
    shell.chmod(0o755)
    made = [
        SshServer(str(shell), {"PATH": "/usr/bin:/bin", "NAME": name, "ADDRESS": f"10.0.0.{number}"})
        for number, name in enumerate(NAMES, 1)
    ]
    for each in made:
        each.key = made[0].key
    yield made
    for each in made:
        each.stop()


@pytest.fixture
def composed(packages: Path, hosts: list[SshServer], tmp_path: Path) -> Stack:
    """The example's stack, in a project that has modules called like the checkout's folders."""
    toolchain = build.bin_folder()
    assert toolchain is not None, "there is no pulumi for the tests: run `make toolchain` first"
    folder, backend = tmp_path / "composed", tmp_path / "backend"
    backend.mkdir()
    ignored = shutil.ignore_patterns(".venv", "__pycache__")
    shutil.copytree(places.CHECKOUT / "examples" / "composed", folder, ignore=ignored)
    for name in ("components", "operations", "settings"):
        (folder / f"{name}.py").write_text("raise AssertionError('this is not the package')\n")
    project = yaml.safe_load((folder / "Pulumi.yaml").read_text())
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump({**project, "runtime": "python"}))
    (tmp_path / "id").write_text(hosts[0].private_key)
    stack = Stack(
        folder,
        hosts[0],
        {
            "PATH": f"{packages / 'bin'}:{toolchain}:{places.VENV / 'bin'}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "PULUMI_HOME": str(tmp_path / "home"),
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PYTHONPATH": str(packages),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    plugins.ensure(tmp_path / "home")
    stack.run("stack", "init", "test")
    for number, (name, host) in enumerate(zip(NAMES, hosts, strict=True)):
        way = {"name": name, "address": f"10.0.0.{number + 1}", "sshHost": "127.0.0.1", "port": host.port}
        for key, value in way.items():
            stack.run("config", "set", "--path", f"hosts[{number}].{key}", str(value))
    given = {"registry": "reg.example/mine", "reports": "reg.example/reports:4"}
    for key, text in {**given, "privateKeyFile": str(tmp_path / "id")}.items():
        stack.run("config", "set", key, text)
    return stack


def operations(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    """The package's own command, in the project's folder."""
    return subprocess.run(
        ["swarm-galera", *words, "--stack", "test"],
        cwd=stack.folder,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_example_is_planned_with_the_package_alone(composed: Stack, hosts: list[SshServer]) -> None:
    planned = json.loads(composed.run("preview", "--json"))
    made = {step["urn"].rpartition("::")[2] for step in planned["steps"] if step["op"] == "create"}
    assert made >= {"db1-ready", "db3-engine-configured", "swarm-started", "etcd-service", "galera-service"}
    assert made >= {"reports-service", "reports-running"}
    # Providers and all that they need are the package's, for there is nothing else.
    assert any("pulumi-python:dynamic" in step["urn"] for step in planned["steps"])
    shown = operations(composed, "preview")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "reports-service" in shown.stdout

    # Nobody is asked to change what cannot be reached.
    hosts[1].stop()
    refused = composed.run("preview", fails=True)
    assert "db2: no SSH at 127.0.0.1" in refused
    assert "Remedy" in refused
    assert "Traceback" not in refused


def test_its_command_says_where_it_must_be_called(composed: Stack, tmp_path: Path) -> None:
    elsewhere = Stack(tmp_path / "home", composed.sshd, composed.environment)
    said = operations(elsewhere, "preview")
    assert said.returncode == 1
    assert "There is no project in" in said.stderr
    assert "Traceback" not in said.stderr
