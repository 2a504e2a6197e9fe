"""Makes the wheel of this checkout (`pip install CHECKOUT`): what hatchling asks of a project.

Owns: handing over the mapped package and what it requires. Leaves to others: both (tools/package).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

# Hatchling reads this file from wherever it is itself.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from tools.package import mapping


class Requirements(MetadataHookInterface):
    """What the package requires."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Enter it."""
        text = (Path(self.root) / "requirements.txt").read_text(encoding="utf-8")
        metadata["dependencies"] = mapping.dependencies(text)


class Mapped(BuildHookInterface[Any]):
    """The package, written where the builder finds it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write it, and have it in the wheel. Raises RuntimeError for `pip install --editable`."""
        if version == "editable":
            raise RuntimeError(
                "swarm_galera can't be installed as editable: its files are written from those of the "
                "checkout. Remedy: install it without --editable, again after each change"
            )
        self._folder = tempfile.TemporaryDirectory(prefix="swarm-galera-package-")
        build_data["force_include"][str(mapping.write(Path(self._folder.name)))] = mapping.NAME

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        """Take it away again."""
        self._folder.cleanup()
