"""`python -m lab`: the lab's command line.

Owned here: commands, options, exit codes, what people read. Left to others: what the commands do
(`lifecycle.py`).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from lab import cuts, environment, lifecycle, login, network, packet_filter, paths
from lab.api import faults_cli
from lab.errors import LabError
from lab.hosts.backend import HostSpec, PowerState
from lab.hosts.machine import Machine
from lab.hosts.uml import UmlBackend
from lab.packet_filter import WHOLE, Cut
from lab.paths import LabPaths
from lab.toolchain import build, plugins
from lab.toolchain.errors import Interrupted, ToolchainError

INTERRUPTED = 130  # what a shell says of a command that Ctrl-C ended
NOT_HEALTHY = 3  # of `status`

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A SoftLayer of one's own: an API, real Linux hosts, an image registry, in a network of their own.",
)
app.add_typer(faults_cli.app, name="fault")
Name = Annotated[str, typer.Option("--name", "-n", help="The lab's name.", envvar="LAB", show_default="dev")]
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}


@app.command()
def up(name: Name = "dev") -> None:
    """Bring the lab up, or complete it. Hosts that ran when the machine went down are booted again."""
    lifecycle.up(paths.lab(name))


@app.command()
def prepare() -> None:
    """Fill the cache with downloads and builds, without making a lab."""
    lifecycle.prepare()


@app.command()
def down(name: Name = "dev") -> None:
    """Take this lab away: its hosts, their disks, its network, its state. The cache stays."""
    lifecycle.down(paths.lab(name))


@app.command()
def status(
    name: Name = "dev", as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False
) -> None:
    """What runs. Exit code 3 unless the lab's network and services are all there."""
    lab = paths.lab(name)
    found = lifecycle.status(lab)
    if as_json:
        print(json.dumps(found.as_json(), indent=2))
    elif not found.exists:
        print(f"There is no lab {lab.name}: `python -m lab up --name {lab.name}` makes it.")
    else:
        _print_status(found, lab)
    if not found.healthy():
        raise typer.Exit(NOT_HEALTHY)


def _print_status(found: lifecycle.Status, lab: LabPaths) -> None:
    # As wide as its content where there is no terminal: what is cut off in a log or a pipe is lost.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    parts = Table("part", "state", title=f"lab {found.name}", title_justify="left")
    parts.add_row("network", lab.namespace if found.network else "[red]gone[/red]: run `lab up`")
    for service, pid in found.services.items():
        dead = f"[red]dead[/red]: see {lab.logs / service}.log, run `lab up`"
        parts.add_row(service, f"runs (process {pid})" if pid else dead)
    groups = found.security_groups.described()
    parts.add_row("security groups", groups if found.security_groups.tracking else f"[red]{groups}[/red]")
    names = {host.id: host.hostname for host in found.hosts}
    for cut in found.cuts:
        parts.add_row("cut", f"[yellow]{_described(cut, names)}[/yellow]")
    console.print(parts)
    if not found.hosts:
        console.print("No hosts: order some, e.g. `lab exec -- slcli vs create …` or `pulumi up`.")
        return
    hosts = Table("id", "host", "private", "public", "state", "size", title="hosts", title_justify="left")
    for host in found.hosts:
        size = f"{host.memory} MB, {' + '.join(str(disk) for disk in host.disks)} GB"
        public, state = host.public_ip or "-", _state(host, lab)
        hosts.add_row(str(host.id), host.hostname, host.private_ip, public, state, size)
    console.print(hosts)


def _state(host: lifecycle.HostStatus, lab: LabPaths) -> str:
    """Its power as SoftLayer has it, and what that does not say."""
    words = [host.power]
    if host.paused:
        words.append("[yellow]paused[/yellow]: `lab resume`")
    elif host.power == PowerState.RUNNING:
        words.append("ssh answers" if host.ssh else "[yellow]ssh does not answer[/yellow]")
    if host.deaths:
        times = "once" if host.deaths == 1 else f"{host.deaths} times"
        words.append(f"[red]its kernel died {times}[/red]: see {lab.logs / 'hosts.log'}")
    return ", ".join(words)


@app.command(context_settings=PASS_ON, name="exec")
def execute(context: typer.Context, name: Name = "dev") -> None:
    """Run a command inside the lab: `lab exec -- slcli vs list`. Its exit code is passed on."""
    if not context.args:
        raise LabError("`lab exec` needs a command: `python -m lab exec -- slcli vs list`.")
    _become(paths.lab(name), context.args)


@app.command()
def shell(name: Name = "dev") -> None:
    """A shell inside the lab, with pulumi and slcli."""
    lab = paths.lab(name)
    program = os.environ.get("SHELL", "/bin/sh")
    print(f"Inside lab {lab.name}; `exit` leaves it. Try: slcli vs list; pulumi stack ls", file=sys.stderr)
    _become(lab, [program])


def _become(lab: LabPaths, argv: list[str]) -> None:
    """Become the command, in place of this process: signals reach it once, its exit code is ours."""
    lifecycle.require(lab)
    if build.bin_folder() is not None:  # a lab may be up, and of use, before Pulumi is built
        plugins.ensure(lab.pulumi_home)
    words = network.command(lab.namespace, argv)
    sys.stdout.flush()
    os.execvpe(words[0], words, environment.inside(lab))


@app.command(context_settings=PASS_ON)
def ssh(context: typer.Context, host: str, name: Name = "dev") -> None:
    """Log in to a host (name, id or address) as root, or run a command there.

    As a data center's console would let one in: with the lab's own key, whatever security groups and cuts
    there are. The ordered keys are not touched.
    """
    lab = paths.lab(name)
    lifecycle.require(lab)
    _become(lab, [*login.through_kept(lab, _host(lab, host)), *context.args])


