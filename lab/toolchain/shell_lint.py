"""Every shell script of the checkout under shellcheck: `python -m lab.toolchain.shell_lint [FOLDER]`.

Owned here: which files are scripts. Left to others: what a script may do (directives in it, with the reason).
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from lab.toolchain import places

# Folders with a dot hold what is not ours, such as the virtual environment; this one does not.
_OURS = {".ci"}
_SHELL = re.compile(rb"#! ?/(usr/)?bin/(env )?(ba|da)?sh\b")


def scripts(root: Path) -> Iterator[Path]:
    """Files that end in `.sh`, or whose first line names a shell, in `root` and below."""
    for path in sorted(root.iterdir()):
        if path.is_symlink():
            continue
        if path.is_dir():
            if not path.name.startswith(".") or path.name in _OURS:
                yield from scripts(path)
        elif path.suffix == ".sh" or _names_a_shell(path):
            yield path


def _names_a_shell(path: Path) -> bool:
    if path.suffix or not path.is_file():
        return False
    with path.open("rb") as file:
        return _SHELL.match(file.readline(100)) is not None


def check(root: Path) -> int:
    """Run shellcheck, which prints its findings; its exit code: 0 only if there are none.

    Sourced files are read, too: a script of `host_scripts` names so the functions that it calls.
    """
    found = list(scripts(root))
    if not found:
        print(f"no shell script in {root}")
        return 1
    program = Path(sysconfig.get_path("scripts")) / "shellcheck"
    done = subprocess.run([program, "--external-sources", "--source-path=SCRIPTDIR", *found], check=False)
    if not done.returncode:
        print(f"{len(found)} shell scripts: shellcheck has no remarks")
    return done.returncode


if __name__ == "__main__":
    sys.exit(check(Path(sys.argv[1]) if len(sys.argv) > 1 else places.CHECKOUT))
