"""Whether this member has data: of the directory alone, without etcd."""

from __future__ import annotations

from pathlib import Path


def has_member_data(data_dir: Path) -> bool:
    """Whether the directory holds a member: its write-ahead log has at least one file."""
    wal = data_dir / "member" / "wal"
    return wal.is_dir() and any(entry.name.endswith(".wal") for entry in wal.iterdir())
