"""How a script gets to a host: over standard input, with its values, under one short command line."""

from __future__ import annotations

import subprocess

import pytest

from components import remote
from components.host_scripts.shell import script
from settings.errors import UserError

pytestmark = pytest.mark.unit


def execute(what: str, create: str, delete: str | None = None, values: str = "") -> tuple[int, str, str]:
    """Run the command line as sshd does: by the login shell, the script on standard input."""
    text = remote.with_values(script(*functions(create, delete)), values)
    done = subprocess.run(
        ["bash", "-c", remote.call("a-step", what)],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def functions(create: str, delete: str | None) -> list[str]:
    """The functions alone: the lock of a step is in a folder that only a host has."""
    return [f"{name}() {{\n{text}\n}}" for name, text in (("create", create), ("delete", delete)) if text]


def test_each_command_runs_its_own_part() -> None:
    assert execute("create", "echo made", "echo gone") == (0, "made\n", "")
    assert execute("delete", "echo made", "echo gone") == (0, "gone\n", "")


def test_both_parts_read_the_same_values() -> None:
    for what in ("create", "delete"):
        text = 'read -r one; read -r two three; echo "<$one><$two><$three>"'
        assert execute(what, text, text, "a b\nc $d 'e'\n")[1] == "<a b><c><$d 'e'>\n"


def test_a_failure_inside_ends_the_step_with_its_code() -> None:
    code, out, _ = execute("create", "false\necho never")
    assert (code, out) == (1, "")
    assert execute("create", "exit 7")[0] == 7


def test_the_command_line_is_short_and_names_the_step() -> None:
    assert (
        remote.call("swarm-galera-2-node", "create") == 'step=swarm-galera-2-node; eval "$(cat)"; run create'
    )


def test_a_step_takes_its_turn_before_it_starts() -> None:
    assert "/run/swarm-galera/a-step.lock" in remote.steps("a-step", "true", None)


def test_a_value_can_not_end_the_values() -> None:
    with pytest.raises(UserError, match="END-OF-VALUES"):
        remote.with_values("text", "a\nEND-OF-VALUES\nb")
