"""What the real Pulumi makes of a host of one's own: taken in over SSH, looked at, let go; no account."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from harness import servers
from harness.servers import Servers
from lab.toolchain import places
from tests.support.ssh_server import SshServer

pytestmark = pytest.mark.provider

PROGRAM = Path(servers.__file__).with_name("own_host_only")
ELSEWHERE = """#!/bin/bash
# What is a path of the host is one below {folder}; nothing of this machine is touched.
text=$2
for place in /etc/ /run/ /var/lib/; do text=${{text//$place/{folder}$place}}; done
exec /bin/bash -c "$text"
"""
SUDO = '#!/bin/bash\nwhile [[ $1 == -* ]]; do shift; done\nexec "$@"\n'
QUIET = "#!/bin/bash\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    """A host that is a folder, on which nothing can be installed."""
    programs, root = tmp_path / "bin", tmp_path / "host"
    programs.mkdir()
    for place in ("etc/ssh/sshd_config.d", "run", "var/lib"):
        (root / place).mkdir(parents=True)
    (root / "etc/resolv.conf").write_text("nameserver 10.0.0.53\n")
    texts = {"shell": ELSEWHERE.format(folder=root), "sudo": SUDO, "id": "#!/bin/bash\necho deploy\n"}
    for name in ("systemctl", "docker", "getent", "usermod", "gpasswd", "sync"):
        texts[name] = QUIET
    texts["docker"] = "#!/bin/bash\nexit 1\n"
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    made = SshServer(str(programs / "shell"), {"PATH": f"{programs}:/usr/bin:/bin"})
    yield made
    made.stop()


@pytest.fixture
def stack(server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Servers:
    monkeypatch.setattr(places, "VENV", Path(sys.prefix))
    found = Servers(tmp_path / "pulumi", "", {}, 0, PROGRAM)
    host = {
        "name": "db1",
        "address": "10.0.0.1",
        "sshHost": "127.0.0.1",
        "port": server.port,
        "user": "deploy",
    }
    empty: dict[str, Any] = dict.fromkeys(("endpoint", "count", "disks", "orderSettle"))
    shown = " ".join(server.host_keys[0].export_public_key().decode().split()[:2])
    found.settings({**empty, "host": host, "seen": shown})
    with_key(found, server.private_key)
    return found


def with_key(stack: Servers, text: str) -> None:
    done = stack.run("config", "set", "--secret", "swarm-galera:key", given=text)
    assert done.code == 0, done.said


def test_a_host_is_taken_in_kept_as_it_is_and_let_go(
    server: SshServer, stack: Servers, tmp_path: Path
) -> None:
    notes, drop_in = (
        tmp_path / "host" / place
        for place in ("var/lib/swarm-galera", "etc/ssh/sshd_config.d/10-swarm-galera.conf")
    )
    stack.must("preview")
    assert not notes.exists()
    stack.up()
    owner = (notes / "stack").read_text().strip()
    assert owner.startswith("swarm-galera/servers/")
    assert (notes / "in-docker").read_text() == "deploy\n"
    told = json.loads(stack.must("stack", "output", "--json"))
    assert told["privateIp"] == "10.0.0.1"
    assert told["hostKey"].startswith("ecdsa-sha2-nistp256 ")
    assert told["id"].startswith("SHA256:")
    # Nothing secret is in the state in plain, and another run changes nothing, whether or not the host
    # answers.
    plain = [
        (resource["urn"], side)
        for resource in stack.exported()["deployment"]["resources"]
        for side in ("inputs", "outputs")
        if "PRIVATE KEY" in json.dumps(resource.get(side))
    ]
    assert plain == []
    stack.settings({"seen": None})
    stack.must("preview", "--expect-no-changes")
    stack.must("refresh", "--yes", "--skip-preview")
    stack.must("preview", "--expect-no-changes")

    # Something is noted of it for later: the preview still knows where it is, and by which key.
    with_key(stack, asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode())
    said = stack.must("preview")
    assert "db1-ready update" in said
    assert "[unknown]" not in said
    with_key(stack, server.private_key)

    drop_in.write_text("MaxSessions 100\n")
    said = stack.destroy()
    assert "db1 is as it was, but for the packages" in said
    assert not (notes / "stack").exists()
    assert not drop_in.exists()
    assert (notes / "engine").read_text() in ("kept\n", "brought\n")


def test_a_host_that_is_gone_keeps_nobody_from_destroying(server: SshServer, stack: Servers) -> None:
    stack.up()
    server.stop()
    said = stack.destroy()
    assert "db1 does not answer, so what the program brought to it stays there" in said
    assert not stack.exported()["deployment"].get("resources")
