"""What runs in a container on the cluster's hosts: writes, and says of each write that it begins and that it
was acknowledged.

`python3 -c TEXT`; needs PyMySQL only. Its first line of standard input is what it is to do (JSON): `life`, a
number that no earlier start of it had, `user`, `password`, `database`, and `ways`: each with `name`, `kind`
(`row` or `account`), `host`, `port`, `apart` (seconds between two writes) and `node`, the one node that it
writes to, or null for whichever answers. It writes until SIGTERM.

Each line that it prints is a JSON list: the kind of line first (`try`, `ack`, `error`, `end`), then the
checker, which is way and life, then the number of the write. A number is never used twice: a write whose
answer was lost may be there or not, and is not repeated.
"""

from __future__ import annotations

import json
import random
import signal
import socket
import sys
import threading
import time
import zlib
from typing import Any

ACCOUNTS = 3
AGAIN = 0.1  # seconds before the next connection
ended = threading.Event()
printing = threading.Lock()


def say(*words: Any) -> None:
    """Prints one line."""
    with printing:
        print(json.dumps(words), flush=True)


def addresses(way: dict[str, Any]) -> list[str]:
    """Where to connect, in any order: the name of several tasks has several."""
    found = socket.getaddrinfo(way["host"], way["port"], socket.AF_INET, socket.SOCK_STREAM)
    several = sorted({str(each[4][0]) for each in found})
    random.shuffle(several)
    return several


def connected(way: dict[str, Any], known: dict[str, Any]) -> Any:
    """A connection to whoever answers, or to the node that is wanted. Raises what kept it from that."""
    import pymysql  # noqa: PLC0415 - not on the machine, where `body` is needed, too

    failed: Exception = OSError(f"no address leads to {way['node']}")
    for host in addresses(way):
        try:
            connection = pymysql.connect(
                host=host,
                port=way["port"],
                user=known["user"],
                password=known["password"],
                database=known["database"],
                autocommit=True,
                connect_timeout=2,
                read_timeout=10,
                write_timeout=10,
            )
            if way["node"] is None:
                return connection
            with connection.cursor() as cursor:
                cursor.execute("SELECT @@wsrep_node_name")
                if cursor.fetchone() == (way["node"],):
                    return connection
            connection.close()
        except (pymysql.Error, OSError) as error:
            failed = error
    raise failed


def body(checker: str, number: int) -> str:
    """What stands in the row of that number, and in no other."""
    return f"{zlib.crc32(f'{checker}/{number}'.encode()):08x}"


def write_row(cursor: Any, checker: str, number: int) -> list[int]:
    """One row, in a transaction of its own."""
    cursor.execute(
        "INSERT INTO chaos_row (checker, n, body) VALUES (%s, %s, %s)",
        (checker, number, body(checker, number)),
    )
    return []


def move_money(cursor: Any, checker: str, number: int) -> list[int]:
    """Reads a balance, and writes what it has made of it: another's write in between would be lost."""
    account, delta = random.randrange(ACCOUNTS), random.randint(1, 9)
    cursor.execute("BEGIN")
    cursor.execute("SELECT balance FROM chaos_account WHERE id = %s FOR UPDATE", (account,))
    (before,) = cursor.fetchone()
    cursor.execute("UPDATE chaos_account SET balance = %s WHERE id = %s", (before + delta, account))
    cursor.execute(
        "INSERT INTO chaos_move (checker, n, account, was, delta) VALUES (%s, %s, %s, %s, %s)",
        (checker, number, account, before, delta),
    )
    cursor.execute("COMMIT")
    return [account, before, delta]


WRITES = {"row": write_row, "account": move_money}


def session(way: dict[str, Any], known: dict[str, Any], checker: str, numbers: list[int]) -> None:
    """Writes until the connection is lost or it is told to end; `numbers` has the last one that was used."""
    connection = connected(way, known)
    try:
        with connection.cursor() as cursor:
            while not ended.is_set():
                numbers[0] += 1
                say("try", checker, numbers[0])
                told = WRITES[way["kind"]](cursor, checker, numbers[0])
                say("ack", checker, numbers[0], *told)
                ended.wait(way["apart"])
    finally:
        connection.close()


def work(way: dict[str, Any], known: dict[str, Any]) -> None:
    """One way: connects again and again until it is told to end, whatever a broken connection raises."""
    checker, numbers = f"{way['name']}/{known['life']}", [0]
    while not ended.is_set():
        try:
            session(way, known, checker, numbers)
        except Exception as error:  # not only PyMySQL's: of half a packet it raises what comes of it
            say("error", checker, numbers[0], f"{type(error).__name__}: {error}")
            ended.wait(AGAIN)
    say("end", checker, numbers[0])


def main() -> None:
    """All ways at once."""
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    known = json.loads(sys.stdin.readline())
    threads = [threading.Thread(target=work, args=(way, known)) for way in known["ways"]]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.2)


if __name__ == "__main__":
    main()
