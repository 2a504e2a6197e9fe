"""What the load balancer's entrypoint takes from outside, refuses, and hands to HAProxy."""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path

import pytest

from images.haproxy.haproxy_node import cli, settings
from images.haproxy.haproxy_node.settings import SettingsError

pytestmark = pytest.mark.unit

FOLDER = Path(settings.__file__).parents[1]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / "haproxy-stats-password").write_text("marked-password\n")
    return tmp_path


def test_everything_has_a_default_but_the_password(secrets: Path) -> None:
    found = settings.load({"SECRETS_DIR": str(secrets)})
    assert found.variables["WRITER_PORT"] == "6446"
    assert found.variables["READER_PORT"] == "6447"
    assert found.variables["PEERS"] == "tasks.galera"
    assert found.password == "marked-password"
    assert "marked-password" not in repr(found)


def test_the_configuration_uses_each_variable_and_no_other(secrets: Path) -> None:
    used = set(re.findall(r"\$\{(\w+)\}", (FOLDER / "haproxy.cfg").read_text()))
    assert used == set(settings.load({"SECRETS_DIR": str(secrets)}).variables)


def test_the_password_is_in_no_argument(secrets: Path) -> None:
    found = settings.load({"SECRETS_DIR": str(secrets)})
    assert not [word for word in cli.arguments(3) if "marked-password" in word]
    assert "marked-password" not in found.variables.values()
    assert cli.users(found) == "userlist operators\n  user admin insecure-password 'marked-password'\n"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("WRITER_PORT", "80", "1024"),
        ("WRITER_PORT", "6447", "two are the same"),
        ("STATS_PORT", "many", "whole number"),
        ("SERVERS", "0", "from 1 to 64"),
        ("PEERS", "tasks.galera:3306 weight 0", "PEERS"),
        ("RESOLVER", "docker", "127.0.0.11:53"),
        ("NODE_NAME", 'a"b', "NODE_NAME"),
    ],
)
def test_a_wrong_value_is_refused(secrets: Path, key: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        settings.load({"SECRETS_DIR": str(secrets), key: value})


@pytest.mark.parametrize("content", ["", "two words", "it's", "line\nline", "ä"])
def test_a_password_that_would_not_be_one_word_of_the_configuration_is_refused(
    secrets: Path, content: str
) -> None:
    (secrets / "haproxy-stats-password").write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match="haproxy-stats-password") as refused:
        settings.load({"SECRETS_DIR": str(secrets)})
    assert not content or content not in str(refused.value)


def test_a_missing_password_ends_the_start_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    assert cli.main(["run"]) == 2
    assert "Attach the secret 'haproxy-stats-password'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "code"), [(b"Name: HAProxy\nVersion: 2.6\n", 0), (b"Unknown command", 1), (b"", 1)]
)
def test_health_is_what_haproxy_answers(tmp_path: Path, answer: bytes, code: int) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(100) == b"show info\n"
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert cli.health(path) == code
        thread.join()


def test_health_says_that_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.health(str(tmp_path / "socket")) == 1
    assert "does not answer" in capsys.readouterr().out


def test_other_words_show_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stop"]) == 2
    assert "haproxy-node health" in capsys.readouterr().err
