"""The command plugin, driven over gRPC as the engine does, against an SSH server with a real shell."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from lab.plugins.ssh import SESSIONS
from lab.plugins.values import UNKNOWN, Unknown
from tests.support.plugin_process import Engine, PluginError, Secret, plugin
from tests.support.ssh_server import PASSWORD, SshServer

pytestmark = pytest.mark.plugins

REMOTE, COPY, LOCAL = "command:remote:Command", "command:remote:CopyToRemote", "command:local:Command"


@pytest.fixture(scope="module")
def shared() -> Iterator[Engine]:
    with plugin("lab.plugins.command") as engine:
        yield engine


@pytest.fixture
def engine(shared: Engine) -> Engine:
    shared.messages.clear()
    return shared


@pytest.fixture
def own_engine() -> Iterator[Engine]:
    """A plugin that the test may cancel or count the connections of."""
    with plugin("lab.plugins.command") as engine:
        yield engine


@pytest.fixture
def sshd() -> Iterator[SshServer]:
    server = SshServer()
    yield server
    server.stop()


def test_a_command_gives_its_output_without_the_last_newline(engine: Engine, sshd: SshServer) -> None:
    made = engine.create(
        REMOTE, "greet", {"connection": sshd.connection(), "create": "printf 'a\\nb\\n\\n'; echo oops >&2"}
    )
    assert made.outputs["stdout"] == "a\nb\n"
    assert made.outputs["stderr"] == "oops"
    assert made.id.startswith("greet")
    assert len(made.id) == len("greet") + 8


def test_the_inputs_come_back_as_outputs_with_the_official_defaults(engine: Engine, sshd: SshServer) -> None:
    made = engine.create(
        REMOTE, "x", {"connection": Secret({"host": "127.0.0.1", "port": sshd.port, "password": PASSWORD})}
    )
    assert made.outputs["addPreviousOutputInEnv"] is True
    connection = made.outputs["connection"]
    assert (connection["user"], connection["dialErrorLimit"], connection["perDialTimeout"]) == (
        "root",
        10,
        15,
    )


def test_a_password_opens_the_door_as_well_as_a_key(engine: Engine, sshd: SshServer) -> None:
    connection = sshd.connection(privateKey=None, password=PASSWORD)
    assert (
        engine.create(REMOTE, "x", {"connection": connection, "create": "echo in"}).outputs["stdout"] == "in"
    )


def test_standard_input_reaches_the_command_and_ends(engine: Engine, sshd: SshServer) -> None:
    inputs = {"connection": sshd.connection(), "create": "cat", "stdin": Secret("line one\nline two")}
    made = engine.create(REMOTE, "x", inputs)
    assert made.outputs["stdout"] == "line one\nline two"
    assert made.is_secret("stdin")
    assert not made.is_secret("stdout")


def test_a_command_that_ignores_a_large_input_still_succeeds(engine: Engine, sshd: SshServer) -> None:
    inputs = {"connection": sshd.connection(), "create": "echo done", "stdin": "x" * 3_000_000}
    assert engine.create(REMOTE, "x", inputs).outputs["stdout"] == "done"


def test_the_connection_is_secret_even_if_the_program_forgot(engine: Engine, sshd: SshServer) -> None:
    made = engine.create(REMOTE, "x", {"connection": sshd.connection().value, "create": "true"})
    assert made.is_secret("connection")


def test_without_a_create_command_nothing_is_run(engine: Engine) -> None:
    made = engine.create(REMOTE, "x", {"connection": {"host": "192.0.2.1"}, "delete": "true"})
    assert made.outputs["stdout"] == ""


def test_a_failing_command_says_its_status_and_all_it_printed(engine: Engine, sshd: SshServer) -> None:
    with pytest.raises(PluginError) as caught:
        engine.create(
            REMOTE, "x", {"connection": sshd.connection(), "create": "echo out; echo err >&2; exit 3"}
        )
    text = str(caught.value)
    assert text.startswith('Process exited with status 3: running "echo out; echo err >&2; exit 3"')
    assert "root@127.0.0.1" in text
    assert "out\n" in text
    assert "err\n" in text
    assert caught.value.kept is None


def test_a_failing_script_is_told_by_its_first_line_and_its_output(engine: Engine, sshd: SshServer) -> None:
    script = "set -eu\n" + "true\n" * 50 + "echo here >&2\nfalse\n"
    with pytest.raises(PluginError) as caught:
        engine.create(REMOTE, "x", {"connection": sshd.connection(), "create": script})
    said = f'running "set -eu…" (53 lines) on root@127.0.0.1:{sshd.port}:\nhere\n'
    assert str(caught.value) == f"Process exited with status 1: {said}"


def test_a_secret_is_hidden_in_the_text_of_a_failure(engine: Engine, sshd: SshServer) -> None:
    inputs = {
        "connection": sshd.connection(),
        "create": "read password; echo wrong password: $password; exit 1",
        "stdin": Secret("hunter22\n"),
    }
    with pytest.raises(PluginError) as caught:
        engine.create(REMOTE, "x", inputs)
    assert "hunter22" not in str(caught.value)
    assert "wrong password: [secret]" in str(caught.value)
    assert not [m for m in engine.messages if "hunter22" in m.text]


def test_a_command_ended_by_a_signal_is_an_error(engine: Engine, sshd: SshServer) -> None:
    with pytest.raises(PluginError, match="from signal TERM"):
        engine.create(REMOTE, "x", {"connection": sshd.connection(), "create": "kill -TERM $$"})


def test_lines_are_shown_while_the_command_runs(engine: Engine, sshd: SshServer, tmp_path: Path) -> None:
    go = tmp_path / "go"
    command = f"echo first; while [ ! -e {go} ]; do sleep 0.05; done; echo second >&2"
    with ThreadPoolExecutor() as pool:
        running = pool.submit(
            engine.create, REMOTE, "x", {"connection": sshd.connection(), "create": command}
        )
        message = engine.wait_for_message("first")
        assert not running.done()
        go.touch()
        running.result()
    assert message.status
    assert message.severity == "info"
    assert message.urn.endswith("::x")
    assert engine.wait_for_message("second").status


@pytest.mark.parametrize(
    ("logging", "shown"),
    [
        ("stdout", ["out"]),
        ("stderr", ["err"]),
        ("stdoutAndStderr", ["err", "out"]),
        ("none", []),
        (None, ["err", "out"]),
    ],
)
def test_only_the_streams_asked_for_are_shown(
    engine: Engine, sshd: SshServer, logging: str | None, shown: list[str]
) -> None:
    inputs = {"connection": sshd.connection(), "create": "echo out; echo err >&2", "logging": logging}
    made = engine.create(REMOTE, "x", inputs)
    assert sorted(m.text for m in engine.messages) == shown
    assert (made.outputs["stdout"], made.outputs["stderr"]) == ("out", "err")


def test_variables_reach_a_command_whose_host_takes_them(engine: Engine, sshd: SshServer) -> None:
    inputs = {"connection": sshd.connection(), "create": "echo $COLOUR", "environment": {"COLOUR": "blue"}}
    assert engine.create(REMOTE, "x", inputs).outputs["stdout"] == "blue"


def test_a_command_whose_variables_the_host_refuses_is_not_started(
    engine: Engine, sshd: SshServer, tmp_path: Path
) -> None:
    sshd.accepts_environment = False
    mark = tmp_path / "ran"
    inputs = {"connection": sshd.connection(), "create": f"touch {mark}", "environment": {"COLOUR": "blue"}}
    with pytest.raises(PluginError, match=r'could not set environment variable "COLOUR".*AcceptEnv'):
        engine.create(REMOTE, "x", inputs)
    assert not mark.exists()


def test_an_update_runs_update_with_the_outputs_before_in_its_environment(
    engine: Engine, sshd: SshServer
) -> None:
    inputs = {
        "connection": sshd.connection(),
        "create": "echo one",
        "update": "echo $PULUMI_COMMAND_STDOUT two",
    }
    made = engine.create(REMOTE, "x", inputs)
    updated = engine.update(made, {**inputs, "stdin": "changed"})
    assert updated.outputs["stdout"] == "one two"


def test_an_update_without_an_update_command_runs_create_again(engine: Engine, sshd: SshServer) -> None:
    made = engine.create(REMOTE, "x", {"connection": sshd.connection(), "create": "echo one"})
    assert (
        engine.update(made, {"connection": sshd.connection(), "create": "echo two"}).outputs["stdout"]
        == "two"
    )


def test_a_host_that_refuses_the_outputs_before_earns_a_warning(engine: Engine, sshd: SshServer) -> None:
    made = engine.create(REMOTE, "x", {"connection": sshd.connection(), "create": "echo one"})
    sshd.accepts_environment = False
    engine.update(made, {"connection": sshd.connection(), "create": "echo two"})
    message = engine.wait_for_message("Unable to set 'PULUMI_COMMAND_STDOUT'")
    assert (message.severity, message.status) == ("warning", False)


def test_the_outputs_before_are_kept_out_when_asked(engine: Engine, sshd: SshServer) -> None:
    inputs = {
        "connection": sshd.connection(),
        "create": "echo one",
        "update": "echo ${PULUMI_COMMAND_STDOUT-none}",
        "addPreviousOutputInEnv": False,
    }
    made = engine.create(REMOTE, "x", inputs)
    assert engine.update(made, {**inputs, "stdin": "changed"}).outputs["stdout"] == "none"


def test_a_deletion_runs_delete_and_only_delete(engine: Engine, sshd: SshServer, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    inputs = {"connection": sshd.connection(), "create": f"echo created > {mark}", "delete": f"rm {mark}"}
    made = engine.create(REMOTE, "x", inputs)
    assert mark.exists()
    engine.delete(made)
    assert not mark.exists()


def test_a_failing_deletion_is_an_error(engine: Engine, sshd: SshServer) -> None:
    made = engine.create(REMOTE, "x", {"connection": sshd.connection(), "create": "true", "delete": "exit 9"})
    with pytest.raises(PluginError, match="status 9"):
        engine.delete(made)


def test_a_preview_runs_nothing_and_leaves_the_outputs_unknown(engine: Engine, tmp_path: Path) -> None:
    inputs = {"connection": Secret({"host": UNKNOWN}), "create": f"touch {tmp_path}/mark"}
    planned = engine.create(REMOTE, "x", inputs, preview=True)
    assert isinstance(planned.outputs["stdout"], Unknown)
    assert isinstance(planned.outputs["stderr"], Unknown)
    assert planned.outputs["create"] == inputs["create"]
    assert planned.is_secret("connection")
    assert not list(tmp_path.iterdir())


def test_the_same_inputs_again_are_no_change(engine: Engine, sshd: SshServer) -> None:
    inputs = {
        "connection": sshd.connection(),
        "create": "echo one",
        "triggers": [1, {"a": [True, None]}],
        "environment": {},
    }
    diff = engine.diff(engine.create(REMOTE, "x", inputs), inputs)
    assert diff.changes == diff.DIFF_NONE
    assert not diff.detailedDiff


def test_a_value_that_became_secret_is_no_change(engine: Engine, sshd: SshServer) -> None:
    made = engine.create(REMOTE, "x", {"connection": sshd.connection(), "create": "echo one"})
    diff = engine.diff(made, {"connection": sshd.connection(), "create": Secret("echo one")})
    assert diff.changes == diff.DIFF_NONE


@pytest.mark.parametrize(
    ("change", "path", "replaces"),
    [
        ({"create": "echo two"}, "create", False),
        ({"update": "echo two"}, "update", False),
        ({"stdin": "x"}, "stdin", False),
        ({"logging": "none"}, "logging", False),
        ({"triggers": ["b"]}, "triggers[0]", True),
        ({"triggers": ["a", "b"]}, "triggers[1]", True),
        ({"triggers": None}, "triggers", True),
        ({"triggers": [UNKNOWN]}, "triggers[0]", True),
        ({"environment": {"A": "2"}}, "environment.A", False),
        ({"environment": {"A": UNKNOWN}}, "environment.A", False),
    ],
)
def test_only_a_changed_trigger_replaces(
    engine: Engine, change: dict[str, Any], path: str, replaces: bool
) -> None:
    inputs = {"connection": {"host": "192.0.2.1"}, "triggers": ["a"], "environment": {"A": "1"}}
    made = engine.create(REMOTE, "x", inputs)
    diff = engine.diff(made, {**inputs, **change})
    assert diff.changes == diff.DIFF_SOME
    assert list(diff.detailedDiff) == [path]
    assert bool(diff.replaces) is replaces
    assert not diff.deleteBeforeReplace


@pytest.mark.parametrize(
    ("token", "inputs", "reason"),
    [
        (REMOTE, {"create": "true"}, "Missing required property 'connection'"),
        (REMOTE, {"connection": {}}, "the connection has no host"),
        (REMOTE, {"connection": {"host": "h", "keyfile": "x"}}, "takes no 'keyfile'"),
        (REMOTE, {"connection": {"host": "h", "port": "22"}}, "'port' must be a whole number"),
        (REMOTE, {"connection": {"host": "h", "proxy": {}}}, "the connection's proxy has no host"),
        (REMOTE, {"connection": {"host": "h"}, "command": "x"}, "takes no 'command'"),
        (REMOTE, {"connection": {"host": "h"}, "create": 1}, "'create' must be a string"),
        (REMOTE, {"connection": {"host": "h"}, "logging": "all"}, "'logging' must be one of"),
        (REMOTE, {"connection": {"host": "h"}, "environment": {"A": 1}}, "'A' must be a string"),
        (LOCAL, {"create": "true", "assetPaths": ["*"]}, "leaves assets out"),
        (COPY, {"connection": {"host": "h"}, "remotePath": "/x", "source": "/etc"}, "must be a FileAsset"),
    ],
)
def test_a_bad_input_is_refused_before_anything_runs(
    engine: Engine, token: str, inputs: dict[str, Any], reason: str
) -> None:
    _, reasons = engine.check(token, inputs)
    assert len(reasons) == 1
    assert reason in reasons[0]


def test_an_unknown_resource_names_the_official_plugin(engine: Engine) -> None:
    with pytest.raises(PluginError, match=r"pulumi plugin install resource command 1\.2\.1"):
        engine.check("command:remote:CopyFile", {})


def test_a_wrong_host_key_is_refused_at_once_and_says_why(engine: Engine, sshd: SshServer) -> None:
    other = SshServer()
    try:
        with pytest.raises(PluginError, match="does not show the expected SSH host key"):
            engine.create(
                REMOTE, "x", {"connection": sshd.connection(hostKey=other.host_key), "create": "true"}
            )
    finally:
        other.stop()
    assert sshd.logins == 0


@pytest.mark.parametrize("algorithm", [0, 1])
def test_either_of_the_servers_host_keys_may_be_pinned(
    engine: Engine, sshd: SshServer, algorithm: int
) -> None:
    key = sshd.host_keys[algorithm].export_public_key().decode()
    made = engine.create(REMOTE, "x", {"connection": sshd.connection(hostKey=key), "create": "echo in"})
    assert made.outputs["stdout"] == "in"


def test_a_host_that_is_not_up_yet_is_tried_again(engine: Engine, sshd: SshServer) -> None:
    sshd.stop()
    inputs = {"connection": sshd.connection(dialErrorLimit=-1), "create": "echo up"}
    with ThreadPoolExecutor() as pool:
        running = pool.submit(engine.create, REMOTE, "x", inputs)
        message = engine.wait_for_message("Dial 2/inf failed")
        sshd.start()
        assert running.result().outputs["stdout"] == "up"
    assert message.status


def test_a_host_that_does_not_know_the_key_yet_is_tried_again(engine: Engine, sshd: SshServer) -> None:
    sshd.refused_logins = 2
    assert (
        engine.create(REMOTE, "x", {"connection": sshd.connection(), "create": "echo in"}).outputs["stdout"]
        == "in"
    )


def test_a_host_that_never_answers_is_an_error_after_the_limit(engine: Engine, sshd: SshServer) -> None:
    sshd.stop()
    with pytest.raises(PluginError, match=r"root@127\.0\.0\.1:\d+: after 3 failed attempts: .*[Cc]onnect"):
        engine.create(REMOTE, "x", {"connection": sshd.connection(dialErrorLimit=2), "create": "true"})


def test_an_unusable_private_key_says_so_without_showing_it(engine: Engine, sshd: SshServer) -> None:
    with pytest.raises(PluginError, match="privateKey can't be used") as caught:
        engine.create(
            REMOTE, "x", {"connection": sshd.connection(privateKey="not-a-key-1234"), "create": "true"}
        )
    assert "not-a-key-1234" not in str(caught.value)


def test_a_proxy_is_gone_through(engine: Engine, sshd: SshServer) -> None:
    inner = SshServer()
    try:
        connection = Secret({**inner.connection().value, "proxy": sshd.connection().value})
        made = engine.create(REMOTE, "x", {"connection": connection, "create": "echo behind"})
    finally:
        inner.stop()
    assert made.outputs["stdout"] == "behind"
    assert (sshd.logins, inner.logins) == (1, 1)


def test_many_commands_share_few_connections_and_run_side_by_side(
    own_engine: Engine, sshd: SshServer, tmp_path: Path
) -> None:
    # Each waits until all have started: that they end at all shows that they run side by side.
    count = 32
    all_started = f'[ "$(ls {tmp_path} | wc -l)" -ge {count} ]'
    command = f"mktemp {tmp_path}/XXXXXX; until {all_started}; do sleep 0.2; done"
    with ThreadPoolExecutor(count) as pool:
        inputs = {"connection": sshd.connection(), "create": command}
        list(pool.map(lambda n: own_engine.create(REMOTE, f"x{n}", inputs), range(count)))
    assert sshd.logins == count / SESSIONS
    assert sshd.most_sessions == SESSIONS


def test_a_host_with_less_room_for_sessions_gets_more_connections(
    own_engine: Engine, sshd: SshServer
) -> None:
    sshd.room = 2
    with ThreadPoolExecutor(6) as pool:
        inputs = {"connection": sshd.connection(), "create": "sleep 0.3; echo done"}
        made = list(pool.map(lambda n: own_engine.create(REMOTE, f"x{n}", inputs), range(6)))
    assert [m.outputs["stdout"] for m in made] == ["done"] * 6


def test_a_connection_that_broke_in_between_is_opened_again(own_engine: Engine, sshd: SshServer) -> None:
    inputs = {"connection": sshd.connection(), "create": "echo in"}
    own_engine.create(REMOTE, "before", inputs)
    sshd.cut()
    assert own_engine.create(REMOTE, "after", inputs).outputs["stdout"] == "in"
    assert sshd.logins == 2


def test_a_command_whose_connection_breaks_is_an_error_and_not_run_again(
    engine: Engine, sshd: SshServer, tmp_path: Path
) -> None:
    command = f"echo >> {tmp_path}/runs; echo started; sleep 60"
    with ThreadPoolExecutor() as pool:
        running = pool.submit(
            engine.create, REMOTE, "x", {"connection": sshd.connection(), "create": command}
        )
        engine.wait_for_message("started")
        sshd.cut()
        with pytest.raises(PluginError, match="the connection broke while the command was running"):
            running.result()
    assert (tmp_path / "runs").read_text() == "\n"


def test_an_interruption_ends_the_command_on_the_host(
    own_engine: Engine, sshd: SshServer, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    command = f"trap 'touch {mark}; exit 1' TERM; echo started; while :; do sleep 0.1; done"
    with ThreadPoolExecutor() as pool:
        running = pool.submit(
            own_engine.create, REMOTE, "x", {"connection": sshd.connection(), "create": command}
        )
        own_engine.wait_for_message("started")
        own_engine.cancel()
        with pytest.raises(PluginError, match="interrupted") as caught:
            running.result()
    assert caught.value.code == "CANCELLED"
    assert mark.exists()


def test_after_an_interruption_nothing_new_is_started(
    own_engine: Engine, sshd: SshServer, tmp_path: Path
) -> None:
    own_engine.cancel()
    with pytest.raises(PluginError, match="interrupted"):
        own_engine.create(LOCAL, "x", {"create": f"touch {tmp_path}/mark"})
    assert not list(tmp_path.iterdir())


def test_a_local_command_runs_where_and_how_it_is_told(engine: Engine, tmp_path: Path) -> None:
    inputs = {
        "create": "pwd; read line; echo $line $COLOUR",
        "interpreter": ["/bin/bash", "-c"],
        "dir": str(tmp_path),
        "stdin": "hello\n",
        "environment": {"COLOUR": "blue"},
    }
    assert engine.create(LOCAL, "x", inputs).outputs["stdout"] == f"{tmp_path}\nhello blue"


def test_a_failing_local_command_says_its_status(engine: Engine) -> None:
    with pytest.raises(PluginError, match=r'exit status 4: running "echo out; exit 4":\nout'):
        engine.create(LOCAL, "x", {"create": "echo out; exit 4"})


def test_a_file_and_a_text_and_a_folder_are_copied(engine: Engine, sshd: SshServer, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "a.txt").write_text("first")
    connection = sshd.connection()
    inputs = {
        "connection": connection,
        "source": pulumi.FileAsset(str(source / "a.txt")),
        "remotePath": str(target),
    }
    made = engine.create(COPY, "x", inputs)
    assert (target / "a.txt").read_text() == "first"
    assert len(made.id) == 8

    text = {"connection": connection, "source": pulumi.StringAsset("words"), "remotePath": f"{target}/b.txt"}
    engine.create(COPY, "x", text)
    assert (target / "b.txt").read_text() == "words"

    engine.create(
        COPY, "x", {**inputs, "source": pulumi.FileArchive(str(source)), "remotePath": f"{target}/new"}
    )
    assert (target / "new" / "source" / "a.txt").read_text() == "first"


def test_a_plugin_ends_when_its_engine_does(sshd: SshServer) -> None:
    with plugin("lab.plugins.command") as engine:
        assert engine.process is not None
        engine.create(LOCAL, "x", {"create": "true"})
        engine.stop()
        deadline = time.monotonic() + 60
        while engine.process.poll() is None:
            assert time.monotonic() < deadline, "the plugin outlives its engine"
            time.sleep(0.1)


def test_a_state_that_another_type_left_is_refused(engine: Engine, sshd: SshServer) -> None:
    """As the official plugin says it, when an alias hands a remote command's state to a local one."""
    made = engine.create(REMOTE, "x", {"connection": sshd.connection(), "create": "true"})
    handed_on = replace(made, urn=made.urn.replace(REMOTE, LOCAL))
    with pytest.raises(PluginError, match=r"Unrecognized field 'connection' on 'local\.CommandOutputs'"):
        engine.update(handed_on, {"create": "true", "interpreter": ["/bin/sh", "-c"]})
