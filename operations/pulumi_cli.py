"""The `pulumi` command line, for one stack of this checkout, or of the project in which it is called.

Owns: how it is started, how Ctrl-C reaches it, what its exit codes mean, its short commands as methods.
Leaves to others: when which command is run.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from components.softlayer.progress import INTERRUPTION
from operations.errors import OperationsError
from operations.messages import say


def project_folder(above: Path) -> Path:
    """Where Pulumi runs: the checkout, in which this file is; of an installed package, the present folder.

    `above`: the folder that has `operations`.
    """
    return above if (above / "Pulumi.yaml").is_file() else Path.cwd()


CHECKOUT = project_folder(Path(__file__).resolve().parents[1])
API_KEY = "swarm-galera:apiKey"
NO_STACK = 6  # pulumi's exit code for a stack that does not exist
INTERRUPTED = 130  # what a shell says of a command that Ctrl-C ended
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def project_name() -> str:
    """The project's name, from Pulumi.yaml. Raises OperationsError if there is none."""
    name = read_yaml(CHECKOUT / "Pulumi.yaml").get("name")
    if not name:
        raise OperationsError(
            f"There is no project in {CHECKOUT}: its Pulumi.yaml is missing, or names none. Remedy: run this "
            "in the folder of the project that has the cluster"
        )
    return str(name)


def stack_file(stack: str) -> Path:
    """Where a stack's settings are."""
    return CHECKOUT / f"Pulumi.{stack}.yaml"


