"""What each node holds, read there at one position: `Copy` of `judge.py`.

Owns: the clients' tables, the questions, their answers. Leaves to others: what is made of them.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from chaos.client import ACCOUNTS
from chaos.journal import Key
from chaos.judge import Copy, Move
from chaos.site import Site
from harness.lab_cluster import HOSTS, LabFailed

NO_TABLES = "DROP TABLE IF EXISTS chaos_row, chaos_move, chaos_account, chaos_much;"
# No key is unique but the one that Galera needs: a write that comes twice is to be seen, not refused.
TABLES = f"""
{NO_TABLES}
CREATE TABLE chaos_row (id BIGINT AUTO_INCREMENT PRIMARY KEY, checker VARCHAR(60) NOT NULL, n INT NOT NULL,
  body VARCHAR(20) NOT NULL, KEY (checker, n));
CREATE TABLE chaos_move (id BIGINT AUTO_INCREMENT PRIMARY KEY, checker VARCHAR(60) NOT NULL, n INT NOT NULL,
  account INT NOT NULL, was BIGINT NOT NULL, delta INT NOT NULL, KEY (checker, n));
CREATE TABLE chaos_account (id INT PRIMARY KEY, balance BIGINT NOT NULL);
INSERT INTO chaos_account VALUES {", ".join(f"({account}, 0)" for account in range(ACCOUNTS))};
"""
QUESTIONS = """
SET SESSION wsrep_sync_wait = 1;
SELECT 'row', checker, n, body FROM chaos_row;
SELECT 'move', checker, n, account, was, delta FROM chaos_move;
SELECT 'account', id, balance FROM chaos_account;
"""


TRIES = 3
"""Of each node: the store may be back a moment later than the database."""
AGAIN = 5.0  # seconds


def parse(text: str, status: Mapping[str, Any]) -> Copy:
    """What a node answered to `QUESTIONS`, and what it says of itself. Raises ValueError, KeyError."""
    rows: Counter[tuple[str, int, str]] = Counter()
    moves: defaultdict[Key, list[Move]] = defaultdict(list)
    balances: dict[int, int] = {}
    for line in text.splitlines():
        match line.split("\t"):
            case ["row", checker, number, body]:
                rows[checker, int(number), body] += 1
            case ["move", checker, number, account, was, delta]:
                moves[checker, int(number)].append(Move(int(account), int(was), int(delta)))
            case ["account", account, balance]:
                balances[int(account)] = int(balance)
            case [""]:
                continue
            case _:
                raise ValueError(f"no answer to any question: {line!r}")
    own, cluster = status["self"], status["cluster"]
    return Copy(rows, dict(moves), balances, str(own["uuid"]), str(own["epoch"]), str(cluster["epoch"]))


def read(site: Site) -> dict[str, Copy]:
    """Of every host that could be asked; what kept others from it is in the log."""
    copies = {host: _copy(site, host) for host in HOSTS}
    return {host: copy for host, copy in copies.items() if copy is not None}


def _copy(site: Site, host: str) -> Copy | None:
    for number in range(TRIES):
        if number:
            time.sleep(AGAIN)
        try:
            site.goes_on()
            text = site.cluster.sql(host, QUESTIONS, limit=180)
            return parse(text, site.cluster.status(host))
        except (LabFailed, ValueError, KeyError, TypeError) as error:
            site.note(f"what {host} holds could not be read: {type(error).__name__}: {error}")
    return None
