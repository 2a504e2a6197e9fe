"""`python -m tools.package FOLDER`: what `pip install` of this checkout puts beside other packages."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.package import mapping


def main(words: list[str]) -> int:
    """Write it; exit code 2 for a wrong command line, 1 if the folder has a package of that name already."""
    if len(words) != 1 or words[0].startswith("-"):
        print("Usage: python -m tools.package FOLDER", file=sys.stderr)
        return 2
    try:
        print(f"{mapping.write(Path(words[0]))} written")
    except FileExistsError as error:
        print(
            f"Error: {error.filename} is there already. Remedy: remove it, or name another", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
