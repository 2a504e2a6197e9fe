"""How a guest's transaction looks over the wire, and which one it shows as active."""

from __future__ import annotations

import time

from lab.api.context import Lab
from lab.api.masks import Entity
from lab.api.plans import PLANS
from lab.api.records import Guest, Transaction, iso


def active_transaction(lab: Lab, guest: Guest) -> Transaction | None:
    """The transaction that the API shows as active; None in the window before it begins."""
    entry = lab.store.get(Transaction, guest.transaction) if guest.transaction else None
    if entry is None or entry.finished or entry.hidden or time.time() < entry.not_before:
        return None
    return entry


def transaction_view(lab: Lab, entry: Transaction) -> Entity:
    """SoftLayer_Provisioning_Version1_Transaction."""
    plan = PLANS[entry.kind]
    step = plan.steps[min(entry.step, len(plan.steps) - 1)]
    return Entity(
        "Provisioning_Version1_Transaction",
        {
            "id": entry.id,
            "guestId": entry.guest_id,
            "createDate": iso(entry.created),
            "modifyDate": iso(entry.modified),
            "statusChangeDate": iso(entry.modified),
            "elapsedSeconds": int(max(0.0, time.time() - entry.created)),
        },
        {
            "transactionStatus": lambda: Entity(
                "Provisioning_Version1_Transaction_Status",
                {
                    "name": "COMPLETE" if entry.finished else step.name,
                    "friendlyName": "Complete" if entry.finished else step.friendly,
                    "averageDuration": str(lab.engine.linger(entry.kind, step.name)),
                },
            ),
            "transactionGroup": lambda: Entity(
                "Provisioning_Version1_Transaction_Group",
                {"name": plan.group, "averageTimeToComplete": "1"},
            ),
        },
        frozenset({"pendingTransactions", "account", "ticket"}),
    )
