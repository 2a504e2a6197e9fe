"""What runs in a container beside a load balancer: writes one row after another and prints the longest pause.

`python3 -c TEXT SECONDS PORT`, with USER, PASSWORD and DATABASE in the environment; needs PyMySQL only.
"""

import itertools
import json
import os
import sys
import time

import pymysql

APART = 0.02  # seconds between two writes
AGAIN = 0.05  # seconds before the next connection


def session(until: float, port: int, commits: list[float]) -> None:
    """Writes until the connection is lost or the time is over; notes when each commit was acknowledged."""
    connection = pymysql.connect(
        host="127.0.0.1",
        port=port,
        user=os.environ["USER"],
        password=os.environ["PASSWORD"],
        database=os.environ["DATABASE"],
        autocommit=True,
        connect_timeout=2,
        read_timeout=10,
        write_timeout=10,
    )
    with connection, connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute("INSERT INTO failover VALUES ()")
            commits.append(time.monotonic())
            time.sleep(APART)


def main() -> None:
    """Connects again and again until the time is over; what is lost by that is told, too."""
    until, port = time.monotonic() + float(sys.argv[1]), int(sys.argv[2])
    commits: list[float] = []
    errors: list[str] = []
    while time.monotonic() < until:
        try:
            session(until, port, commits)
        except (pymysql.Error, OSError) as error:
            errors.append(f"{error}")
            time.sleep(AGAIN)
    pauses = [later - before for before, later in itertools.pairwise(commits)]
    told = {"pause": max(pauses, default=None), "commits": len(commits), "errors": errors[:3]}
    told["writes_at_the_end"] = bool(commits) and until - commits[-1] < 1
    print(json.dumps(told))


main()
