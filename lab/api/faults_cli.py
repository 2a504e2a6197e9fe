"""`lab fault …`: a bad day at SoftLayer, on request. `app` is mounted by the lab's command line.

Besides: `calls` (what clients asked for), `durations` (how long transactions take), `limit` (calls a second),
`transactions` (what runs or is stuck, and why). The API is found by the lab's name, or by `--url` or
`LAB_API_URL`.
"""

from __future__ import annotations

import os
import socket
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lab.api.admin_client import TIMEOUT, AdminClient, AdminError
from lab.api.faults import KINDS

PORT = 8080
"""Where the API listens inside a lab's network namespace."""

app = typer.Typer(
    help="Make the lab's SoftLayer misbehave, and see what clients asked of it.", no_args_is_help=True
)
_console = Console()
Name = Annotated[str, typer.Option("--name", envvar="LAB", help="The lab.")]
Url = Annotated[
    str | None, typer.Option("--url", envvar="LAB_API_URL", help="The API, if it is not a lab's.")
]


def _client(name: str, url: str | None) -> AdminClient:
    if url:
        return AdminClient.at(url)
    # With a URL, nothing of a lab on disk or of namespaces is needed.
    from lab import network, paths  # noqa: PLC0415

    namespace = paths.lab(name).namespace

    def connect() -> socket.socket:
        return network.connect(namespace, "127.0.0.1", PORT, TIMEOUT)

    return AdminClient(connect, f"lab {name}")


def _call(name: str, url: str | None, verb: str, path: str, body: Any = None) -> Any:
    try:
        return _client(name, url).call(verb, path, body)
    except AdminError as error:
        Console(stderr=True).print(str(error), style="red", highlight=False)
        raise typer.Exit(1) from None


@app.command()
def add(
    kind: Annotated[str, typer.Argument(help=f"One of: {', '.join(KINDS)}.")],
    service: Annotated[
        str, typer.Option(help="Only calls of this service, e.g. Virtual_Guest; * matches.")
    ] = "*",
    method: Annotated[str, typer.Option(help="Only this method, e.g. placeOrder; * matches.")] = "*",
    hostname: Annotated[str, typer.Option(help="Only for this guest; * matches.")] = "*",
    step: Annotated[
        str, typer.Option(help="Only this step of transactions, e.g. POWER_ON; * matches.")
    ] = "*",
    count: Annotated[int, typer.Option(min=0, help="So many times; 0: until cleared.")] = 0,
    skip: Annotated[int, typer.Option(min=0, help="Let so many matches pass first.")] = 0,
    seconds: Annotated[float, typer.Option(min=0, help="For delay, slow and partial-ips.")] = 0.0,
    interface: Annotated[
        str, typer.Option(help="For partial-ips: whose address is hidden; public, private or * for both.")
    ] = "public",
    code: Annotated[str | None, typer.Option(help="For fault: its code.")] = None,
    message: Annotated[str | None, typer.Option(help="For fault: its text.")] = None,
    after: Annotated[bool, typer.Option("--after", help="Carry the call out first, then fail.")] = False,
    name: Name = "dev",
    url: Url = None,
) -> None:
    """Inject a fault, e.g. `lab fault add lost-response --method createObject --count 1`."""
    rule = _call(
        name,
        url,
        "POST",
        "faults",
        {
            "kind": kind,
            "service": service,
            "method": method,
            "hostname": hostname,
            "step": step,
            "count": count,
            "skip": skip,
            "seconds": seconds,
            "interface": interface,
            "code": code,
            "message": message,
            "after": after,
        },
    )
    print(f"Fault {rule['id']} added: {_described(rule)}.")


