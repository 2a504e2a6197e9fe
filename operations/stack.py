"""`up`, `preview`, `refresh` and `destroy` of a stack: Pulumi's own, made safe to repeat after anything.

Owned here: choosing or making the stack, the checks before a run, clearing what a killed run left, and
the flags. Left to others: what the stack consists of (`__main__.py` of the checkout). Works on any
backend and account: all it knows of is Pulumi's environment (`PULUMI_BACKEND_URL`,
`PULUMI_CONFIG_PASSPHRASE`, …).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer
from filelock import FileLock, Timeout

from components import moved_steps
from components.softlayer.progress import INTERRUPTION
from components.ssh_files import forget_choice, interpreter, ssh_folder
from components.state_folder import state_folder
from operations import (
    audit,
    care,
    engine_way,
    former_images,
    left_out,
    leftovers,
    locked,
    outputs,
    passphrase,
    strays,
    swarm_leftovers,
)
from operations.errors import OperationsError
from operations.messages import say
from operations.options import StackOption, YesOption
from operations.pulumi_cli import INTERRUPTED, Pulumi, no_such, project_name, read_yaml, stack_file

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
    """Bring everything to what the stack's settings say; makes the stack if there is none."""
    _require_terminal_or_yes(yes)
    with opened(stack, create=True) as session:
        seen = locked.opened(session.pulumi, session.looked(), yes)
        gone = left_out.cancelled(session.pulumi, seen)
        without = left_out.of_up(seen, session.informed(seen).pulumi, gone)
        session.confirm(yes, "Do it?", "preview", *left_out.refreshed(gone), *without)
        session.taken_out(list(gone.values()))
        before = session.moved()
        if seen is not None:
            seen = care.heal(seen)
        broken_off = session.unfinished.exists()
        session.unfinished.touch()
        try:
            if broken_off:
                _swarm_mended(session)
            with care.watched(seen):
                session.informed(seen).run("up", "--yes", "--skip-preview", "--parallel", PARALLEL, *without)
        finally:
            # What a run that failed may have ordered, and what nothing goes on with after one that did not.
            strays.after_run(session.pulumi)
        found = _told(session)
        if found is not None and found.left:
            found = _taken_down(session, found)
        if not broken_off or (found is not None and _swarm_cleared(session, found)):
            session.unfinished.unlink(missing_ok=True)
        if found is not None and found.has("data"):
            mark = session.unfinished.with_suffix(".images")
            former_images.after_up(found, before, session.pulumi, mark, broken_off=broken_off)
        if without:
            say("Not all is as the settings say: something was left out (see above).")
            raise typer.Exit(1)


def preview(stack: StackOption = "dev") -> None:
    """Show what `up` would do and what it would cost; changes and orders nothing."""
    with opened(stack, create=True) as session:
        seen = locked.told(session.looked(), stack)
        gone = left_out.cancelled(session.pulumi, seen)
        without = left_out.of_up(seen, session.informed(seen).pulumi, gone)
        session.informed(seen).run("preview", *left_out.refreshed(gone), *without)


def refresh(stack: StackOption = "dev", yes: YesOption = False) -> None:
    """Compare the state with what is really there, and take that into the state."""
    _require_terminal_or_yes(yes)
    with opened(stack) as session:
        without = left_out.of_refresh(locked.told(session.looked(), stack), session.pulumi)
        session.confirm(yes, "Take this into the state?", "refresh", "--preview-only", *without)
        session.run("refresh", "--yes", "--skip-preview", "--parallel", PARALLEL, *without)


def destroy(stack: StackOption = "dev", yes: YesOption = False) -> None:
    """Cancel and remove all that the stack made; the stack itself and its settings stay.

    With it goes what interrupted runs ordered and the state does not know. Exit code 1 if anything is left.
    """
    _require_terminal_or_yes(yes)
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


@dataclass(frozen=True)
class StackSession:
    """A stack that was checked and that nobody else works on.

    Attributes:
        unfinished: a file that is there from the beginning of an `up` until one has come to its end.
    """

    project: str
    name: str
    pulumi: Pulumi
    unfinished: Path

    def looked(self) -> care.Seen | None:
        """The hosts as they are; says who does not answer, and whose engine needs a restart."""
        seen = care.looked(self.pulumi)
        if seen is not None and seen.unwell:
            engine_way.ready(self.pulumi)
        return seen

    def moved(self) -> dict[str, Any]:
        """The state; one of an older version is brought over to steps on any manager, nothing runs for it."""
        way = interpreter(self.project, self.name)
        state, names = moved_steps.moved(self.pulumi.export() or {}, way)
        if names:
            self.pulumi.import_state(state)
            say(f"From now on any manager may do what the first one did: {', '.join(names)}.")
        return state

    def taken_out(self, gone: Sequence[str]) -> None:
        """Have the state know that these (URNs) are gone."""
        if gone:
            targets = [word for urn in gone for word in ("--target", urn)]
            self.run("refresh", "--yes", "--skip-preview", *targets)

    def informed(self, seen: care.Seen | None) -> StackSession:
        """The same, with the program told which hosts are not well."""
        return replace(self, pulumi=self.pulumi.with_environment(care.environment(seen)))

    def confirm(self, yes: bool, question: str, *words: str) -> None:
        """Unless `yes`, show what pulumi's `words` show and ask; ends the program if the answer is no."""
        if yes:
            return
        self.run(*words)
        if not typer.confirm(question):
            say("Nothing was changed.")
            raise typer.Exit(1)

    def run(self, *words: str) -> None:
        """Run pulumi with its output shown; ends the program with its exit code if that is not 0."""
        code = self.pulumi.run(*words)
        if code == INTERRUPTED:
            say("Interrupted. The same command goes on from here.")
        if code < 0:
            say(f"pulumi was killed by signal {-code}. The same command goes on from here.")
            raise typer.Exit(128 - code)
        if code != 0:
            raise typer.Exit(code)


