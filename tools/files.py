"""`python -m tools.files FILE…`: whether each ends with exactly one line feed and is of a reasonable size."""

from __future__ import annotations

import sys
from pathlib import Path

LARGEST = 500_000
"""Bytes of a file; tests/unit/declared.json and locks are the largest that are meant to be here."""


def problem(content: bytes) -> str:
    """What is wrong with a file of this content; empty if nothing."""
    if len(content) > LARGEST:
        return f"has {len(content)} bytes, more than {LARGEST}. Remedy: leave it out, or generate it"
    if content and b"\0" not in content and (not content.endswith(b"\n") or content.endswith(b"\n\n")):
        return "does not end with exactly one line feed. Remedy: add it, or remove empty lines at the end"
    return ""


def main(names: list[str]) -> int:
    """Name every file with a problem; exit code 1 if there is any."""
    found = {name: problem(Path(name).read_bytes()) for name in names}
    for name, words in found.items():
        if words:
            print(f"{name} {words}", file=sys.stderr)
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
