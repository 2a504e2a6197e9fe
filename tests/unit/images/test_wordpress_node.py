"""What the site's entrypoint takes from outside, refuses, and hands to Apache and WordPress."""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path

import pytest

from components import application
from images.wordpress.wordpress_node import cli, settings
from images.wordpress.wordpress_node.settings import SettingsError

pytestmark = pytest.mark.unit

FOLDER = Path(settings.__file__).parents[1]
WANTED = {"DATABASE_HOST": "haproxy", "DATABASE_NAME": "wordpress", "DATABASE_USER": "writer"}
SALT = "marked-salt-of-forty-characters-and-more"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / settings.PASSWORD).write_text("marked-password\n")
    (tmp_path / settings.SALT).write_text(SALT)
    return tmp_path


def load(secrets: Path, **changes: str) -> dict[str, str]:
    return settings.load({"SECRETS_DIR": str(secrets), **WANTED, **changes})


def test_the_database_must_be_said_and_the_rest_has_defaults(secrets: Path) -> None:
    assert load(secrets) == {
        **WANTED,
        "DATABASE_PORT": "3306",
        "WORKERS": "16",
        "SECRETS_DIR": str(secrets),
    }
    for missing in WANTED:
        with pytest.raises(SettingsError, match=f"{missing} is missing"):
            load(secrets, **{missing: ""})


def test_the_sites_address_is_taken_without_a_slash_at_its_end(secrets: Path) -> None:
    for given in ("https://blog.example.com/", "http://10.0.0.1:8080", "https://example.com/blog"):
        assert load(secrets, SITE_URL=given)["SITE_URL"] == given.rstrip("/")


def test_with_an_authority_the_site_comes_to_its_database_with_tls_and_checks_who_answers(
    secrets: Path,
) -> None:
    (secrets / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    assert load(secrets, DATABASE_CA=str(secrets / "ca.crt"))["DATABASE_CA"] == str(secrets / "ca.crt")
    (secrets / "ca.crt").write_text("nothing")
    for path, said in (("ca.crt", "holds no certificate"), ("none.crt", "missing or not readable")):
        with pytest.raises(SettingsError, match=said):
            load(secrets, DATABASE_CA=str(secrets / path))
    wp_config, php = ((FOLDER / name).read_text() for name in ("wp-config.php", "php.ini"))
    assert "MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT" in wp_config
    assert "openssl.cafile = ${DATABASE_CA}" in php


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("DATABASE_HOST", "haproxy:6446", "DATABASE_HOST"),
        ("DATABASE_PORT", "many", "whole number"),
        ("DATABASE_PORT", "65536", "from 1 to 65535"),
        ("DATABASE_NAME", "word-press", "DATABASE_NAME"),
        ("DATABASE_USER", "it's", "DATABASE_USER"),
        ("WORKERS", "1", "from 2 to 256"),
        ("SITE_URL", "blog.example.com", "https://blog.example.com"),
        ("SITE_URL", "https://x'.example.com", "SITE_URL"),
    ],
)
def test_a_wrong_value_is_refused(secrets: Path, key: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(secrets, **{key: value})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (settings.PASSWORD, ""),
        (settings.PASSWORD, "marked two words"),
        (settings.SALT, "marked-short"),
        (settings.SALT, "markedä" * 9),
    ],
)
def test_a_secret_that_can_not_be_used_is_refused_without_showing_it(
    secrets: Path, name: str, content: str
) -> None:
    (secrets / name).write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=name) as refused:
        load(secrets)
    assert "marked" not in str(refused.value)


def test_a_missing_secret_ends_the_start_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, value in {"SECRETS_DIR": str(tmp_path), **WANTED}.items():
        monkeypatch.setenv(key, value)
    assert cli.main(["run"]) == 2
    assert "Attach the secret 'application-database-password'" in capsys.readouterr().err


def test_apache_gets_what_was_looked_at_and_no_secret(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    class Started(Exception):
        pass

    def execve(program: str, argv: list[str], environment: dict[str, str]) -> None:
        assert program == argv[0] == "/usr/sbin/apache2"
        started.append((argv, environment))
        raise Started

    for key, value in {"SECRETS_DIR": str(secrets), **WANTED, "MAIL_HOST": "smtp"}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr("os.execve", execve)
    with pytest.raises(Started):
        cli.run()
    ((argv, environment),) = started
    assert argv[1:] == ["-D", "FOREGROUND", "-f", "/etc/wordpress-node/apache2.conf"]
    assert environment["WORKERS"] == "16"
    assert environment["MAIL_HOST"] == "smtp"  # a plug-in's own
    assert "marked" not in str(started)


def test_files_of_the_image_use_each_variable_and_the_programs_secrets(secrets: Path) -> None:
    (secrets / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    given = {*load(secrets, SITE_URL="http://a.example.com", DATABASE_CA=str(secrets / "ca.crt"))}
    php = (FOLDER / "wp-config.php").read_text()
    apache = (FOLDER / "apache2.conf").read_text()
    used = {*re.findall(r"getenv\('(\w+)'\)", php), *re.findall(r"\$\{(\w+)\}", apache)}
    assert used == given
    assert set(re.findall(r"\$node_secret\('([\w-]+)'\)", php)) == {settings.PASSWORD, settings.SALT}
    assert (application.PASSWORD, application.SALT) == (settings.PASSWORD, settings.SALT)
    assert application.SALT_LENGTH >= settings.SHORTEST_SALT
    assert f"Listen {cli.PORT}\n" in apache
    assert f"Alias {cli.HEALTH} " in apache


def test_it_stops_before_the_swarm_has_lost_its_patience() -> None:
    found = re.search(r"^GracefulShutdownTimeout (\d+)$", (FOLDER / "apache2.conf").read_text(), re.MULTILINE)
    assert found
    assert int(found[1]) < application.STOP_GRACE
    assert "STOPSIGNAL SIGWINCH" in (FOLDER / "Dockerfile").read_text()


WELL = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nwell\n"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (WELL, 0),
        (WELL.replace(b"200 OK", b"503 Busy"), 1),
        (WELL.replace(b"well", b"<?php echo 'well';"), 1),
        (b"", 1),
    ],
)
def test_health_is_a_page_of_php(answer: bytes, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(200).startswith(b"GET /-/health HTTP/1.0\r\n")
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert cli.health(server.getsockname()[1]) == code
        thread.join()


def test_health_says_that_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.health(1, 1.0) == 1
    assert "does not answer" in capsys.readouterr().out


def test_other_words_show_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stop"]) == 2
    assert "wordpress-node health" in capsys.readouterr().err
