"""The generated pages say what their sources say, and a page that does not is named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

import settings
from settings.servers import Servers
from tools.docs import __main__ as generator
from tools.docs import commands_page, diagrams, servers_page, settings_page

pytestmark = pytest.mark.unit
SERVERS = {to_camel(name) for name in Servers.model_fields} - {"image", "hosts", "kind"}
"""Without those that other sections have, too."""


class Pump(BaseModel):
    """A pump, for tests. kind: which one.

    Attributes:
        flow_rate: l/min. intake, outlet: diameters;
            in mm: the inner ones.
        note: anything.
    """

    model_config = ConfigDict(alias_generator=to_camel)
    kind: Literal["piston", "screw"] = "screw"
    flow_rate: int = Field(ge=1, le=64)
    intake: Annotated[int, Field(gt=0)] | None = None
    outlet: list[Annotated[int, Field(gt=0)]] = []
    note: str = Field("", description="what its maker says")


def test_every_generated_page_and_picture_is_fresh() -> None:
    assert [str(path) for path in generator.stale(generator.generated())] == []


def test_a_stale_page_fails_the_check_and_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("old")
    monkeypatch.setattr(generator, "CHECKOUT", tmp_path)
    monkeypatch.setattr(generator, "generated", lambda: {page: "new"})
    assert generator.main(["--check"]) == 1
    assert "page.md is not what its source says. Remedy: run `make docs`" in capsys.readouterr().err
    assert page.read_text() == "old"
    assert generator.main([]) == 0
    assert page.read_text() == "new"
    assert generator.main(["--check"]) == 0


def test_a_docstring_is_taken_apart_by_the_names_of_fields() -> None:
    assert settings_page.intro(Pump) == "A pump, for tests."
    assert settings_page.described(Pump) == {
        "kind": "which one",
        "flow_rate": "l/min",
        "intake": "diameters; in mm: the inner ones",
        "outlet": "diameters; in mm: the inner ones",
        "note": "anything",
    }


def test_types_limits_and_defaults_are_told_in_words() -> None:
    fields = Pump.model_fields
    assert {name: settings_page.kind_of(field) for name, field in fields.items()} == {
        "kind": "`piston` or `screw`",
        "flow_rate": "whole number (>= 1, <= 64)",
        "intake": "whole number (> 0) or `null`",
        "outlet": "list of whole number (> 0)",
        "note": "text",
    }
    assert settings_page.default_of(fields["flow_rate"]) == "required"
    assert settings_page.default_of(fields["kind"]) == '`"screw"`'


def test_every_setting_has_a_description() -> None:
    lines = f"{settings_page.text()}\n{servers_page.text()}".splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| `")]
    assert len(rows) > 40
    assert [row[0] for row in rows if row[3].strip(" |") == ""] == []
    keys = [row[0].strip("| `") for row in rows]
    for _ in ("backup", "bootstrapFrom"):
        keys.remove("prefix")  # of the keys in a bucket
    assert {field.alias for field in settings.Settings.model_fields.values()} <= {*keys}
    assert sorted(key for key in keys if key in SERVERS) == sorted(SERVERS), "each is on one page, and once"


def test_every_command_of_every_program_is_on_the_page() -> None:
    page = commands_page.text(generator.CHECKOUT)
    for heading in (
        "### `operations verify`",
        "### `operations survive`",
        "### `operations maintenance HOST on|off`",
        "### `operations upgrade-hosts [HOST…]`",
        "| `--from NODE` |",
        "### `lab cut HOST`",
        "### `lab fault add KIND`",
        "## `galera-node`",
        "## `etcd-member`",
        "| `up` |",
    ):
        assert heading in page


def test_a_program_without_a_usage_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cli.py"
    file.write_text("HELP = 1\n")
    with pytest.raises(LookupError, match="has no constant USAGE"):
        commands_page.usage(file)


def test_a_picture_that_cannot_be_drawn_is_an_error_with_its_place(tmp_path: Path) -> None:
    source = tmp_path / "wrong.d2"
    source.write_text("a -> {\n")
    with pytest.raises(diagrams.DiagramError, match=r"wrong\.d2"):
        diagrams.drawn(source)
