"""`up`, `preview`, `refresh` and `destroy` of a stack: Pulumi's own, made safe to repeat after anything.

Owned here: choosing or making the stack, the checks before a run, clearing what a killed run left, and
the flags. Left to others: what the stack consists of (`__main__.py` of the checkout). Works on any
backend and account: all it knows of is Pulumi's environment (`PULUMI_BACKEND_URL`,
`PULUMI_CONFIG_PASSPHRASE`, …).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from filelock import FileLock, Timeout

from components.docker_host_access import ssh_folder
from components.softlayer.progress import INTERRUPTION
from components.state_folder import state_folder
from operations import audit, care, former_images, leftovers, outputs, passphrase, strays, swarm_leftovers
from operations.engine import CHECKOUT, INTERRUPTED, NO_STACK, Pulumi
from operations.errors import OperationsError

# Nearly all of a run is waiting (for orders, boots, SSH), so Pulumi's default of four for each core would
# make hosts wait for one another on a small machine.
PARALLEL = "64"

StackOption = Annotated[str, typer.Option("--stack", "-s", envvar="STACK", help="The stack's name.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not preview and ask first.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(up)
    app.command()(preview)
    app.command()(refresh)
    app.command()(destroy)


def up(stack: StackOption = "dev", yes: YesOption = False) -> None:
    """Bring everything to what the stack's settings say; makes the stack if there is none."""
    _someone_to_ask(yes)
    with opened(stack, create=True) as one:
        seen = one.looked()
        left_out = one.left_out(seen)
        one.agreed(yes, "Do it?", "preview", *left_out)
        if seen is not None:
            seen = care.heal(seen, say)
        broken_off = one.unfinished.exists()
        one.unfinished.touch()
        try:
            if broken_off:
                _swarm_mended(one)
            with care.watched(seen, say):
                one.told(seen).run("up", "--yes", "--skip-preview", "--parallel", PARALLEL, *left_out)
        finally:
            # What a run that failed may have ordered, and what nothing goes on with after one that did not.
            strays.after_run(one.pulumi, stack, say)
        if not broken_off or _swarm_cleared(one):
            one.unfinished.unlink(missing_ok=True)
        _former_images_removed(one)
        if seen is not None and seen.away:
            say(
                f"Not all is as the settings say: what needs {', '.join(seen.away)} was left out (see above)."
            )
            raise typer.Exit(1)


def preview(stack: StackOption = "dev") -> None:
    """Show what `up` would do and what it would cost; changes and orders nothing."""
    with opened(stack, create=True) as one:
        seen = one.looked()
        one.told(seen).run("preview", *one.left_out(seen))


def refresh(stack: StackOption = "dev", yes: YesOption = False) -> None:
    """Compare the state with what is really there, and take that into the state."""
    _someone_to_ask(yes)
    with opened(stack) as one:
        left_out = one.left_out(one.looked())
        one.agreed(yes, "Take this into the state?", "refresh", "--preview-only", *left_out)
        one.run("refresh", "--yes", "--skip-preview", "--parallel", PARALLEL, *left_out)


def destroy(stack: StackOption = "dev", yes: YesOption = False) -> None:
    """Cancel and remove all that the stack made; the stack itself and its settings stay.

    With it goes what interrupted runs ordered and the state does not know. Exit code 1 if anything is left.
    """
    _someone_to_ask(yes)
    with opened(stack, absent_is_fine=True) as one:
        ordered = strays.before_destroy(one.pulumi, stack, say)
        one.agreed(yes, "Destroy all of this, with its data?", "destroy", "--preview-only")
        if ordered is not None:
            # Before the state goes: without its identity nobody could tell whose they are.
            strays.cancel(*ordered, say)
        one.run("destroy", "--yes", "--skip-preview", "--parallel", PARALLEL)
        one.unfinished.unlink(missing_ok=True)
        # The private key of hosts that are gone: nothing reads it any more.
        shutil.rmtree(ssh_folder(one.project, one.name), ignore_errors=True)
        if ordered is not None:
            strays.wait_gone(*ordered)
            if left := strays.left_of(ordered[0]):
                say("This is left of the stack:")
                audit.show(left, stack, stderr=True)
                raise typer.Exit(1)


def _swarm_mended(one: OpenStack) -> None:
    """Bring state and swarm together again after a run that was broken off, so that this one can go on."""
    exported = _export(one.pulumi) or {}
    folder = ssh_folder(one.project, one.name)
    gone = swarm_leftovers.before_up(exported, folder, one.project, one.name, say)
    if gone:
        targets = [word for urn in gone for word in ("--target", urn)]
        one.run("refresh", "--yes", "--skip-preview", *targets)


def _swarm_cleared(one: OpenStack) -> bool:
    """Remove what an earlier run that was broken off left on the swarm; False if that could not be done."""
    try:
        exported = _export(one.pulumi) or {}
        found = outputs.read(one.name, one.pulumi)
    except OperationsError as error:  # but `up` has succeeded
        say(str(error))
        return False
    return swarm_leftovers.clear(found, exported, one.project, one.name, say)


def _former_images_removed(one: OpenStack) -> None:
    """Remove images of our services that no container runs any more; what can't be done does no harm."""
    try:
        found = outputs.read(one.name, one.pulumi)
    except OperationsError as error:  # but `up` has succeeded
        say(str(error))
        return
    former_images.remove(found, say)


