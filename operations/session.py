"""A stack that was checked and that nobody else works on: what every command that runs Pulumi begins with.

Owns: choosing or making the stack, the checks before a run, clearing what a killed run left, one run at a
time. Leaves to others: which commands there are and what they do in it (stack.py, replace/command.py, …).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer
from filelock import FileLock, Timeout

from components import moved_steps, replaced
from components.softlayer.progress import INTERRUPTION
from components.ssh_files import forget_choice, interpreter, ssh_folder
from components.state_folder import state_folder
from operations import passphrase
from operations.around_run import care, engine_way, leftovers
from operations.errors import OperationsError
from operations.messages import say
from operations.pulumi_cli import INTERRUPTED, Pulumi, no_such, project_name, read_yaml, stack_file


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

    def looked(self, *, ill: bool = True) -> care.Seen | None:
        """The hosts as they are; says who does not answer, and, unless not `ill`, whose engine needs a
        restart.
        """
        seen = care.looked(self.pulumi) if ill else care.look(self.pulumi)
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

    def replacing(self, going: Mapping[str, int]) -> StackSession:
        """The same, with the program told which servers go in this run, and that no others do."""
        told = {replaced.REPLACED: json.dumps(dict(going))}
        return replace(self, pulumi=self.pulumi.with_environment(told))

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
        if not absent_is_fine:  # whoever goes on from here looks at the hosts, and needs the outputs for it
            pulumi.read_ahead()
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


def require_terminal_or_yes(yes: bool) -> None:
    """Raise OperationsError where nobody can be asked, and nobody has said yes."""
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
