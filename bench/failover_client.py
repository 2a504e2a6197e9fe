"""What runs in a container on the cluster's hosts: writes one row after another and prints the longest pause.

`python3 -c TEXT HOST PORT`, with USER, PASSWORD and DATABASE in the environment, WAY, which marks the rows,
and NODE, on which it begins; needs PyMySQL only. It writes until SIGTERM: what happens before is in it.
"""

import itertools
import json
import os
import signal
import sys
import time

import pymysql

APART = 0.02  # seconds between two writes
AGAIN = 0.05  # seconds before the next connection
ended: list[float] = []
"""When it was told to end."""


def session(commits: list[float]) -> None:
    """Writes until the connection is lost or it is told to end; notes when each commit was acknowledged."""
    connection = pymysql.connect(
        host=sys.argv[1],
        port=int(sys.argv[2]),
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
        while not ended:
            cursor.execute("INSERT INTO failover (way) VALUES (%s)", (os.environ["WAY"],))
            commits.append(time.monotonic())
            time.sleep(APART)


def main() -> None:
    """Connects again and again until it is told to end; what is lost by that is told, too."""
    signal.signal(signal.SIGTERM, lambda *_: ended.append(time.monotonic()))
    commits: list[float] = []
    errors: list[str] = []
    while not ended:
        try:
            session(commits)
        except (pymysql.Error, OSError) as error:
            errors.append(f"{error}")
            time.sleep(AGAIN)
    # The last one is of no commit: the word to end, unless an answer was awaited just then.
    times = [*commits, max(ended[0], commits[-1])] if commits else []
    pauses = [later - before for before, later in itertools.pairwise(times)]
    told = {"pause": max(pauses, default=None), "commits": len(commits), "errors": errors[:3]}
    told["writes_at_the_end"] = bool(commits) and ended[0] - commits[-1] < 1
    print(json.dumps(told))


main()
