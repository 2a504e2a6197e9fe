"""What a node is, without asking the store: as its program last said, else as its data directory says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import health, local_state, tls
from .local_state import NO_UUID, Kind
from .wire import valid_until


def own_state(run_dir: Path, data_dir: Path) -> dict[str, Any]:
    """What this node is, without the store: as its program last said, else as the data directory says."""
    code, text = health.check(run_dir)
    found: dict[str, Any] = {"node": None, "epoch": None, "uuid": None, "seqno": -1}
    try:
        found |= json.loads((run_dir / health.SELF).read_text())
    except (OSError, ValueError):
        try:
            local = local_state.read(data_dir)
        except OSError:
            local = local_state.Local(Kind.EMPTY)
        if local.kind is Kind.DATA and local.uuid != NO_UUID:
            found |= {"epoch": local.epoch, "uuid": local.uuid, "seqno": local.seqno}
    return found | {"health": text, "healthy": code == 0, "tls": own_tls(run_dir)}


def own_tls(run_dir: Path) -> dict[str, Any] | None:
    """How mariadbd speaks TLS, and until when its certificate and its authority's are good; None without."""
    folder = run_dir / tls.FOLDER
    if not (mode := tls.mode(folder)):
        return None
    ends = {"authority": tls.SECRETS[0], "certificate": tls.SECRETS[1]}
    until = {name: valid_until(folder / file) for name, file in ends.items()}
    return {"mode": mode} | {name: None if end is None else end.isoformat() for name, end in until.items()}
