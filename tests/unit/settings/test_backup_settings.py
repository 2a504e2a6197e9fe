"""The section `backup`: good ones are read with their defaults, bad ones are refused with a remedy."""

from __future__ import annotations

from inspect import get_annotations
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.runtime import config as pulumi_config

import settings
from images.galera.galera_node.archive import cadence
from settings import SettingsError, parse
from settings import backup as section
from settings.archive import Archive
from settings.bootstrap_from import BootstrapFrom
from settings.section import Section
from tests.unit.settings.test_settings import config, problems

pytestmark = pytest.mark.unit

KEY = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
BACKUP = {
    "endpoint": "https://s3.example.com",
    "bucket": "backups",
    "region": "us-east",
    "accessKey": "KEYID",
    "secretKey": "TOPSECRET",
    "recipients": [KEY],
}
CUT = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def refused(**changes: Any) -> list[str]:
    return problems(backup={key: value for key, value in {**BACKUP, **changes}.items() if value is not None})


def of_its_own(model: type[Section]) -> dict[str, Any]:
    """The settings that a section's own class names, with what they may be."""
    return {name: kind for name, kind in get_annotations(model).items() if name in model.model_fields}


def test_the_settings_that_sections_with_an_archive_have_alike_are_said_once() -> None:
    """Else what one of them refuses, the other takes."""
    shared = {"endpoint", "bucket", "prefix", "region", "access_key", "secret_key", "authority"}
    assert of_its_own(Archive).keys() == shared
    for model in (section.Backup, BootstrapFrom):
        assert shared <= model.model_fields.keys()
        assert not shared & of_its_own(model).keys()


def test_there_are_no_backups_without_the_section() -> None:
    assert parse(config()).backup is None


def test_the_smallest_section_has_sensible_defaults() -> None:
    found = parse(config(backup=BACKUP)).backup
    assert found is not None
    assert (found.full, found.incremental, found.logs, found.window) == ("week", "1 day", 60, "")
    assert (found.retention.days, found.retention.fulls) == (30, 2)
    assert (found.prefix, found.authority) == ("", None)


def test_no_refusal_shows_a_key() -> None:
    for changes in ({"secretKey": "TOP SECRET"}, {"accessKey": "KEY ID"}, {"bucket": "A"}, {"secretKey": 5}):
        assert not any("TOP" in line or "KEY ID" in line for line in refused(**changes))
    assert "TOPSECRET" not in repr(parse(config(backup=BACKUP)))


