"""The example of a project with a database of its own: real `pulumi`, real SSH, a cluster of real nodes.

Only the engine is a few lines of shell: it knows one container, a node's processes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.toolchain import build, places
from tests.images.galera_site import GaleraSite, formed, sql, start, wait_for
from tests.images.image_containers import Container
from tests.images.image_roots import image_root
from tests.plugins.stacks import Stack
from tests.support.ssh_server import SshServer

pytestmark = [pytest.mark.plugins, pytest.mark.first]

DOCKER = """#!/bin/sh
case $1 in
  ps) echo c0ffee ;;
  exec) shift 5; exec nsenter --target PID --mount --pid --net chroot ROOT /usr/bin/env -i PATH=/usr/bin:/bin "$@" ;;
esac
"""
# The outputs of a cluster whose first host has lost its power.
CLUSTER = """
import json
import pulumi

known = json.loads(pulumi.Config().require_secret("known").apply(lambda text: text) and open("known.json").read())
pulumi.export("contractVersion", 2)
pulumi.export("galera", {"service": "galera", "port": 3306, "members": known["members"], "database": "app"})
pulumi.export("ssh", pulumi.Output.secret(known["ssh"]))
"""


def host(folder: Path, node: Container) -> SshServer:
    """SSH to a host whose engine has this node."""
    folder.mkdir()
    program = folder / "docker"
    program.write_text(DOCKER.replace("PID", str(node.init_pid())).replace("ROOT", str(node.root)))
    program.chmod(0o755)
    return SshServer("/bin/sh", {"PATH": f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin"})


def project(folder: Path, name: str, environment: dict[str, str]) -> Stack:
    """A stack of the program that is in the folder."""
    given = folder / "Pulumi.yaml"
    settings = yaml.safe_load(given.read_text()) if given.exists() else {"name": name}
    given.write_text(yaml.safe_dump({**settings, "runtime": "python"}))
    stack = Stack(folder, environment)
    stack.run("stack", "init", "dev")
    return stack
