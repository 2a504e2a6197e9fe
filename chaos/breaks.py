"""What breaks the cluster's promises on purpose, so that one sees the judgement find it: `--break NAME`.

Each does one thing behind Galera's back, or as a client, after the last write and before the first look. A
run that is broken so and comes out well is an error of this suite.
"""

from __future__ import annotations

from collections.abc import Callable

from chaos.journal import Said
from chaos.site import Site
from harness.lab_cluster import HOSTS, LabFailed

ALONE = "SET SESSION wsrep_on = OFF; "
"""What follows stays on the node."""


def _acknowledged(said: Said) -> tuple[str, int]:
    """A row that must be there."""
    for (checker, number), told in sorted(said.acked.items()):
        if not told:
            return checker, number
    raise LabFailed("nothing to break: no row was acknowledged")


def _lose_row(site: Site, said: Said) -> None:
    checker, number = _acknowledged(said)
    site.sql(HOSTS[0], f"{ALONE}DELETE FROM chaos_row WHERE checker = '{checker}' AND n = {number}")


def _lose_row_everywhere(site: Site, said: Said) -> None:
    checker, number = _acknowledged(said)
    site.sql(HOSTS[0], f"DELETE FROM chaos_row WHERE checker = '{checker}' AND n = {number}")


def _write_twice(site: Site, said: Said) -> None:
    checker, number = _acknowledged(said)
    columns = "checker, n, body"
    text = f"INSERT INTO chaos_row ({columns}) SELECT {columns} FROM chaos_row"
    site.sql(HOSTS[0], f"{text} WHERE checker = '{checker}' AND n = {number}")


def _damage_row(site: Site, said: Said) -> None:
    checker, number = _acknowledged(said)
    site.sql(HOSTS[0], f"UPDATE chaos_row SET body = 'x' WHERE checker = '{checker}' AND n = {number}")


def _lose_update(site: Site, _said: Said) -> None:
    site.sql(HOSTS[0], "UPDATE chaos_account SET balance = balance - 1 WHERE id = 0")


def _other_table(site: Site, _said: Said) -> None:
    """Nothing that the clients write: only the comparison of all tables sees it."""
    site.sql(HOSTS[0], "CREATE TABLE IF NOT EXISTS chaos_much (id BIGINT AUTO_INCREMENT PRIMARY KEY, t TEXT)")
    site.sql(HOSTS[0], f"{ALONE}INSERT INTO chaos_much (t) VALUES ('only here')")


BREAKS: dict[str, Callable[[Site, Said], None]] = {
    "lose-row": _lose_row,
    "lose-row-everywhere": _lose_row_everywhere,
    "write-twice": _write_twice,
    "damage-row": _damage_row,
    "lose-update": _lose_update,
    "other-table": _other_table,
}
