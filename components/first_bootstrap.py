"""What counts at a cluster's first bootstrap only, and what the stack's last complete run says of it.

Owns: reading the stack's own outputs, the refusal to change names that live in the data, and that initial SQL
which changes later restarts nothing. Leaves to others: the outputs themselves (stack_outputs.py), the initial
SQL (settings/database/initial_sql.py).

The outputs are written when a run is complete, which includes a formed cluster. So as long as none formed,
everything may be corrected.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from settings import Galera, SettingsError
from settings.database.initial_sql import bundle

READ = "pulumi:pulumi:readStackOutputs"
"""The engine's own function; its answer leaves no resource in the state."""
READ_RESOURCES = "pulumi:pulumi:readStackResourceOutputs"
"""Another one, of all that is in the state."""


def last_outputs() -> Mapping[str, Any]:
    """All outputs of the stack's last complete run; empty before the first."""
    return _read(READ, "name")


def last_resources() -> Mapping[str, Any]:
    """All that the stack's state has, by URN: type and outputs."""
    return _read(READ_RESOURCES, "stackName")


def former(outputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What these outputs say of a cluster: one that runs, or one whose data is kept; None for none."""
    galera: Mapping[str, Any] | None = outputs.get("galera") or outputs.get("keptData")
    return galera


def _read(function: str, argument: str, tries: int = 20) -> Mapping[str, Any]:
    """Outputs of the stack. The engine may just be writing the file they are in: then it is read again."""
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    while True:
        try:
            return pulumi.runtime.invoke(function, {argument: name}).value.get("outputs") or {}
        except Exception as error:  # the SDK raises nothing more exact
            tries -= 1
            if "checkpoint" not in str(error) or not tries:
                raise
            time.sleep(0.25)


def initial_sql_of(galera: Galera, outputs: Mapping[str, Any]) -> InitialSql:
    """What new nodes run; raises SettingsError for what can't be changed in a cluster that has formed.

    `outputs`: of the stack's last complete run.
    """
    ran = former(outputs)
    if problems := refusals(ran, galera.cluster_name, galera.database, galera.data_path):
        raise SettingsError(problems)
    sql = initial_sql(ran, None if galera.initdb is None else bundle(galera.initdb))
    if sql.note:
        pulumi.log.warn(sql.note)
    return sql


def refusals(
    former: Mapping[str, Any] | None, cluster_name: str, database: str, data_path: str | None
) -> list[str]:
    """Problems of the settings beside a cluster that has formed as `former` says."""
    if former is None:
        return []
    known = (
        ("clusterName", cluster_name, "the nodes' data and their records in the store carry it"),
        ("database", database, "it is made at the first bootstrap, with its user, and at no other time"),
    )
    names = [
        f"swarm-galera:galera.{key}: {wanted} was {former[key]} when the cluster formed: {why}. Remedy: "
        "set it back; a further database is made with SQL (docs/how-to/moving-in.md)"
        for key, wanted, why in known
        if key in former and former[key] != wanted
    ]
    return [*names, *_moved(former.get("dataPath"), data_path)]


def _moved(former: str | None, wanted: str | None) -> list[str]:
    """Refusal of a path that is not that of the rows; None stands for the engine's own folder."""
    if wanted == former:
        return []
    back = "leave it out again" if former is None else f"set it back to {former}"
    return [
        f"swarm-galera:galera.dataPath: {wanted or 'left out'}, and it was {former or 'not set'} when the "
        f"cluster formed: the rows of every node are there, and would not be found. Remedy: {back}. To have "
        "them elsewhere: make a dump (docs/how-to/moving-in.md), take the layer data down with keepData: "
        "false, then go up with the other path"
    ]


@dataclass(frozen=True)
class InitialSql:
    """The archive of initial SQL.

    Attributes:
        archive: what the nodes get; None for nothing.
        recorded: keep what the state has, whatever `archive` is: the cluster has formed, and runs none again.
        digest: of the archive that was or will be run, for the outputs; empty without one.
        note: what to tell the user.
    """

    archive: bytes | None
    recorded: bool = False
    digest: str = ""
    note: str = ""


def initial_sql(former: Mapping[str, Any] | None, archive: bytes | None) -> InitialSql:
    """What the nodes get of `archive`, so that a cluster that has formed is not restarted for it."""
    digest = hashlib.sha256(archive).hexdigest()[:16] if archive is not None else ""
    if former is None or "initdb" not in former:
        return InitialSql(archive, digest=digest)
    ran: str = former["initdb"]
    note = (
        "galera.initdb has changed since the cluster's first bootstrap, and is run at no other time: what "
        "is new in it will not happen. Run it through the VIP (docs/how-to/moving-in.md)"
    )
    return InitialSql(
        (archive or b"removed from the settings") if ran else None,
        recorded=bool(ran),
        digest=ran,
        note=note if digest not in ("", ran) else "",
    )
