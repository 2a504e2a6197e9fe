"""`up`, `preview`, `refresh` and `destroy` of a stack: Pulumi's own, made safe to repeat after anything.

Owned here: what comes before and after each, and the flags. Left to others: the checks before a run and what
a killed one left (session.py), what the stack consists of (`__main__.py` of the checkout). Works on any
backend and account: all it knows of is Pulumi's environment (`PULUMI_BACKEND_URL`,
`PULUMI_CONFIG_PASSPHRASE`, …).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping

import typer

from components.ssh_files import ssh_folder
from operations import outputs
from operations.account import audit, strays
from operations.around_run import (
    care,
    engine_way,
    former_images,
    held_back,
    left_out,
    run_watch,
    swarm_leftovers,
)
from operations.errors import OperationsError
from operations.messages import say
from operations.options import StackOption, YesOption
from operations.replace import by_setting as replaced_by_setting
from operations.replace import replacement
from operations.session import StackSession, opened, require_terminal_or_yes
from operations.stack_settings import said
from operations.unlock import locked
from operations.upgrade import hosts as upgrade_hosts

# Nearly all of a run is waiting (for orders, boots, SSH), so Pulumi's default of four for each core would
# make hosts wait for one another on a small machine.
PARALLEL = "64"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(up)
    app.command()(preview)
    app.command()(refresh)
    app.command()(destroy)


def up(stack: StackOption = "dev", yes: YesOption = False) -> None:
    """Bring everything to what the stack's settings say; makes the stack if there is none.

    Exit code 1 also if something was left out, as on a host that does not answer.
    """
    require_terminal_or_yes(yes)
    with opened(stack, create=True) as session:
        replaced_by_setting.by_setting(session, yes, deployed)
        deployed(session, yes)


def deployed(session: StackSession, yes: bool, going: Mapping[str, int] | None = None) -> None:
    """What `up` does with a stack that is held; ends the program where something had to be left out.

    Args:
        going: ids of servers that are replaced in this run, by host name: they have been seen to
            (replace/replacement.py).
    """
    going = going or {}
    session = session.replacing(going)
    # A host that is about to go has left the swarm, and its engine finds that an error.
    looked = session.looked(ill=False) if going else session.looked()
    seen = locked.opened(session.pulumi, looked, yes, going)
    gone = left_out.cancelled(session.pulumi, seen, going)
    coming = [*going, *replacement.coming(seen)]
    without = left_out.of_up(seen, session.informed(seen).pulumi, gone, coming)
    session.confirm(yes, "Do it?", "preview", *left_out.refreshed(gone), *without)
    session.taken_out(list(gone.values()))
    before = session.moved()
    if seen is not None and not going:
        seen = care.heal(seen, coming)
    broken_off = session.unfinished.exists()
    session.unfinished.touch()
    try:
        if broken_off:
            _swarm_mended(session)
        with run_watch.watched(seen):
            session.informed(seen).run("up", "--yes", "--skip-preview", "--parallel", PARALLEL, *without)
    finally:
        session.pulumi.read_ahead(settings=strays.looked_for(before))
        # What a run that failed may have ordered, and what nothing goes on with after one that did not.
        strays.after_run(session.pulumi)
    found = _told(session)
    if found is not None and found.left:
        found = _taken_down(session, found)
    if not broken_off or (found is not None and _swarm_cleared(session, found)):
        session.unfinished.unlink(missing_ok=True)
    if found is not None and found.has("data"):
        held_back.after_up(found, seen)
        mark = session.unfinished.with_suffix(".images")
        former_images.after_up(found, before, session.pulumi, mark, broken_off=broken_off)
    if found is not None and not without and not going:
        upgrade_hosts.by_setting(found, said(session.name, "hosts").get("upgradeToken"))
    if without:
        say("Not all is as the settings say: something was left out (see above).")
        raise typer.Exit(1)


def preview(stack: StackOption = "dev") -> None:
    """Show what `up` would do and what it would cost; changes and orders nothing."""
    with opened(stack, create=True) as session:
        going = replaced_by_setting.first_by_setting(session)
        told = session.replacing(going)
        seen = locked.told(told.looked(), stack)
        gone = left_out.cancelled(told.pulumi, seen, going)
        coming = [*going, *replacement.coming(seen)]
        without = left_out.of_up(seen, told.informed(seen).pulumi, gone, coming)
        told.informed(seen).run("preview", *left_out.refreshed(gone), *without)


def refresh(stack: StackOption = "dev", yes: YesOption = False) -> None:
    """Compare the state with what is really there, and take that into the state."""
    require_terminal_or_yes(yes)
    with opened(stack) as session:
        without = left_out.of_refresh(locked.told(session.looked(), stack), session.pulumi)
        session.confirm(yes, "Take this into the state?", "refresh", "--preview-only", *without)
        session.run("refresh", "--yes", "--skip-preview", "--parallel", PARALLEL, *without)


def destroy(stack: StackOption = "dev", yes: YesOption = False) -> None:
    """Cancel and remove all that the stack made; the stack itself and its settings stay.

    With it goes what interrupted runs ordered and the state does not know. Exit code 1 if anything is left.
    """
    require_terminal_or_yes(yes)
    with opened(stack, absent_is_fine=True) as session:
        engine_way.ready(session.pulumi)
        ordered = strays.before_destroy(session.pulumi)
        session.confirm(yes, strays.question(session.pulumi), "destroy", "--preview-only")
        if ordered is not None:
            # Before the state goes: without its identity nobody could tell whose they are.
            strays.cancel(*ordered)
        session.run("destroy", "--yes", "--skip-preview", "--parallel", PARALLEL)
        session.unfinished.unlink(missing_ok=True)
        # The private key of hosts that are gone: nothing reads it any more.
        shutil.rmtree(ssh_folder(session.project, session.name), ignore_errors=True)
        if ordered is not None:
            strays.wait_gone(*ordered)
            if left := strays.left_of(ordered[0]):
                say("This is left of the stack:")
                audit.show(left, stack, stderr=True)
                raise typer.Exit(1)


def _swarm_mended(session: StackSession) -> None:
    """Bring state and swarm together again after a run that was broken off, so that this one can go on."""
    exported = session.pulumi.export() or {}
    folder = ssh_folder(session.project, session.name)
    gone = swarm_leftovers.before_up(exported, folder, session.project, session.name)
    session.taken_out(gone)


def _told(session: StackSession) -> outputs.Outputs | None:
    """The outputs after a run; None, and said, if they can't be read."""
    try:
        return outputs.read(session.pulumi)
    except OperationsError as error:  # but `up` has succeeded
        say(str(error))
        return None