@dataclass(frozen=True)
class OpenStack:
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
        seen = care.look(self.pulumi, self.name, say)
        if seen is not None:
            care.tell(seen, say)
        return seen

    def left_out(self, seen: care.Seen | None) -> list[str]:
        """Pulumi's options that leave out what needs a host which does not answer."""
        if seen is None or not seen.away:
            return []
        exported = _export(self.pulumi) or {}
        servers = audit.stack_settings(self.pulumi, self.name).section("swarm-galera:servers")
        return care.left_out(seen, exported, care.coming(servers, exported), say)

    def told(self, seen: care.Seen | None) -> OpenStack:
        """The same, with the program told which hosts are not well."""
        return replace(self, pulumi=self.pulumi.told(care.environment(seen)))

    def agreed(self, yes: bool, question: str, *words: str) -> None:
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
def opened(stack: str, *, create: bool = False, absent_is_fine: bool = False) -> Iterator[OpenStack]:
    """Check a stack, clear what a killed run left, and hold it for the block.

    A stack that does not exist is made with `create`; without, it is an error, or with `absent_is_fine` the
    program's happy end. Raises OperationsError for all that stands in the way.
    """
    backend = os.environ.get("PULUMI_BACKEND_URL", "")
    project = _yaml(CHECKOUT / "Pulumi.yaml").get("name", "")
    settings = CHECKOUT / f"Pulumi.{stack}.yaml"
    secret = _passphrase(stack, settings)
    mark = leftovers.mark(backend, project, stack)
    with _alone(stack, mark) as lock:
        unfinished, interruption = lock.with_suffix(".unfinished"), lock.with_suffix(".interruption")
        interruption.touch()  # should a killed run's pulumi still be waiting for a server
        leftovers.end_marked(mark, say)
        folder = leftovers.lock_folder(backend, project, stack)
        if folder is not None:
            leftovers.clear_locks(folder, say)
        leftovers.mend_state(backend, project, stack, say)
        environment = {leftovers.MARK: mark, INTERRUPTION: str(interruption)}
        if secret is not None:
            environment[passphrase.VARIABLE] = secret
        pulumi = Pulumi(stack, environment)
        exported = _export(pulumi)
        if exported is None:
            if absent_is_fine:
                say(f"There is no stack {stack}: nothing to do.")
                raise typer.Exit(0)
            if not create:
                raise OperationsError(f"There is no stack {stack}: `up` makes it; --stack names another one.")
            _init(pulumi, stack)
        else:
            _check_state(stack, exported, settings, secret)
            if leftovers.without_pending(exported)[1]:
                unfinished.touch()
            _forget_pending(pulumi, exported)
        yield OpenStack(project, stack, pulumi, unfinished)


def _someone_to_ask(yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise OperationsError(
            "There is no terminal to ask on: add --yes to go on without being asked, or run `preview` first."
        )


def say(text: str) -> None:
    """A word to the user, apart from what pulumi prints."""
    print(text, file=sys.stderr, flush=True)


def _yaml(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise OperationsError(f"{path.name} is not valid YAML: {error}. Correct it, or restore it.") from None
    return found if isinstance(found, dict) else {}


def _passphrase(stack: str, settings: Path) -> str | None:
    """The passphrase, checked against the stack's settings; None where a key service is used instead."""
    held = _yaml(settings)
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
        passphrase.demand(stack, str(held["encryptionsalt"]), settings.name, secret)
    return secret


def _check_state(stack: str, exported: dict[str, Any], settings: Path, secret: str | None) -> None:
    """Check the passphrase against the state, too: its salt differs if the settings were replaced."""
    provider = (exported.get("deployment") or {}).get("secrets_providers") or {}
    salt = (provider.get("state") or {}).get("salt")
    if provider.get("type") != "passphrase" or not salt or secret is None:
        return
    if salt != _yaml(settings).get(
        "encryptionsalt"
    ):  # the same was checked before, and each check takes a while
        passphrase.demand(stack, salt, "its state", secret)


def _export(pulumi: Pulumi) -> dict[str, Any] | None:
    """The stack's state with its secrets encrypted; None if there is no such stack."""
    done = pulumi.ask("stack", "export")
    if done.returncode == NO_STACK:
        return None
    if done.returncode != 0:
        backend = os.environ.get("PULUMI_BACKEND_URL") or "the backend of `pulumi login`"
        raise OperationsError(
            f"The stack's state cannot be read from {backend}: {_reason(done.stderr)} Check "
            "PULUMI_BACKEND_URL "
            "and that the place can be reached, or `pulumi login`."
        )
    exported = json.loads(done.stdout)
    assert isinstance(exported, dict)
    return exported


def _init(pulumi: Pulumi, stack: str) -> None:
    done = pulumi.ask("stack", "init", "--secrets-provider", "passphrase")
    if done.returncode != 0:
        raise OperationsError(f"Stack {stack} cannot be made: {_reason(done.stderr)}")
    say(f"Made stack {stack}.")


def _forget_pending(pulumi: Pulumi, exported: dict[str, Any]) -> None:
    clean, pending = leftovers.without_pending(exported)
    if not pending:
        return
    done = pulumi.ask("stack", "import", given=json.dumps(clean))
    if done.returncode != 0:
        raise OperationsError(
            f"The pending operations of an interrupted run cannot be cleared: {_reason(done.stderr)}"
        )
    say(f"Cleared what an interrupted run left pending; it is found or done again: {', '.join(pending)}.")


def _reason(said: str) -> str:
    """Pulumi's own words in one line, ending with a full stop."""
    lines = [line.removeprefix("error: ").strip() for line in said.splitlines()]
    kept = [line for line in lines if line and not line.startswith("warning:")]
    return " ".join(kept).rstrip(".") + "."


@contextmanager
def _alone(stack: str, mark: str) -> Iterator[Path]:
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
