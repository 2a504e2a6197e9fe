"""`python -m tools.package.types`: the types of what has the package only, as its authors see them.

Owns: where mypy finds the package. Leaves to others: what else is checked (pyproject.toml leaves these
folders out of that, because a checkout has no `swarm_galera`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tools.package import mapping

FOLDERS = ("examples/composed", "plugin")
CACHE = mapping.CHECKOUT / ".mypy_cache" / "package"
"""Always the same folder, so that mypy reads only what has changed."""


def main() -> int:
    """mypy's own words; exit code 1 if it finds anything."""
    tree = CACHE / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    mapping.write(tree)
    words = ("--strict", "--follow-imports=silent", "--config-file", str(mapping.CHECKOUT / "pyproject.toml"))
    failed = False
    for name in FOLDERS:
        folder = mapping.CHECKOUT / name
        done = subprocess.run(
            [
                *(sys.executable, "-m", "mypy", *words, "--cache-dir", str(CACHE)),
                *sorted(file.name for file in folder.glob("*.py")),
            ],
            cwd=folder,
            env={**os.environ, "MYPYPATH": str(tree)},
            check=False,
        )
        failed |= done.returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
