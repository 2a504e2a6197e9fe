"""The prepared system tables: packed when the image is built, unpacked by the first node.

The archive is made once from a fresh `mariadb-install-db`; unpacking it leaves runs of zeros as holes, so
that the redo log costs no writing.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

CHUNK = 1 << 16


def pack(data_dir: Path, archive: Path) -> None:
    """Packs a data directory without owners and times: equal directories give equal archives."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        return info

    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for entry in sorted(data_dir.iterdir()):
            tar.add(entry, entry.name, filter=plain)


def unpack(archive: Path, data_dir: Path) -> None:
    """Unpacks into `data_dir`, owned by the caller."""
    zeros = bytes(CHUNK)
    with tarfile.open(archive, "r|gz") as tar:
        for info in tar:
            target = data_dir / info.name
            if info.isdir():
                target.mkdir(mode=0o700, exist_ok=True)
                continue
            source = tar.extractfile(info)
            if source is None:
                continue
            with open(target, "wb") as file:
                while chunk := source.read(CHUNK):
                    if chunk == zeros[: len(chunk)]:
                        file.seek(len(chunk), os.SEEK_CUR)
                    else:
                        file.write(chunk)
                file.truncate(info.size)
                os.chmod(file.fileno(), 0o660)
