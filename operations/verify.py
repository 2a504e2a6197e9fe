"""`verify`: does the cluster that the stack describes really work? Changes nothing that stays.

Owned here: the order of the stages, their times, the table and the JSON. Left to others: facts and checks.
Works against any stack: all it knows comes from the stack's outputs and the hosts themselves.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from operations import outputs
from operations.checks import application as application_checks
from operations.checks import autolock as autolock_checks
from operations.checks import backup as backup_checks
from operations.checks import balancer as balancer_checks
from operations.checks import cluster as cluster_checks
from operations.checks import consul as consul_checks
from operations.checks import data_path as data_path_checks
from operations.checks import disk_encryption as disk_encryption_checks
from operations.checks import drill as drill_checks
from operations.checks import engine as engine_checks
from operations.checks import galera as galera_checks
from operations.checks import layer as layer_checks
from operations.checks import published as published_checks
from operations.checks import rotation as rotation_checks
from operations.checks import tls as tls_checks
from operations.checks.check import Check
from operations.deep import verify as deep_verify
from operations.facts import cluster as cluster_facts
from operations.facts import host_looks
from operations.facts.cluster import HostFacts
from operations.options import StackOption
from operations.outputs import Application, Balancer, Outputs
from operations.remote_hosts import Answer, RemoteHosts, connected, first_reachable


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(verify)


def verify(
    stack: StackOption = "dev",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for machines instead of a table.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Compare every table of every node, too, while clients write.")
    ] = False,
) -> None:
    """Check hosts, swarm, store, network, Galera, load balancer, application; exit code 0 only if all holds.

    Of a stack without its data layer (deployUpTo), check what there is, and that the rest is gone.

    With --deep all nodes' rows, definitions and accounts are compared at one position: it reads everything
    once on each node, and says every few seconds how far it is.
    """
    report = Report()
    with report.stage("outputs"):
        found = outputs.of_stack(stack)
    if deep:
        found.require_data(stack, "verify --deep")
    report.layer = found.layer
    asyncio.run(_verify(found, report, deep))
    if as_json:
        print(json.dumps(report.as_json(stack), indent=2))
    else:
        show(report, stack)
    if not report.ok:
        raise typer.Exit(1)


@dataclass
class Report:
    """What was checked. `stages`: name to seconds, in order. `layer`: how far the stack is deployed."""

    checks: list[Check] = field(default_factory=list)
    layer: str = "data"
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether all holds; a report without checks holds nothing."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.stages[name] = round(time.monotonic() - start, 2)

    def as_json(self, stack: str) -> dict[str, object]:
        """For machines."""
        return {
            "stack": stack,
            "layer": self.layer,
            "ok": self.ok,
            "seconds": round(sum(self.stages.values()), 2),
            "stages": [{"name": name, "seconds": seconds} for name, seconds in self.stages.items()],
            "checks": [asdict(check) for check in self.checks],
        }


async def _verify(found: Outputs, report: Report, deep: bool = False) -> None:
    """All stages; hosts are asked side by side."""
    async with AsyncExitStack() as connections:
        with report.stage("connect"):
            hosts = await connections.enter_async_context(connected(found))
        facts = await _looked(found, hosts, report)
        report.checks += cluster_checks.of_hosts(found, facts)
        if found.engine is not None or found.listened:
            with report.stage("engines' API"):
                report.checks += engine_checks.of_engines(found, await engine_checks.ask(found))
        if disk_encryption_checks.hosts_of(found):
            with report.stage("disks"):
                asked = await disk_encryption_checks.ask(found, hosts)
                report.checks += disk_encryption_checks.of_disks(found, asked)
        if on_hosts := data_path_checks.hosts_of(found):
            with report.stage("data path"):
                answers = await hosts.run_all(dict.fromkeys(on_hosts, data_path_checks.ask(found)))
            report.checks += data_path_checks.of_data_path(found, answers)
        if found.has("swarm"):
            report.checks += autolock_checks.of_autolock(found, facts)
            report.checks += cluster_checks.of_network(found, facts)
        report.checks += layer_checks.of_layer(found, facts)
        if not found.has("data"):
            return
        store = consul_checks.of_consul if found.store == "consul" else cluster_checks.of_store
        report.checks += [
            *store(found, facts),
            *galera_checks.of_galera(found, facts, backup_checks.making(found, facts)),
        ]
        report.checks += tls_checks.of_tls(found, facts)
        report.checks += [*backup_checks.of_backup(found, facts), *drill_checks.of_drill(found, facts)]
        report.checks += rotation_checks.of_rotation(found, facts)
        report.checks += await _row_round_trip(found, facts, hosts, report)
        if found.published_port:
            with report.stage("published port"):
                text = published_checks.ask(found)
                answer = await _asked(found, hosts, text, f"{found.app_password}\n")
                report.checks += published_checks.of_published(found, answer)
        if found.balancer is not None:
            with report.stage("load balancer"):
                report.checks += await _balanced(found, found.balancer, facts, hosts)
        if found.application is not None:
            with report.stage("application"):
                report.checks += await _served(found, found.application, hosts)
        if deep:
            with report.stage("deep"):
                report.checks += await deep_verify.checks(found, facts, hosts)


async def _looked(found: Outputs, hosts: RemoteHosts, report: Report) -> dict[str, HostFacts]:
    managers = {host.name for host in found.managers}
    with report.stage("look"):
        texts = {
            host.name: host_looks.look(found, host.name in managers, host.name in found.members)
            for host in found.hosts
        }
        answers = await hosts.run_all(texts)
        return {name: cluster_facts.parse(answer.text, answer.error) for name, answer in answers.items()}


async def _row_round_trip(
    found: Outputs, facts: Mapping[str, HostFacts], hosts: RemoteHosts, report: Report
) -> list[Check]:
    """A row is written through the virtual IP, read on every node, and removed."""
    writer = first_reachable(found.managers, hosts)
    table = f"verify_{secrets.token_hex(6)}"
    written, read, clean_up = Answer(error="no manager answers"), dict[str, Answer](), list[Check]()
    if writer is not None:
        try:
            with report.stage("write"):
                text = cluster_facts.write_row(found, table)
                written = await hosts.run(writer, text, f"{found.app_password}\n")
            if not written.error:
                with report.stage("read"):
                    query = cluster_facts.read_row(found, table)
                    read = await hosts.run_all(dict.fromkeys(found.members, query))
        finally:
            # Also after a failed write, which may have come half-way, and after Ctrl-C.
            with report.stage("clean up"):
                clean_up = galera_checks.of_clean_up(found, table, await _drop(hosts, found, table))
    return [
        *galera_checks.of_row(found, written, read),
        *galera_checks.of_positions(found, facts, read),
        *clean_up,
    ]


async def _balanced(
    found: Outputs, balancer: Balancer, facts: Mapping[str, HostFacts], hosts: RemoteHosts
) -> list[Check]:
    """A client on a manager asks through every host's ports."""
    answer = await _asked(found, hosts, balancer_checks.ask(found, balancer), f"{found.app_password}\n")
    return balancer_checks.of_balancer(found, balancer, facts, answer)


