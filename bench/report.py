"""The measured tables in docs/reference/benchmarks.md: one marked section a bench, replaced by every run.

Owns: the markers, the facts about the machine, tables for the terminal and in Markdown. Leaves to others:
what is measured.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

CHECKOUT = Path(__file__).resolve().parents[1]
DOCUMENT = CHECKOUT / "docs" / "reference" / "benchmarks.md"


class ReportError(Exception):
    """The document cannot take a section; says why and what to do."""


def machine() -> str:
    """One line: when, on what, and of which commit a measurement is."""
    memory = _first(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo"))
    processor = _first(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo"))
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    cores = len(os.sched_getaffinity(0))
    return f"{now}, {cores} cores ({processor}), {int(memory) / 2**20:.0f} GiB memory, commit {commit()}"


def commit() -> str:
    """The checkout's commit, with a word when the program in it differs from that."""
    head = _git("rev-parse", "--short=10", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
    return f"{head}{' and uncommitted changes' if changed else ''}"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _first(pattern: str, file: Path) -> str:
    found = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    return found.group(1).strip() if found else "unknown"


def shown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """The same table for the terminal."""
    table = Table(*headings)
    for row in rows:
        table.add_row(*row)
    return table


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column is text, all others are aligned as numbers."""
    lines = [_row(headings), _row(["---", *["---:"] * (len(headings) - 1)])]
    return "\n".join([*lines, *(_row(row) for row in rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def replaced(document: str, section: str, text: str, name: str = DOCUMENT.name) -> str:
    """`document`, of that name in docs/reference, with `text` between the markers of `section`.

    Raises ReportError when the markers are not there exactly once.
    """
    begin, end = f"<!-- measured: {section} -->", f"<!-- end: {section} -->"
    if document.count(begin) != 1 or document.count(end) != 1 or document.index(begin) > document.index(end):
        raise ReportError(
            f"docs/reference/{name} does not hold the lines `{begin}` and `{end}` once each and in "
            "this order. Restore them from version control: what was measured goes between them"
        )
    head, rest = document.split(begin)
    return f"{head}{begin}\n\n{text.strip()}\n\n{end}{rest.split(end)[1]}"


def write(section: str, text: str) -> None:
    """Put a bench's section into the document. Raises ReportError, OSError."""
    new = replaced(DOCUMENT.read_text(encoding="utf-8"), section, text)
    DOCUMENT.write_text(new, encoding="utf-8")
