"""All kinds of fault, by name. Another kind is another entry in one of the tables."""

from __future__ import annotations

from chaos.fault import Fault
from chaos.faults import clocks, disks, hosts, load, networks, processes, stores, swarms, transfers, ups

TABLES = (
    processes.FAULTS,
    hosts.FAULTS,
    disks.FAULTS,
    networks.FAULTS,
    clocks.FAULTS,
    transfers.FAULTS,
    stores.FAULTS,
    swarms.FAULTS,
    load.FAULTS,
    ups.FAULTS,
)
FAULTS: dict[str, Fault] = {fault.name: fault for table in TABLES for fault in table}
"""In the order of the tables."""
