"""What is asked of a node to take its snapshot while it stands still before our change (one_position.py)."""

from __future__ import annotations

WITHIN = 1.5
"""Seconds for the change to come to all nodes, else all go on and it is tried again."""


def take_snapshot(marker: str) -> list[str]:
    """Statements that wait until the node stands still before our change, then take a snapshot."""
    return [
        f"""BEGIN NOT ATOMIC
  DECLARE tries INT DEFAULT 0;
  WHILE tries < {WITHIN * 100:.0f} AND NOT EXISTS ({_waiting(marker)}) DO
    SET tries = tries + 1;
    DO SLEEP(0.01);
  END WHILE;
END""",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        still_standing(marker),
    ]


def _waiting(marker: str) -> str:
    return (
        "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE = 'Waiting for table metadata lock' "
        f"AND INFO LIKE '%{marker}''' AND ID <> CONNECTION_ID()"
    )


def still_standing(marker: str) -> str:
    """Whether our change is still being waited for, and the node's position."""
    return (
        f"SELECT EXISTS ({_waiting(marker)}), (SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
        "WHERE VARIABLE_NAME = 'wsrep_last_committed')"
    )