@app.command()
def console(
    host: str,
    name: Name = "dev",
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f", help="Wait for more.")] = True,
) -> None:
    """What a host's kernel and init say, from the last screenful on. `lab ssh` logs in."""
    lab = paths.lab(name)
    path = Machine(lab.hosts / str(_host(lab, host).id)).console
    words = ["tail", "-n", "50", *(["-F"] if follow else []), str(path)]
    os.execvp(words[0], words)


Network = Literal["private", "public", "both"]


@app.command()
def cut(
    host: str,
    sender: Annotated[
        str | None, typer.Option("--from", help="Only from this one host; without it, from everybody.")
    ] = None,
    inwards: Annotated[bool, typer.Option("--in", help="Only what would come in.")] = False,
    outwards: Annotated[bool, typer.Option("--out", help="Only what would go out.")] = False,
    loss: Annotated[str, typer.Option(help="Lose so much of it, e.g. 5%; not all.")] = "100%",
    side: Annotated[Network, typer.Option("--network", help="Which of its networks.")] = "private",
    name: Name = "dev",
) -> None:
    """Cut a host from the network, until `lab heal`: packets are lost without a word, over reboots too.

    `lab ssh` and `lab console` still work, as a data center's console would.
    """
    lab = _with_filters(name)
    spec = _host(lab, host)
    peer = _host(lab, sender) if sender is not None else None
    if peer is not None and peer.id == spec.id:
        raise LabError(f"{spec.hostname} cannot be cut from itself: name another host with --from.")
    direction: packet_filter.Direction = "both"
    if inwards != outwards:
        direction = "in" if inwards else "out"
    lost = _thousandths(loss)
    for one in packet_filter.NETWORKS if side == "both" else (side,):
        made = Cut(spec.id, peer.id if peer else None, direction, one, lost)
        cuts.add(lab, made)
        print(f"Cut: {_described(made, _names(lab))}.")


@app.command()
def heal(
    host: Annotated[str | None, typer.Argument(help="Only what concerns this host.")] = None,
    name: Name = "dev",
) -> None:
    """Take cuts away: all of them, or those that concern a host."""
    lab = _with_filters(name)
    healed = cuts.heal(lab, _host(lab, host).id if host is not None else None)
    for one in healed:
        print(f"Healed: {_described(one, _names(lab))}.")
    if not healed:
        print("Nothing was cut.")


@app.command()
def pause(host: str, name: Name = "dev") -> None:
    """Have a host stand still until `lab resume`, as when its hypervisor moves it: nothing on it goes on."""
    lab = paths.lab(name)
    lifecycle.require(lab)
    spec = _host(lab, host)
    UmlBackend(lab.root).pause(spec.id)
    print(f"Paused: {spec.hostname}.")


@app.command()
def resume(host: str, name: Name = "dev") -> None:
    """Have a host that was paused go on; its clock jumps."""
    lab = paths.lab(name)
    lifecycle.require(lab)
    spec = _host(lab, host)
    UmlBackend(lab.root).resume(spec.id)
    print(f"Resumed: {spec.hostname}.")


def _with_filters(name: str) -> LabPaths:
    lab = paths.lab(name)
    lifecycle.require(lab)
    found = packet_filter.recorded(lab.packet_filter)
    if found.tracking is None:
        raise LabError(f"Lab {lab.name} cannot cut hosts: {found.problem}.")
    return lab


def _names(lab: LabPaths) -> dict[int, str]:
    return {spec.id: spec.hostname for spec in UmlBackend(lab.root).hosts()}


def _described(cut: Cut, names: dict[int, str]) -> str:
    host = names.get(cut.host_id, str(cut.host_id))
    peer = "everybody" if cut.peer_id is None else names.get(cut.peer_id, str(cut.peer_id))
    way = {"both": "both ways", "in": "what comes in", "out": "what goes out"}[cut.direction]
    lost = "" if cut.loss >= WHOLE else f", {cut.loss / 10:g}% of the packets"
    return f"{host} from {peer} on the {cut.network} network, {way}{lost}"


def _thousandths(text: str) -> int:
    """Packets of a thousand, from a percentage."""
    try:
        share = float(text.removesuffix("%"))
    except ValueError:
        share = 0.0
    if not 0.1 <= share <= 100:
        raise LabError(
            f"“{text}” is no loss of packets: give a percentage from 0.1% to 100%, e.g. --loss 5%."
        )
    return round(share * WHOLE / 100)


def _host(lab: LabPaths, wanted: str) -> HostSpec:
    """The host of that name, full name, id or address. LabError if there is none, or more than one."""
    known = UmlBackend(lab.root).hosts()
    found = []
    for spec in known:
        addresses = {spec.private.address, spec.public.address if spec.public else ""}
        if wanted in {spec.hostname, f"{spec.hostname}.{spec.domain}", str(spec.id), *addresses}:
            found.append(spec)
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{spec.hostname} ({spec.id})" for spec in known) or "none"
    if not found:
        raise LabError(f"Lab {lab.name} has no host “{wanted}”. There are: {names}.")
    raise LabError(
        f"“{wanted}” is the name of {len(found)} hosts of lab {lab.name}: give the id. There are: {names}."
    )


def main() -> int:
    """Run the command line; returns the exit code."""
    try:
        app(prog_name="lab")
    except ToolchainError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, Interrupted):
        print("Interrupted. Repeat the command: it goes on from here.", file=sys.stderr)
        return INTERRUPTED
    except PermissionError as error:
        print(f"Error: {error}. The lab needs root: it makes network namespaces and taps.", file=sys.stderr)
        return 1
    return 0