@app.command("list")
def list_faults(name: Name = "dev", url: Url = None) -> None:
    """Show the faults that are in force, and those that are used up."""
    rules = _call(name, url, "GET", "faults")
    if not rules:
        print("No faults.")
        return
    table = Table("id", "kind", "where", "left")
    for rule in rules:
        left = "until cleared" if rule["remaining"] is None else str(rule["remaining"])
        table.add_row(str(rule["id"]), rule["kind"], _where(rule), left)
    _console.print(table)


@app.command()
def clear(
    fault: Annotated[int | None, typer.Argument(help="Only this one.")] = None,
    name: Name = "dev",
    url: Url = None,
) -> None:
    """Take faults away; transactions that were stuck go on."""
    answer = _call(name, url, "DELETE", "faults" if fault is None else f"faults/{fault}")
    if fault is not None and not answer["cleared"]:
        Console(stderr=True).print(f"There is no fault {fault}. See `lab fault list`.", style="red")
        raise typer.Exit(1)
    print(f"{answer['cleared']} cleared.")


@app.command()
def calls(
    forget: Annotated[bool, typer.Option("--forget", help="Begin to count anew.")] = False,
    name: Name = "dev",
    url: Url = None,
) -> None:
    """Show which methods were called, and how often."""
    if forget:
        _call(name, url, "DELETE", "calls")
        print("Forgotten.")
        return
    table = Table("method", "calls")
    for method, number in sorted(_call(name, url, "GET", "calls")["counts"].items()):
        table.add_row(method, str(number))
    _console.print(table)


@app.command()
def durations(
    steps: Annotated[
        list[str] | None, typer.Argument(help="STEP=SECONDS, e.g. provision=60 or POWER_ON=5; none: show.")
    ] = None,
    name: Name = "dev",
    url: Url = None,
) -> None:
    """Show or set how long steps of transactions last beyond what the machines need."""
    wanted = {}
    for text in steps or []:
        step, _, seconds = text.partition("=")
        try:
            wanted[step] = float(seconds)
        except ValueError:
            raise typer.BadParameter(f"'{text}' is not STEP=SECONDS, e.g. provision=60.") from None
    settings = (
        _call(name, url, "POST", "settings", {"durations": wanted})
        if wanted
        else _call(name, url, "GET", "settings")
    )
    for step, seconds in sorted(settings["durations"].items()):
        print(f"{step}={seconds:g}")


@app.command()
def limit(
    calls_a_second: Annotated[int, typer.Argument(min=0, help="SoftLayer's is 50; 0: no limit.")],
    name: Name = "dev",
    url: Url = None,
) -> None:
    """Refuse what exceeds so many calls a second, as SoftLayer does."""
    settings = _call(name, url, "POST", "settings", {"rateLimit": calls_a_second})
    print(f"{settings['rateLimit']} calls a second." if settings["rateLimit"] else "No limit.")


@app.command()
def transactions(name: Name = "dev", url: Url = None) -> None:
    """Show the transactions that run, and what holds those that do not get on."""
    running = _call(name, url, "GET", "transactions")
    if not running:
        print("No transactions.")
        return
    table = Table("guest", "hostname", "transaction", "step", "held by", "error")
    for entry in running:
        held = f"fault {entry['heldBy']}" if entry["heldBy"] else ""
        table.add_row(
            str(entry["guest"]),
            entry["hostname"] or "",
            entry["kind"],
            entry["step"],
            held,
            entry["error"] or "",
        )
    _console.print(table)


def _where(rule: dict[str, Any]) -> str:
    parts = [f"{key} {rule[key]}" for key in ("service", "method", "hostname", "step") if rule[key] != "*"]
    return ", ".join(parts) or "everywhere"


def _described(rule: dict[str, Any]) -> str:
    times = "until cleared" if rule["remaining"] is None else f"{rule['remaining']} time(s)"
    return f"{rule['kind']}, {_where(rule)}, {times}"


def main() -> None:
    """`python -m lab.api.faults_cli`."""
    app(prog_name=os.environ.get("LAB_PROGRAM", "lab fault"))


if __name__ == "__main__":
    main()
