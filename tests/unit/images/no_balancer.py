"""A node's endpoints where no load balancer asks."""

from __future__ import annotations

import types

NO_BALANCER = types.SimpleNamespace(
    serving=False,
    answer=lambda _path: 503,
    start=lambda: None,
    drain=lambda: None,
    stay=lambda: None,
    wake=lambda: None,
)
