"""Links in the documents lead somewhere, and so do the documents that code names in comments and messages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.toolchain import places

pytestmark = pytest.mark.unit

FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`+[^`\n]+`+")
LINK = re.compile(r"\]\(([^()\s]+)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
OURS = "etcd|galera|(?<=swarm-galera/)haproxy|(?<=swarm-galera/)wordpress"
"""Images as documents name them; there are others of the last two names."""
NAMED = re.compile(r"\bdocs/[\w./-]+\.(?:md|svg)\b")
SECTION = re.compile(r"""\b(docs/[\w./-]+\.md), (["'])([^"'\n]+)\2""")
"""A document with the section of it that is meant, as code names it in comments and messages."""


def files(*endings: str) -> list[Path]:
    """The checkout's files that end so, without what tools leave there."""
    found = (path for path in places.CHECKOUT.rglob("*") if path.name.endswith(endings) and path.is_file())
    return sorted(
        path
        for path in found
        if not any(part.startswith(".") for part in path.relative_to(places.CHECKOUT).parts)
    )


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings of a document: the second of one name gets `-1`, and so on."""
    names: list[str] = []
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        names.append(re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-"))
    return {
        name if not (before := names[:at].count(name)) else f"{name}-{before}"
        for at, name in enumerate(names)
    }


def broken(document: Path) -> list[str]:
    """The relative links of a document that lead nowhere."""
    text = CODE.sub("", FENCE.sub("", document.read_text(encoding="utf-8")))
    bad = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path) if path else document
        if not target.exists() or (
            anchor and (target.is_dir() or anchor not in anchors(target.read_text(encoding="utf-8")))
        ):
            bad.append(link)
    return bad


def test_every_relative_link_and_anchor_of_the_documents_resolves() -> None:
    documents = files(".md")
    assert len(documents) > 20
    found = {str(document.relative_to(places.CHECKOUT)): broken(document) for document in documents}
    assert {name: links for name, links in found.items() if links} == {}


def test_every_document_that_a_file_names_exists() -> None:
    written = files(".py", ".sh", ".md", ".yaml", ".toml", "Makefile", "Dockerfile", "declared.json")
    named = {name: file for file in written for name in NAMED.findall(file.read_text(encoding="utf-8"))}
    assert len(named) > 5
    lost = {name: str(file) for name, file in named.items() if not (places.CHECKOUT / name).exists()}
    assert lost == {}


def test_every_section_that_a_file_names_is_a_heading_of_that_document() -> None:
    named = [
        (file.name, *found)
        for file in files(".py", ".sh", ".yaml")
        for found in SECTION.findall(file.read_text(encoding="utf-8"))
    ]
    assert len(named) > 5
    headings = {
        name: [re.sub(r"^\d+\. ", "", each) for each in HEADING.findall((places.CHECKOUT / name).read_text())]
        for _, name, *_ in named
    }
    lost = [(file, section) for file, name, _, section in named if section not in headings[name]]
    assert lost == []


def test_a_link_to_a_missing_file_or_heading_is_seen(tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.write_text("# A node's data\n\n```console\n# not a heading\n```\n\n## Twice\n\n## Twice\n")
    document = tmp_path / "document.md"
    document.write_text(
        "# Here\n[a](other.md) [b](other.md#a-nodes-data) [c](#here) [d](other.md#twice-1) [e](https://e.org/x)\n"
        "`[f](code.md)` [g](gone.md) [h](other.md#not-a-heading) [i](#there) [j](other.md#twice-2)\n"
    )
    assert broken(document) == ["gone.md", "other.md#not-a-heading", "#there", "other.md#twice-2"]


def test_an_image_is_named_by_its_present_tag_wherever_one_is_to_be_used() -> None:
    """Lines with a digest are what a run once printed."""
    tags = {
        name: {path.read_text().strip() for path in (places.CHECKOUT / "images" / name).glob("TAG*")}
        for name in ("etcd", "galera", "haproxy", "wordpress")
    }
    named = [
        (file.name, name, tag)
        for file in [*files(".md"), *places.CHECKOUT.glob("Pulumi.*.yaml")]
        for line in file.read_text(encoding="utf-8").splitlines()
        for name, tag in re.findall(rf"\b({OURS}):(\d+\.[\w.-]*\d)\b", line)
        if "@sha256" not in line
    ]
    assert {file for file, *_ in named} >= {"Pulumi.dev.yaml", "Pulumi.tor01.yaml", "architecture.md"}
    assert [each for each in named if each[2] not in tags[each[1]]] == []


def test_every_decision_has_a_number_a_status_a_date_and_a_line_in_the_list() -> None:
    folder = places.CHECKOUT / "docs" / "adr"
    decisions = sorted(folder.glob("[0-9]*.md"))
    assert [int(file.name[:4]) for file in decisions] == list(range(1, len(decisions) + 1))
    listed = (folder / "README.md").read_text(encoding="utf-8")
    for file in decisions:
        head = file.read_text(encoding="utf-8").split("\n", 5)[:5]
        assert re.fullmatch(r"- Status: (accepted|superseded by .+)", head[2]), file.name
        date = re.fullmatch(r"- Date: (\d{4}-\d\d-\d\d)", head[3])
        assert date, file.name
        assert f"| {file.name[:4]} | {date[1]} |" in listed
        assert f"]({file.name})" in listed