async def _served(found: Outputs, application: Application, hosts: RemoteHosts) -> list[Check]:
    """A manager says which containers there are, and every host asks through its own port."""
    listed = await _asked(found, hosts, application_checks.tasks(application))
    limit = application_checks.MOST * application_checks.PATIENCE + 30.0
    asked = {host.name: application_checks.ask(application, host) for host in found.hosts}
    answers = await hosts.run_all(asked, limit=limit)
    return application_checks.of_application(found, application, listed, answers)


async def _asked(found: Outputs, hosts: RemoteHosts, text: str, stdin: str = "") -> Answer:
    """What the first of the managers says that answers at all."""
    manager = first_reachable(found.managers, hosts)
    if manager is None:
        return Answer(error="no manager answers")
    return await hosts.run(manager, text, stdin)


async def _drop(hosts: RemoteHosts, found: Outputs, table: str) -> dict[str, Answer]:
    """Drop the table on the first node that does it; what each that was asked said."""
    tried: dict[str, Answer] = {}
    for name in found.members:
        tried[name] = await hosts.run(name, cluster_facts.drop_table(found, table))
        if not tried[name].error:
            # Of no interest if it fails: the table is gone.
            kept = dict.fromkeys(found.members, cluster_facts.keep_dropped(found))
            await hosts.run_all(kept, limit=30.0)
            break
    return tried


def show(report: Report, stack: str) -> None:
    """The table for people."""
    table = Table(title=f"Stack {stack}, up to the layer {report.layer}", title_justify="left")
    for heading in ("", "where", "what", "found"):
        table.add_column(heading, overflow="fold")
    for check in report.checks:
        mark = "[green]ok[/]" if check.ok else "[bold red]FAILED[/]"
        if check.ok and check.warns:
            mark = "[yellow]warns[/]"
        table.add_row(mark, check.where, escape(check.what), escape(check.found))
    console = Console()
    console.print(table)
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.stages.items())
    console.print(f"Time: {stages}; in all {sum(report.stages.values()):.1f} s", highlight=False)
    for remedy in dict.fromkeys(check.remedy for check in report.checks if not check.ok or check.warns):
        if remedy:
            console.print(f"Remedy: {escape(remedy)}", highlight=False, soft_wrap=True)
    failed = sum(not check.ok for check in report.checks)
    warnings = sum(check.ok and check.warns for check in report.checks)
    if failed:
        console.print(f"[bold red]{failed} of {len(report.checks)} checks failed.[/]")
    else:
        also = f"; {warnings} of them warn" if warnings else ""
        console.print(f"[green]All {len(report.checks)} checks hold{also}.[/]")
