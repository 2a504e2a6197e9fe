"""What a fault of the API means to the person who reads it: cause and remedy, as a table.

Owns: the words, by subject in the files beside this one, and which line is told. Leaves to others: what the
program makes of a fault (errors.py).

The table's texts are matched, not only its codes: SoftLayer uses one code for many things
(`SoftLayer_Exception_Public` above all). Codes and texts are those of the official documentation and of
public issues; where the code is not known for sure, only the text is matched.
"""

from __future__ import annotations

from components.softlayer.faults.access import CONNECTION, CREDENTIALS
from components.softlayer.faults.fault import ANY, Fault
from components.softlayer.faults.orders import ORDERS
from components.softlayer.faults.transactions import TRANSACTIONS

FAULTS = (*CREDENTIALS, *CONNECTION, *TRANSACTIONS, *ORDERS)
"""The first line that matches is told."""

UNKNOWN_FAULT = Fault(
    ANY, ANY, "the API refused for a reason this program does not know", "see the API's text"
)
