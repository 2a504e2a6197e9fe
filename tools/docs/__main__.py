"""`python -m tools.docs` writes the generated pages and pictures; `--check` only says which are stale."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tools.docs import commands_page, diagrams, project_file, servers_page, settings_page, stack_schema

CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"
REMEDY = (
    "Remedy: run `make docs` (`python -m tools.docs`), look at the difference, and commit it with its cause"
)
PAGES: dict[Path, Callable[[], str]] = {
    DOCS / "reference" / "settings.md": settings_page.text,
    DOCS / "reference" / "stack-settings.schema.json": stack_schema.text,
    DOCS / "reference" / "servers.md": servers_page.text,
    DOCS / "reference" / "commands.md": lambda: commands_page.text(CHECKOUT),
    CHECKOUT / "Pulumi.yaml": lambda: project_file.text(CHECKOUT / "Pulumi.yaml"),
}


def generated(docs: Path = DOCS) -> dict[Path, str]:
    """Every generated file with the content that it should have. DiagramError for a source that is wrong."""
    pages = {path: make() for path, make in PAGES.items()}
    return pages | {diagrams.picture(source): diagrams.drawn(source) for source in diagrams.sources(docs)}


def stale(contents: dict[Path, str]) -> list[Path]:
    """The files that are missing or hold something else."""
    return [
        path
        for path, content in contents.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != content
    ]


def main(argv: list[str] | None = None) -> int:
    """Write or check; the exit code is 1 if `--check` finds a stale file or a picture cannot be drawn."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file is stale")
    check: bool = parser.parse_args(argv).check
    try:
        contents = generated()
    except diagrams.DiagramError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    found = stale(contents)
    for path in found:
        name = path.relative_to(CHECKOUT)
        if check:
            print(f"{name} is not what its source says. {REMEDY}", file=sys.stderr)
        else:
            path.write_text(contents[path], encoding="utf-8")
            print(f"{name} written")
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main())
