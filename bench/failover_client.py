"""What runs in a container on the cluster's hosts: writes one row after another and prints the longest pause.

`python3 -c TEXT SECONDS HOST PORT`, with USER, PASSWORD and DATABASE in the environment, WAY, which marks the
rows, and NODE, on which it begins; needs PyMySQL only.
"""

import itertools
import json
import os
import sys
import time

import pymysql

APART = 0.02  # seconds between two writes
AGAIN = 0.05  # seconds before the next connection


def session(until: float, commits: list[float]) -> None:
    """Writes until the connection is lost or the time is over; notes when each commit was acknowledged."""
    connection = pymysql.connect(
        host=sys.argv[2],
        port=int(sys.argv[3]),
        user=os.environ["USER"],
        password=os.environ["PASSWORD"],
        database=os.environ["DATABASE"],
        autocommit=True,
        connect_timeout=2,
        read_timeout=10,
        write_timeout=10,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@wsrep_node_name")
        if not commits and cursor.fetchone() != (os.environ["NODE"],):
            return
        while time.monotonic() < until:
            cursor.execute("INSERT INTO failover (way) VALUES (%s)", (os.environ["WAY"],))
            commits.append(time.monotonic())
            time.sleep(APART)


def main() -> None:
    """Connects again and again until the time is over; what is lost by that is told, too."""
    until = time.monotonic() + float(sys.argv[1])
    commits: list[float] = []
    errors: list[str] = []
    while time.monotonic() < until:
        try:
            session(until, commits)
        except (pymysql.Error, OSError) as error:
            errors.append(f"{error}")
            time.sleep(AGAIN)
    # The last one is of no commit: the time that was up.
    pauses = [later - before for before, later in itertools.pairwise([*commits, until])] if commits else []
    told = {"pause": max(pauses, default=None), "commits": len(commits), "errors": errors[:3]}
    told["writes_at_the_end"] = bool(commits) and until - commits[-1] < 1
    print(json.dumps(told))


main()
