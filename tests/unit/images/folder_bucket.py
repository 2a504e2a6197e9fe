"""A bucket that is a folder: what the archive needs of `bucket.Bucket`, without rclone and a store."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from images.galera.galera_node.archive.bucket import BucketError, Listed

WHOLE = (
    "import sys, pathlib; data = sys.stdin.buffer.read(); to = pathlib.Path(sys.argv[1]); "
    "to.parent.mkdir(parents=True, exist_ok=True); to.write_bytes(data)"
)
"""Nothing is there until all has come, as in an object store."""


class FolderBucket:
    """Implements `Bucket`; `away`: the store does not answer. `time`: by its clock. `former`: when what is
    there was written, if that was long ago.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.away, self.cleaned = folder, False, list[str]()
        self.time = datetime(2026, 11, 28, 14, 32, 10, tzinfo=UTC)
        self.former: datetime | None = None

    def _there(self) -> None:
        if self.away:
            raise BucketError("the object store has not answered for 120 s")

    def upload(self, key: str, size: int = 0) -> list[str]:
        self._there()
        return [sys.executable, "-c", WHOLE, str(self.folder / key)]

    def put(self, key: str, text: str) -> None:
        self._there()
        (self.folder / key).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / key).write_text(text)

    def read(self, key: str) -> str:
        self._there()
        return (self.folder / key).read_text()

    def listed(self, folder: str, *, deep: bool = True) -> list[Listed]:
        self._there()
        below = self.folder / folder
        if not below.is_dir():
            return []
        found = below.rglob("*") if deep else below.iterdir()
        return sorted(
            (
                Listed(str(path.relative_to(below)), path.stat().st_size)
                for path in found
                if path.is_file() or not deep
            ),
            key=lambda entry: entry.key,
        )

    def delete(self, key: str) -> None:
        self._there()
        (self.folder / key).unlink(missing_ok=True)

    def purge(self, folder: str) -> None:
        self._there()
        shutil.rmtree(self.folder / folder, ignore_errors=True)

    def delete_all(self, folder: str, keys: Sequence[str]) -> None:
        for key in keys:
            self.delete(f"{folder}/{key}")

    def written(self, key: str) -> datetime:
        self._there()
        return self.former or self.time

    def clock(self) -> datetime:
        self._there()
        return self.time

    def clean(self, folder: str) -> None:
        self._there()
        self.cleaned.append(folder)