def _taken_down(session: StackSession, found: outputs.Outputs) -> outputs.Outputs | None:
    """A second run, after one that took a layer down: hosts then find gone what Pulumi deletes last.

    Raises OperationsError if that was not enough.
    """
    say(f"Taken down to the layer {found.layer}. One more run has the hosts do the rest: {found.left}.")
    # What no state knows, nobody deletes, and the hosts would wait for it.
    swarm_leftovers.clear(found, session.pulumi.export() or {}, session.project, session.name)
    seen = session.looked()
    informed = session.informed(seen)
    without = left_out.of_up(seen, informed.pulumi)
    informed.run("up", "--yes", "--skip-preview", "--parallel", PARALLEL, *without)
    now = _told(session)
    if now is not None and now.left:
        raise OperationsError(
            f"Stack {session.name} is not wholly taken down: {now.left}. Run `up` again; if that stays, "
            "remove it by hand on a manager, then run `up`."
        )
    return now


def _swarm_cleared(session: StackSession, found: outputs.Outputs) -> bool:
    """Remove what an earlier run that was broken off left on the swarm; False if that could not be done."""
    if not found.has("swarm"):
        return True  # and so it is gone with the swarm
    try:
        exported = session.pulumi.export() or {}
    except OperationsError as error:  # but `up` has succeeded
        say(str(error))
        return False
    return swarm_leftovers.clear(found, exported, session.project, session.name)