@contextmanager
def opened(stack: str, *, create: bool = False, absent_is_fine: bool = False) -> Iterator[StackSession]:
    """Check a stack, clear what a killed run left, and hold it for the block.

    A stack that does not exist is made with `create`; without, it is an error, or with `absent_is_fine` the
    program's happy end. Raises OperationsError for all that stands in the way.
    """
    backend = os.environ.get("PULUMI_BACKEND_URL", "")
    project = project_name()
    settings = stack_file(stack)
    secret = _passphrase(stack, settings)
    with _run_lock(stack, mark := leftovers.mark(backend, project, stack)) as lock:
        unfinished, interruption = lock.with_suffix(".unfinished"), lock.with_suffix(".interruption")
        interruption.touch()  # should a killed run's pulumi still be waiting for a server
        leftovers.end_marked(mark)
        folder = leftovers.lock_folder(backend, project, stack)
        if folder is not None:
            leftovers.clear_locks(folder)
        leftovers.mend_state(backend, project, stack)
        environment = {leftovers.MARK: mark, INTERRUPTION: str(interruption)}
        if secret is not None:
            environment[passphrase.VARIABLE] = secret
        pulumi = Pulumi(stack, environment)
        exported = pulumi.export()
        if exported is None:
            if absent_is_fine:
                say(f"There is no stack {stack}: nothing to do.")
                raise typer.Exit(0)
            if not create:
                raise no_such(stack)
            pulumi.init()
            say(f"Made stack {stack}.")
        else:
            _check_state(stack, exported, settings, secret)
            if leftovers.without_pending(exported)[1]:
                unfinished.touch()
            _forget_pending(pulumi, exported)
        forget_choice(ssh_folder(project, stack))
        yield StackSession(project, stack, pulumi, unfinished)


def _require_terminal_or_yes(yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise OperationsError(
            "There is no terminal to ask on: add --yes to go on without being asked, or run `preview` first."
        )


def _passphrase(stack: str, settings: Path) -> str | None:
    """The passphrase, checked against the stack's settings; None where a key service is used instead."""
    held = read_yaml(settings)
    if str(held.get("secretsprovider") or "passphrase") != "passphrase":
        return None
    secret = passphrase.given()
    if secret is None and sys.stdin.isatty():
        secret = str(typer.prompt(f"Passphrase of stack {stack}", hide_input=True))
    if secret is None:
        raise OperationsError(
            f"There is no passphrase for stack {stack}: set {passphrase.VARIABLE} or "
            f"{passphrase.FILE_VARIABLE}."
        )
    if held.get("encryptionsalt"):
        passphrase.require(stack, str(held["encryptionsalt"]), settings.name, secret)
    return secret


def _check_state(stack: str, exported: dict[str, Any], settings: Path, secret: str | None) -> None:
    """Check the passphrase against the state, too: its salt differs if the settings were replaced."""
    provider = (exported.get("deployment") or {}).get("secrets_providers") or {}
    salt = (provider.get("state") or {}).get("salt")
    if provider.get("type") != "passphrase" or not salt or secret is None:
        return
    # The same one was checked before, and each check takes a while.
    if salt != read_yaml(settings).get("encryptionsalt"):
        passphrase.require(stack, salt, "its state", secret)


def _forget_pending(pulumi: Pulumi, exported: dict[str, Any]) -> None:
    clean, pending = leftovers.without_pending(exported)
    if not pending:
        return
    pulumi.import_state(clean)
    say(f"Cleared what an interrupted run left pending; it is found or done again: {', '.join(pending)}.")


@contextmanager
def _run_lock(stack: str, mark: str) -> Iterator[Path]:
    """One run of a stack on this machine at a time; the kernel drops the lock when this process ends.

    Yields the lock's file.
    """
    path = state_folder() / "runs" / f"{mark}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, preserve_lock_file=True)
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        holder = path.read_text(encoding="utf-8").strip()
        raise OperationsError(
            f"Another run on stack {stack} is going on (process {holder}): wait for its end, or end it with "
            "Ctrl-C where it runs."
        ) from None
    with held:
        path.write_text(str(os.getpid()), encoding="utf-8")
        yield path
