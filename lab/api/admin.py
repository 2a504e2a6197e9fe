"""Admin calls: faults, settings, the list of calls made, stuck transactions. JSON over HTTP, loopback only.

GET  health                 {"status": "ok", "username": …}
GET  faults                 all rules            POST faults {kind, …}      DELETE faults[/ID]
GET  settings               durations, limit     POST settings {durations: {…}, rateLimit: N}
GET  calls                  calls and counts     DELETE calls
GET  transactions           those that run, with the backend's error if there is one
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from lab.api.context import Administered
from lab.api.plans import PLANS
from lab.api.records import Guest, InjectedFault, Transaction
from lab.api.transactions import SETTINGS_ID, START_DELAY


class _Refused(Exception):
    """A request that makes no sense: its text goes to the caller."""


class FaultRequest(BaseModel):
    """A rule to add; see `faults.py` for the kinds and `InjectedFault` for the fields. `count` 0 or none:
    for ever.
    """

    model_config = ConfigDict(extra="forbid")

    kind: str
    service: str = "*"
    method: str = "*"
    hostname: str = "*"
    step: str = "*"
    skip: int = 0
    count: int | None = None
    seconds: float = 0.0
    interface: str = "public"
    code: str | None = None
    message: str | None = None
    after: bool = False


class SettingsRequest(BaseModel):
    """Settings to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    durations: dict[str, float] | None = None
    rateLimit: int | None = None  # noqa: N815 - as the request has it


def handle(api: Administered, verb: str, path: str, body: bytes) -> tuple[int, bytes]:
    """Status and JSON body of the answer."""
    try:
        data = json.loads(body) if body else {}
        return 200, _dump(_route(api, verb, path, data))
    except (_Refused, ValidationError, ValueError) as error:
        return 400, _dump({"error": str(error)})


def _route(api: Administered, verb: str, path: str, data: Any) -> Any:
    topic, _, rest = path.partition("/")
    match verb, topic:
        case "GET", "health":
            return {"status": "ok", "username": api.credentials.username}
        case "GET", "faults":
            return [rule.model_dump() for rule in api.faults.rules()]
        case "POST", "faults":
            return _add_fault(api, FaultRequest.model_validate(data)).model_dump()
        case "DELETE", "faults":
            cleared = api.faults.clear(int(rest) if rest else None)
            api.engine.notify()
            return {"cleared": cleared}
        case "GET", "settings":
            return _settings(api)
        case "POST", "settings":
            return _change_settings(api, SettingsRequest.model_validate(data))
        case "GET", "calls":
            calls = api.calls()
            counts = Counter(f"{call['service']}::{call['method']}" for call in calls)
            return {"counts": dict(counts), "calls": calls}
        case "DELETE", "calls":
            api.forget_calls()
            return {}
        case "GET", "transactions":
            return _transactions(api)
    raise _Refused(f"There is no admin call {verb} {path}.")


def _add_fault(api: Administered, request: FaultRequest) -> InjectedFault:
    fields = request.model_dump(exclude={"count"})
    with api.store.transaction():
        return api.faults.add(
            InjectedFault(id=api.store.next_id(), remaining=request.count or None, **fields)
        )


def _settings(api: Administered) -> dict[str, Any]:
    settings = api.engine.settings()
    return {"durations": settings.durations, "rateLimit": settings.rate_limit}


def _change_settings(api: Administered, request: SettingsRequest) -> dict[str, Any]:
    steps = {step.name for plan in PLANS.values() for step in plan.steps}
    known = {"*", START_DELAY, *PLANS, *steps}
    for name, seconds in (request.durations or {}).items():
        if name not in known:
            raise _Refused(f"There is no step '{name}'. Steps: {', '.join(sorted(known))}.")
        if seconds < 0:
            raise _Refused(f"The duration of {name} must be 0 or more seconds.")
    with api.store.transaction():
        settings = api.engine.settings()
        settings.id = SETTINGS_ID
        settings.durations |= request.durations or {}
        if request.rateLimit is not None:
            settings.rate_limit = max(0, request.rateLimit)
        api.store.put(settings)
    api.engine.notify()
    return _settings(api)


def _transactions(api: Administered) -> list[dict[str, Any]]:
    running = []
    for entry in api.store.all(Transaction):
        if entry.finished:
            continue
        guest = api.store.get(Guest, entry.guest_id)
        step = PLANS[entry.kind].steps[entry.step]
        running.append(
            {
                "id": entry.id,
                "guest": entry.guest_id,
                "hostname": guest.hostname if guest else None,
                "kind": entry.kind,
                "step": step.name,
                "since": entry.modified,
                "heldBy": entry.held_by,
                "error": entry.error,
            }
        )
    return running


def _dump(value: Any) -> bytes:
    return (json.dumps(value) + "\n").encode()