@pytest.mark.parametrize(
    ("key", "changes", "words"),
    [
        ("backup.endpoint", {"endpoint": "http://s3.example.com"}, "no https address"),
        ("backup.endpoint", {"endpoint": "s3.example.com"}, "no https address"),
        ("backup.endpoint", {"endpoint": "https://s3.example.com/backups"}, "leave the bucket out"),
        ("backup.endpoint", {"endpoint": "https://a:b@s3.example.com"}, "use accessKey and secretKey"),
        ("backup.endpoint", {"endpoint": "https://s3.example.com:70700"}, "no https address"),
        ("backup.endpoint", {"endpoint": "https://s3.example.com:s3"}, "no https address"),
        ("backup.endpoint", {"endpoint": "https://s3.example.com#prod"}, "leave the bucket out"),
        ("backup.bucket", {"bucket": "My_Bucket"}, "small letters"),
        ("backup.prefix", {"prefix": ".."}, "leads out of the bucket"),
        ("backup.prefix", {"prefix": "prod/../other"}, "leads out of the bucket"),
        ("backup.authority", {"authority": CUT}, "can't be read"),
        ("backup.authority", {"authority": f"{CUT}-----BEGIN PRIVATE KEY-----\nx\n"}, "for disclosed"),
        ("backup.full", {"full": "0002 weeks"}, "like 6 hours, 1 day, week"),
        ("backup.prefix", {"prefix": "/prod"}, "without slashes at its ends"),
        ("backup.region", {"region": "us east"}, "pattern"),
        ("backup.accessKey", {"accessKey": None}, "this is missing"),
        ("backup.secretKey", {"secretKey": "a b"}, "has blanks"),
        ("backup.authority", {"authority": "/etc/ca.pem"}, "no certificate in PEM"),
        ("backup.recipients", {"recipients": []}, "at least 1 item"),
        ("backup.recipients.0", {"recipients": [KEY[:-1] + "q"]}, "has a checksum"),
        ("backup.recipients.0", {"recipients": ["AGE-SECRET-KEY-1QQQQ"]}, "counts as disclosed now"),
        ("backup.full", {"full": "weekly"}, "like 6 hours, 1 day, week"),
        ("backup", {"full": "never"}, "nothing can be restored"),
        ("backup", {"incremental": "week"}, "every week all is copied anyway"),
        ("backup.logs", {"logs": 5}, "greater than or equal to 10"),
        ("backup.window", {"window": "1-5"}, "in UTC like 01:00-05:00"),
        ("backup.window", {"window": "01:00-01:10"}, "shorter than 30 minutes"),
        ("backup", {"window": "01:00-05:00", "incremental": "6 hours"}, "would miss it"),
        ("backup.retention.days", {"retention": {"days": 0}}, "greater than or equal to 1"),
        ("backup.retention.weeks", {"retention": {"weeks": 2}}, "known: days, fulls"),
    ],
)
def test_a_bad_value_is_refused_with_its_remedy(key: str, changes: dict[str, Any], words: str) -> None:
    (line,) = refused(**changes)
    assert line.startswith(f"swarm-galera:{key}:")
    assert words in line
    assert "Remedy: " in line


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("binlog_do_db", "app", "the binary logs would lack"),
        ("binlog-ignore-db", "app", "the binary logs would lack"),
        ("skip_log_bin", "", "there would be no binary logs"),
        (
            "loose_max_binlog_total_size",
            "1G",
            "the server would remove binary logs that are not archived yet",
        ),
        ("loose_binlog_space_limit", "1G", "the server would remove binary logs that are not archived yet"),
    ],
)
def test_options_that_keep_something_out_of_the_logs_are_refused_with_backups_only(
    option: str, value: str, why: str
) -> None:
    options = {"galera": {"config": {option: value}}}
    parse(config(**options))
    (line,) = problems(**options, backup=BACKUP)
    assert line.startswith(f"swarm-galera:galera.config.{option}: {why}")


def test_log_bin_is_refused_and_the_section_named() -> None:
    (line,) = problems(galera={"config": {"log_bin": "x"}})
    assert "the section `backup` turns it on" in line


@pytest.mark.parametrize(
    "text",
    [
        *("week", "1 week", "2 weeks", "day", "3 days", "6 hours", "never", "weekly", "0 days", "x", ""),
        *("01 day", "001 day", "0001 day", "000 days", "999 hours", "1000 hours"),
    ],
)
def test_settings_and_nodes_understand_the_same_cadences(text: str) -> None:
    def means(read: Any) -> Any:
        try:
            return read(text)
        except ValueError:
            return "refused"

    assert means(lambda word: section.every(section.cadence(word))) == means(cadence.every)


@pytest.mark.parametrize("text", ["", "01:00-05:00", "22:30-03:00", "24:00-01:00", "1:00-5:00", "night"])
def test_settings_and_nodes_understand_the_same_windows(text: str) -> None:
    def takes(read: Any) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    assert takes(section.window) is takes(cadence.window)


def test_keys_in_plain_text_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {f"swarm-galera:{key}": value for key, value in config(backup=BACKUP).items()}
    # Another test of the same process may have set some explicitly, which would count first.
    monkeypatch.setattr(pulumi_config, "CONFIG", SimpleNamespace(get=dict))
    monkeypatch.setattr(pulumi_config, "get_config_env", lambda: given)
    monkeypatch.setattr(pulumi_config, "is_config_secret", lambda key: False)
    with pytest.raises(
        SettingsError, match=r"backup\.secretKey: it stands in the stack's file in plain text"
    ):
        settings.load()
    monkeypatch.setattr(pulumi_config, "is_config_secret", lambda key: key == "swarm-galera:backup")
    assert settings.load().backup is not None
