"""Faults of a server that is busy with something else, or on its way out."""

from __future__ import annotations

from components.softlayer.faults.fault import ANY, Fault

TRANSACTIONS: tuple[Fault, ...] = (
    Fault(
        r"SoftLayer_Exception_Virtual_Guest_ActiveTransactionExists",
        ANY,
        "the server has an outstanding transaction that did not end in the time allowed",
        "run the same command again later; one that is stuck for hours needs a ticket to support",
    ),
    Fault(
        ANY,
        r"active transaction|outstanding transaction",
        "the server has an outstanding transaction that did not end in the time allowed",
        "run the same command again later; one that is stuck for hours needs a ticket to support",
    ),
    Fault(
        ANY,
        r"already (been )?cancell?ed|pending cancellation|scheduled for (cancellation|reclaim)",
        "it is cancelled already",
        "run `pulumi refresh` to have the state catch up",
    ),
)
