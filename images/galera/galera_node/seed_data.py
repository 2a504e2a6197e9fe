"""The prepared system tables: packed when the image is built, unpacked by the first node.

The archive is made once from a fresh `mariadb-install-db`. Zeros at a file's end (nearly all of the redo log,
much of the system tablespace) are left out and come back as a hole: they cost neither time nor writing.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

SIZE = "GALERANODE.size"  # of the file, zeros at its end included


def pack(data_dir: Path, archive: Path) -> None:
    """Packs a data directory without owners and times: equal directories give equal archives."""
    with tarfile.open(archive, "w:gz", compresslevel=6, format=tarfile.PAX_FORMAT) as tar:
        for entry in sorted(data_dir.rglob("*")):
            info = tarfile.TarInfo(str(entry.relative_to(data_dir)))
            if entry.is_dir():
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
                continue
            content = entry.read_bytes()
            info.pax_headers = {SIZE: str(len(content))}
            content = content.rstrip(b"\0")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def unpack(archive: Path, data_dir: Path) -> None:
    """Unpacks into `data_dir`, owned by the caller."""
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
                shutil.copyfileobj(source, file)
                file.truncate(int(info.pax_headers[SIZE]))
                os.chmod(file.fileno(), 0o660)
