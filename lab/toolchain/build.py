"""Pulumi's command line and its Python language host: found on PATH, or built from the Go module proxy.

Owned here: which of the two, and a folder in the cache that is either complete or not there, keyed by what it
is built from. Left to others: plugins (`plugins.py`), the environment `pulumi` runs in (`lab exec`).

No package registry carries the `pulumi` program, but the Go module proxy carries its source: the two
modules beside this file name one program each and pin all of its dependencies. The language host is that of
v3.78.0, the newest one that the proxy has as a module; it serves the newer command line, except that it does
not know `runtime.options.virtualenv`: the virtual environment must come first on PATH.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.toolchain import locks, places
from lab.toolchain.errors import ToolchainError
from lab.toolchain.preflight import dotted, numbers
from lab.toolchain.stages import Step

HERE = Path(__file__).parent
CLI_MODULE = HERE / "pulumi"
HOST_MODULE = HERE / "language-python"
CLI_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
HOST_PACKAGE = "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
SDK = "github.com/pulumi/pulumi/sdk/v3"
SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
PROGRAMS = ("pulumi", "pulumi-language-python", *(Path(script).name for script in SCRIPTS))
# No inlining, no debugger's tables: a third less to compile, for a program that mostly waits.
FLAGS = ("-mod=readonly", "-gcflags=all=-l -dwarf=false")


def version() -> str:
    """Pulumi's version that is built, without `v`: the one the CLI's go.mod pins."""
    text = (CLI_MODULE / "go.mod").read_text(encoding="utf-8")
    found = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v(\S+)", text)
    assert found is not None
    return found.group(1)


def key() -> str:
    """The name of the toolchain's folder in the cache: a digest of everything it is made from."""
    digest = hashlib.sha256(f"{places.machine()} {FLAGS} {CLI_PACKAGE} {HOST_PACKAGE} {SCRIPTS}".encode())
    for module in (CLI_MODULE, HOST_MODULE):
        for name in ("go.mod", "go.sum"):
            digest.update((module / name).read_bytes())
    return digest.hexdigest()[:16]


def home() -> Path:
    """The folder of all built toolchains."""
    return places.cache() / "toolchain"


def built() -> Path | None:
    """The `bin` folder of the built toolchain; None if it is not built."""
    folder = home() / key() / "bin"
    return folder if all((folder / program).is_file() for program in PROGRAMS) else None


def installed() -> Path | None:
    """The folder of a `pulumi` on PATH that will do: 3.x, at least as new as ours, with its language host."""
    program, host = shutil.which("pulumi"), shutil.which("pulumi-language-python")
    if program is None or host is None or Path(program).resolve().is_relative_to(home().resolve()):
        return None
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=False, env=environment)
    return Path(program).parent if suits(said.stdout) else None


def suits(said: str, wanted: str | None = None) -> bool:
    """Whether `pulumi version`'s answer is of the same major version as `wanted` and not older."""
    have, want = numbers(said), numbers(wanted or version())
    return bool(have) and have[0] == want[0] and have >= want


def bin_folder() -> Path | None:
    """Where `pulumi` is run from: the installed one, else the built one, else None."""
    return installed() or built()


def needed() -> bool:
    """Whether there is anything to build."""
    return bin_folder() is None


def build_cli(step: Step) -> None:
    """Build the command line into the unfinished toolchain, unless it is there."""
    linker = f"-s -w -X {SDK}/go/common/version.Version={version()}"
    _build(step, CLI_MODULE, CLI_PACKAGE, linker)


def build_language_host(step: Step) -> None:
    """Build the Python language host into the unfinished toolchain, unless it is there."""
    _build(step, HOST_MODULE, HOST_PACKAGE, "-s -w")


def _unfinished() -> Path:
    return home() / f"{key()}.unfinished"


def _build(step: Step, module: Path, package: str, linker: str) -> None:
    name = package.rsplit("/", 1)[-1]
    with _alone(step, name):
        found = bin_folder()
        target = _unfinished() / "bin" / name
        if found is not None or target.exists():
            step.result(f"there: {found or target}")
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = _unfinished() / f"{name}.draft"
        # A killed build leaves a draft at most; Go's own cache keeps the packages that were compiled.
        step.run(
            ["go", "build", "-v", *FLAGS, "-ldflags", linker, "-o", draft, package],
            cwd=module,
            env=environment(),
        )
        draft.replace(target)


def environment() -> dict[str, str]:
    """What `go` runs with: nobody's flags or workspace, and leave to fetch the Go that go.mod asks for."""
    return {
        "GOFLAGS": "",
        "GOWORK": "off",
        "GOTOOLCHAIN": "auto",
        "CGO_ENABLED": "0",
        "GOGC": "400",  # fewer collections in the compilers: 10 % less work, for memory that is there
    }


def finish(step: Step) -> None:
    """Put the two scripts beside the programs, try the whole, and move it to its place."""
    with _alone(step, "toolchain"):
        found = bin_folder()
        if found is not None:
            step.result(str(found))
            return
        unfinished = _unfinished()
        source = _module_folder(step)
        for script in SCRIPTS:
            target = unfinished / "bin" / Path(script).name
            shutil.copyfile(source / script, target)
            target.chmod(0o755)
        said = subprocess.run(
            [unfinished / "bin" / "pulumi", "version"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        )
        if not suits(said.stdout):
            shutil.rmtree(unfinished)
            raise ToolchainError(
                f"The pulumi built from {CLI_MODULE} says {said.stdout + said.stderr!r} instead of its "
                f"version {version()}: it was thrown away; run `make toolchain` again, after "
                "`go clean -cache` if it happens twice."
            )
        place = home() / key()
        shutil.rmtree(place, ignore_errors=True)  # somebody took a program out of it
        unfinished.replace(place)
        step.result(f"pulumi {dotted(numbers(said.stdout))} in {place / 'bin'}")


def _module_folder(step: Step) -> Path:
    """The Pulumi SDK's folder in Go's module cache, downloaded if it is not there."""
    step.run(["go", "mod", "download", SDK], cwd=CLI_MODULE, env=environment())
    done = subprocess.run(
        ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", SDK],
        cwd=CLI_MODULE,
        env={**os.environ, **environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 or not done.stdout.strip():
        raise ToolchainError(f"Go does not say where it keeps {SDK}: {done.stderr.strip()}")
    return Path(done.stdout.strip())


@contextmanager
def _alone(step: Step, what: str) -> Iterator[None]:
    """One build of a thing at a time on this machine, whoever asks for it."""
    lock = home() / f"{what}.lock"
    with locks.waited_for(lock, f"the build of {what}", lambda who: step.say(f"waiting for {who}")):
        yield
