"""The section `bootstrapFrom`: good ones are read, bad ones refused; nodes without it are as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components import bootstrap_from as component
from components import galera
from images.galera.galera_node.archive.layout import Place
from images.galera.galera_node.restore import bootstrap
from images.galera.galera_node.restore.fact import Restore
from images.galera.galera_node.settings import Settings as NodeSettings
from images.galera.galera_node.settings import SettingsError
from images.galera.galera_node.store import Facts
from settings import parse
from tests.support.age_key import AgeKey
from tests.unit.images.conftest import settings as node_settings
from tests.unit.settings.test_settings import config, problems

pytestmark = pytest.mark.unit

KEY = AgeKey.drawn().identity
SOURCE = {
    "endpoint": "https://s3.example.com",
    "bucket": "backups",
    "prefix": "prod",
    "region": "us-east",
    "accessKey": "KEYID",
    "secretKey": "TOPSECRET",
    "identity": KEY,
}
node = node_settings


@pytest.mark.parametrize("to", ["latest", "1-1-51288", "2025-11-28 14:32:10", "2025-11-28T14:32:10+02:00"])
def test_a_new_cluster_may_begin_with_an_archive(to: str) -> None:
    found = parse(config(bootstrapFrom={**SOURCE, "to": to})).bootstrap_from
    assert found is not None
    assert (found.to, found.cluster, found.timeline) == (to, None, None)
    assert KEY not in repr(found)
    assert parse(config()).bootstrap_from is None


@pytest.mark.parametrize(
    ("key", "changes", "words"),
    [
        ("bootstrapFrom.to", {"to": "yesterday"}, "is no target"),
        ("bootstrapFrom.to", {"to": "2026-11-28"}, "is a day"),
        ("bootstrapFrom.to", {"to": "2026-W48-6"}, "is a day"),
        # The nodes would try it every half minute until then.
        ("bootstrapFrom.to", {"to": "2099-11-28 14:32:10"}, "is yet to come"),
        ("bootstrapFrom.to", {"to": "2099-11-28 14:32:10+02:00"}, "is yet to come"),
        ("bootstrapFrom.identity", {"identity": "age1public"}, "no private key of age"),
        ("bootstrapFrom.identity", {"identity": KEY[:-3]}, "no private key of age"),
        ("bootstrapFrom.timeline", {"timeline": "old"}, "is no timeline"),
        ("bootstrapFrom.endpoint", {"endpoint": "http://s3.example.com"}, "no https address"),
        ("bootstrapFrom.bucket", {"bucket": "My_Bucket"}, "small letters"),
    ],
)
def test_what_cant_be_is_refused_and_no_refusal_shows_a_secret(
    key: str, changes: dict[str, Any], words: str
) -> None:
    (found,) = problems(bootstrapFrom={**SOURCE, **changes})
    assert key in found
    assert words in found
    assert KEY[:40] not in found


def test_initial_sql_and_an_archive_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "01.sql").write_text("SELECT 1;\n")
    found = problems(bootstrapFrom=SOURCE, galera={"initdb": str(tmp_path)})
    assert [line for line in found if "galera.initdb" in line and "bootstrapFrom" in line]


def test_nodes_get_a_file_without_secrets_and_nothing_at_all_without_the_section() -> None:
    without, made = galera.spec(parse(config())), galera.spec(parse(config(bootstrapFrom=SOURCE)))
    assert set(made.secrets) - set(without.secrets) == set(component.SECRETS)
    assert set(component.SECRETS) == {bootstrap.ACCESS_KEY, bootstrap.SECRET_KEY, bootstrap.IDENTITY}
    paths = {file.path for file in made.configs} - {file.path for file in without.configs}
    assert paths == {component.FILE} == {str(bootstrap.FILE)}
    assert made.env == without.env
    (file,) = [each for each in made.configs if each.path == component.FILE]
    for secret in (KEY, "KEYID", "TOPSECRET"):
        assert secret not in str(file.content)


def test_the_nodes_read_what_the_program_writes(tmp_path: Path) -> None:
    settings = parse(config(bootstrapFrom={**SOURCE, "cluster": "other", "to": "1-1-7"}))
    (file,) = component.config_files(settings.bootstrap_from, "galera")
    path = tmp_path / "bootstrap.json"
    path.write_text(str(file.content))
    found = bootstrap.read(path)
    assert found is not None
    assert (found.place, found.to, found.timeline) == (Place("prod", "other"), "1-1-7", "")
    assert bootstrap.read(tmp_path / "none") is None
    path.write_text(json.dumps({"to": "latest"}))
    with pytest.raises(SettingsError, match="is not what this image knows"):
        bootstrap.read(path)


def test_the_node_that_has_begun_it_goes_on_with_it_and_nobody_else(
    node: NodeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (file,) = component.config_files(parse(config(bootstrapFrom=SOURCE)).bootstrap_from, "galera")
    (tmp_path / "bootstrap.json").write_text(str(file.content))
    (tmp_path / bootstrap.IDENTITY).write_text(KEY)
    monkeypatch.setenv("BOOTSTRAP_FILE", str(tmp_path / "bootstrap.json"))
    begun = tmp_path / "begun"
    beginner = bootstrap.Beginner(node, ["/bin/sh", "-c", f"cat >> {begun}; echo >> {begun}"])
    restore = Restore("1", "load", "a", "u", "1-x", "latest", "1-1-7", "l", "b", "t", "t", bootstrap.BY)
    assert beginner.mine(Facts(restore=restore))
    for other in (
        replace(restore, node="b"),
        replace(restore, by="a person"),
        replace(restore, phase="join"),
        replace(restore, phase="done"),
    ):
        assert not beginner.mine(Facts(restore=other))
    assert not beginner.mine(Facts())
    beginner.look(0.0)
    assert beginner._process is not None
    beginner._process.wait()
    beginner.look(1.0)  # it has ended, and is not started again at once
    assert begun.read_text() == f"{KEY}\n"
    beginner.look(1.0 + bootstrap.AGAIN)
    assert beginner._process is not None
    beginner._process.wait()
    assert begun.read_text() == f"{KEY}\n" * 2
    monkeypatch.setenv("BOOTSTRAP_FILE", str(tmp_path / "none"))
    assert not bootstrap.Beginner(node).mine(Facts(restore=restore))