def read_yaml(path: Path) -> dict[str, Any]:
    """A file of Pulumi's; empty if there is none. Raises OperationsError if it is not valid YAML."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise OperationsError(f"{path.name} is not valid YAML: {error}. Correct it, or restore it.") from None
    return found if isinstance(found, dict) else {}


Told = dict[tuple[str, ...], subprocess.CompletedProcess[str]]
"""What Pulumi said, by the words of the question."""


class Pulumi:
    """The `pulumi` on PATH, in this checkout, with a stack and additions to the environment."""

    def __init__(self, stack: str, environment: dict[str, str], told: Told | None = None) -> None:
        program = shutil.which("pulumi")
        if program is None:
            raise OperationsError(
                "There is no `pulumi` on PATH: in the lab run this through `make` or `python -m lab exec "
                "--`; elsewhere install Pulumi (https://www.pulumi.com/docs/install/)."
            )
        self._program = program
        self.stack = stack
        self._environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", **environment}
        # What Pulumi was asked for: several times between two changes, half a second each. Two runs of a
        # stack never go side by side (session.py).
        self._told: Told = {} if told is None else told

    def with_environment(self, environment: dict[str, str]) -> Pulumi:
        """The same with more in its environment."""
        return Pulumi(self.stack, {**self._environment, **environment}, self._told)

    def _argv(self, words: tuple[str, ...]) -> list[str]:
        return [self._program, *words, "--stack", self.stack, "--non-interactive"]

    def read_ahead(self, *, settings: bool = False) -> None:
        """Ask for state and outputs, and also for the `settings`, side by side, for whoever reads them next.

        What goes wrong is theirs, too: they ask again.
        """
        reads: list[Callable[[], object]] = [self.export, self.outputs]
        if settings:
            reads.append(self.config)
        with ThreadPoolExecutor(len(reads)) as pool:
            for read in reads:
                pool.submit(read)

    def export(self, *, show_secrets: bool = False) -> dict[str, Any] | None:
        """The stack's state, read once between two changes by this program; None if there is no such stack.

        Raises OperationsError if it cannot be read.
        """
        done = self._ask_once("stack", "export", *(("--show-secrets",) if show_secrets else ()))
        if done.returncode == NO_STACK:
            return None
        if done.returncode != 0:
            backend = os.environ.get("PULUMI_BACKEND_URL") or "the backend of `pulumi login`"
            raise OperationsError(
                f"The stack's state cannot be read from {backend}: {_reason(done.stderr)} Check "
                "PULUMI_BACKEND_URL and that the place can be reached, or `pulumi login`."
            )
        exported: dict[str, Any] = json.loads(done.stdout)
        return exported

    def import_state(self, state: Mapping[str, Any]) -> None:
        """Replace the stack's state. Raises OperationsError."""
        self._told.clear()
        done = self._ask("stack", "import", given=json.dumps(state))
        if done.returncode != 0:
            raise OperationsError(
                f"The state of stack {self.stack} cannot be written: {_reason(done.stderr)}"
            )

    def init(self) -> None:
        """Make the stack. Raises OperationsError."""
        self._told.clear()
        done = self._ask("stack", "init", "--secrets-provider", "passphrase")
        if done.returncode != 0:
            raise OperationsError(f"Stack {self.stack} cannot be made: {_reason(done.stderr)}")

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in plain, read as seldom as the state.

        Raises OperationsError if there is no such stack.
        """
        done = self._ask_once("stack", "output", "--json", "--show-secrets")
        if done.returncode == NO_STACK:
            raise no_such(self.stack)
        if done.returncode != 0:
            raise OperationsError(f"The outputs of stack {self.stack} cannot be read: {_reason(done.stderr)}")
        values: dict[str, Any] = json.loads(done.stdout)
        return values

    def config(self) -> dict[str, Any] | None:
        """The stack's settings by full key, the API key in plain; None if there is no such stack.

        They are read as seldom as the state. Raises OperationsError if they cannot be read.
        """
        done = self._ask_once("config", "--json")
        if done.returncode == 0 and API_KEY in json.loads(done.stdout or "{}"):
            done = self._ask_once("config", "--json", "--show-secrets")
        if done.returncode == NO_STACK:
            return None
        if done.returncode != 0:
            raise OperationsError(
                f"The settings of stack {self.stack} cannot be read: {_reason(done.stderr)}"
            )
        values: dict[str, Any] = json.loads(done.stdout or "{}")
        return values

    def write_setting(self, key: str, value: str) -> None:
        """Write a setting, which may be a place in one (`swarm-galera:takeDown[0]`), into the stack's file.

        Raises OperationsError.
        """
        self._told.clear()
        done = self._ask("config", "set", "--path", key, value)
        if done.returncode != 0:
            raise OperationsError(f"{key} of stack {self.stack} cannot be set: {_reason(done.stderr)}")

    def remove_setting(self, key: str) -> None:
        """Remove a setting from the stack's file, if it is there. Raises OperationsError."""
        self._told.clear()
        done = self._ask("config", "rm", key)
        if done.returncode != 0 and "not found" not in done.stderr:
            raise OperationsError(f"{key} of stack {self.stack} cannot be removed: {_reason(done.stderr)}")

    def planned(self, *words: str) -> list[dict[str, Any]] | None:
        """The steps that an `up` would take; None if that cannot be said. `words`: further options."""
        done = self._ask("preview", "--json", *words)
        if done.returncode != 0:
            return None
        steps: list[dict[str, Any]] = json.loads(done.stdout).get("steps") or []
        return steps

    def _ask_once(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`_ask` for what only this program changes: the answer is kept until it does. A failure is not."""
        done = self._told.get(words)
        if done is None:
            done = self._ask(*words)
            if done.returncode in (0, NO_STACK):
                self._told[words] = done
        return done

    def _ask(self, *words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a short command and return what it says; `given` is its standard input."""
        return subprocess.run(
            self._argv(words),
            cwd=CHECKOUT,
            env=self._environment,
            input=given or "",
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *words: str) -> int:
        """Run a long command with its output shown as it comes; returns its exit code, 130 if interrupted.

        Ctrl-C (or SIGTERM) reaches pulumi once from here: it lets what is under way end, and writes its
        state; waits for servers end early. A second Ctrl-C makes it end at once. Should this process be
        killed, pulumi is told to end as well.
        """
        self._told.clear()
        note = Path(self._environment[INTERRUPTION]) if INTERRUPTION in self._environment else None
        if note is not None:
            note.unlink(missing_ok=True)
        with _interruptions(note) as interruptions:
            process = subprocess.Popen(
                self._argv(words),
                cwd=CHECKOUT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # the terminal's Ctrl-C would reach it a second time: "end at once"
                preexec_fn=_ends_with(os.getpid()),  # noqa: PLW1509 - one call of libc, which takes no lock
            )
            interruptions.reach(process)
            code = process.wait()
        return INTERRUPTED if interruptions.count else code


def no_such(stack: str) -> OperationsError:
    """The error that there is no stack of that name."""
    return OperationsError(f"There is no stack {stack}: `up` makes it; --stack names another one.")


def _reason(said: str) -> str:
    """Pulumi's own words in one line, ending with a full stop."""
    lines = [line.removeprefix("error: ").strip() for line in said.splitlines()]
    kept = [line for line in lines if line and not line.startswith("warning:")]
    return " ".join(kept).rstrip(".") + "."


def _ends_with(parent: int) -> Callable[[], None] | None:
    """To be run in the child: SIGINT for it when this process dies. Only Linux knows how."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def arrange() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:  # it died before the line above
            os._exit(INTERRUPTED)

    return arrange


class _Interruptions:
    """Hands interruptions on to a process, also those that come while it is being started.

    Providers read of the first one in the file `note`.
    """

    def __init__(self, note: Path | None) -> None:
        self.count = 0
        self._handed_on = 0
        self._note = note
        self._process: subprocess.Popen[bytes] | None = None

    def happen(self, _number: int, _frame: FrameType | None) -> None:
        """The signals' handler."""
        self.count += 1
        if self.count == 1:
            say(
                "\nInterrupted: pulumi finishes what is under way and keeps its state; Ctrl-C again "
                "ends it at once."
            )
            if self._note is not None:
                self._note.touch()
        self._hand_on()

    def reach(self, process: subprocess.Popen[bytes]) -> None:
        """From now on they are handed on to this process; with them those that came before."""
        self._process = process
        self._hand_on()

    def _hand_on(self) -> None:
        while self._process is not None and self._handed_on < self.count:
            self._handed_on += 1
            self._process.send_signal(signal.SIGINT)


@contextmanager
def _interruptions(note: Path | None) -> Iterator[_Interruptions]:
    """What catches Ctrl-C, SIGTERM and SIGHUP in place of Python while the block runs."""
    caught = _Interruptions(note)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, caught.happen) for number in numbers}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
