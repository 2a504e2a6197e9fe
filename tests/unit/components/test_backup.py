"""What nodes are told of backups: a file and two secrets with the section, nothing at all without it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pulumi
import pytest

from components import backup, galera
from images.galera.galera_node.archive import plan
from settings import parse
from tests.unit.program import ROOT, run
from tests.unit.settings.test_backup_settings import BACKUP
from tests.unit.settings.test_settings import config

pytestmark = pytest.mark.unit

WITH = {"backup": BACKUP}


def spec(**sections: Any) -> Any:
    return galera.spec(parse(config(**sections)))


def test_without_the_section_the_service_is_as_it_was() -> None:
    made = spec()
    assert not set(backup.SECRETS) & set(made.secrets)
    assert [file.path for file in made.configs] == ["/etc/mysql/mariadb.conf.d/90-stack.cnf"]


def test_with_it_nodes_get_a_file_without_secrets_and_both_keys_as_secrets() -> None:
    made = spec(backup=BACKUP)
    assert (
        set(made.secrets) - set(spec().secrets) == set(backup.SECRETS) == {plan.ACCESS_KEY, plan.SECRET_KEY}
    )
    (file,) = [each for each in made.configs if each.path == backup.FILE]
    assert str(plan.FILE) == backup.FILE
    assert "TOPSECRET" not in str(file.content)
    assert "KEYID" not in str(file.content)
    assert made.env == spec().env


def test_the_nodes_read_what_the_program_writes() -> None:
    settings = {**BACKUP, "prefix": "prod", "window": "01:00-05:00", "retention": {"days": 7, "fulls": 3}}
    (file,) = [each for each in spec(backup=settings).configs if each.path == backup.FILE]
    found = plan.of(json.loads(file.content), "galera")
    assert found.place.root == "prod/galera"
    assert (found.keep.days, found.keep.fulls) == (7, 3)
    assert found.rhythm.window is not None
    assert found.recipients == tuple(BACKUP["recipients"])


def test_the_keys_reach_the_state_as_secrets_only(home: Any) -> None:
    made = run(WITH, secrets=["backup"])
    for name, value in (("backup-access-key", "KEYID"), ("backup-secret-key", "TOPSECRET")):
        resource = made.resources[f"galera-{name}"]
        assert resource.inputs["data"] == base64.b64encode(value.encode()).decode()
        assert "data" in made.secret_inputs[f"galera-{name}"]
    for name, resource in made.resources.items():
        if not name.startswith("galera-backup-"):
            assert "TOPSECRET" not in json.dumps(resource.inputs, default=str), name
    assert made.outputs["backup"] == {
        "endpoint": "https://s3.example.com",
        "region": "us-east",
        "bucket": "backups",
        "prefix": "galera",
        "recipients": BACKUP["recipients"],
    }


@pytest.mark.parametrize(
    ("image", "archives"),
    [
        ("registry.lab:5000/swarm-galera/galera:11.8-1", False),
        ("swarm-galera/galera:10.11-12@sha256:" + "0" * 64, False),
        ("registry.lab:5000/swarm-galera/galera:11.8-2", True),
        ("registry.lab:5000/galera:11.8-1", True),  # somebody else's: not known
        ("registry.lab:5000/swarm-galera/galera:11.8-1-ours", True),
    ],
)
def test_an_image_of_before_is_refused_before_a_node_starts_anew_for_it(
    image: str, archives: bool, home: Any
) -> None:
    settings = {"galera": {"image": image}, **WITH}
    if archives:
        backup.refuse_an_image_without(parse(config(**settings)))
        return
    with pytest.raises(pulumi.RunError, match=r"galera.image: the nodes of .* know no backups.*Remedy: name"):
        run(settings, secrets=["backup"])


@pytest.mark.parametrize(("version", "file"), [("11.8", "TAG"), ("10.11", "TAG-bookworm")])
def test_the_first_image_with_backups_is_the_present_one_or_one_before_it(version: str, file: str) -> None:
    tag = (ROOT / "images" / "galera" / file).read_text().strip()
    assert int(tag.removeprefix(f"{version}-")) >= backup.FIRST[version]
