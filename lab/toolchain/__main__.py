"""`python3 -m lab.toolchain JOB`: what the Makefile calls. Run by the system's own Python, 3.11 or newer.

Owned here: the command line, one job at a time for each lab, the words at the end. Jobs are in `jobs.py`.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (this is the check that makes it true for the rest)
    sys.exit(
        f"{sys.executable} is Python {sys.version.split()[0]}, but 3.11 or newer is needed: install it, or "
        "name another one with `make PYTHON=/path/to/python3 …`."
    )

import argparse
import itertools
import os
import time
from collections.abc import Sequence

from lab.toolchain import build, jobs, locks, places, preflight, removal
from lab.toolchain.errors import Interrupted, ToolchainError
from lab.toolchain.stages import Run, Stage, Step, table

TESTING = "{holder} is at work already: wait for its end, or end it with Ctrl-C where it runs."
INTERRUPTED = 130  # what a shell says of a command that Ctrl-C ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python3 -m lab.toolchain", description="What the Makefile's targets do."
    )
    parser.add_argument("job", choices=[*JOBS, *jobs.CHECKS])
    parser.add_argument(
        "--lab", default=os.environ.get("LAB") or "dev", help="the lab's name (default: $LAB or dev)"
    )
    parser.add_argument(
        "--stack", default=os.environ.get("STACK") or "dev", help="the stack (default: $STACK or dev)"
    )
    parser.add_argument(
        "--outages", action="store_true", help="with `test`: through outages, too, as CI does"
    )
    own, rest = _split(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(own)
    options.rest = rest
    try:
        if options.job in jobs.CHECKS:
            _preflight()
            _run(options.job, jobs.one_check(options.job))
        else:
            JOBS[options.job](options)
    except ToolchainError as error:
        print(f"\nError: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, Interrupted):
        print(f"\nInterrupted. `make {options.job}` goes on from here.", file=sys.stderr)
        return INTERRUPTED
    return 0


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our own words, and those behind `--`, which `operations` passes on."""
    own = list(itertools.takewhile(lambda word: word != "--", words))
    return own, list(words[len(own) + 1 :])


def _preflight() -> preflight.Facts:
    facts = preflight.gather(go_needed=build.needed())
    found = preflight.refusals(facts)
    if found:
        raise ToolchainError(
            "this machine cannot run the lab yet; nothing was changed.\n  - " + "\n  - ".join(found)
        )
    return facts


def _run(job: str, stages: list[Stage], lab: str = "") -> list[Step]:
    begin = time.monotonic()
    steps = Run(stages, places.logs(f"{job}-{lab}" if lab else job)).go()
    print("\n" + "\n".join(table(steps, time.monotonic() - begin)))
    return steps


def _do_preflight(_options: argparse.Namespace) -> None:
    facts = _preflight()
    go = f"Go {preflight.dotted(facts.go)}" if facts.go else "no Go (not needed: pulumi is there)"
    disks = ", ".join(f"{free:.0f} GiB free on {folder}" for folder, free in facts.disk)
    python = preflight.dotted(facts.python)
    print(f"This machine will do: Python {python}, {go}, {facts.memory:.0f} GiB memory, {disks}.")


def _do_toolchain(_options: argparse.Namespace) -> None:
    _preflight()
    _run("toolchain", jobs.toolchain())
    print(f"\nPulumi's programs are in {build.bin_folder()}.")


def _do_venv(_options: argparse.Namespace) -> None:
    _preflight()
    _run("venv", jobs.environment())


def _do_up(options: argparse.Namespace) -> None:
    _preflight()
    with locks.for_job(options.lab, "make up"):
        _run("up", jobs.up(options.lab, options.stack), options.lab)
    print(told_after_up(options.lab, options.stack))


def told_after_up(lab: str, stack: str) -> str:
    """What one may type next, for this lab and stack."""
    which = "".join(f" {key}={value}" for key, value in (("LAB", lab), ("STACK", stack)) if value != "dev")
    name = "" if lab == "dev" else f" --name {lab}"
    rows = {
        f"make verify{which}": "check the cluster",
        f".venv/bin/python -m lab status{name}": "what runs",
        f".venv/bin/python -m lab shell{name}": "a shell inside, with pulumi and slcli",
        f"make preview{which}": f"what a change of Pulumi.{stack}.yaml would do",
        f"make down{'' if lab == 'dev' else f' LAB={lab}'}": "take it all away",
    }
    width = max(map(len, rows))
    lines = [f"  {command:{width}}  {what}" for command, what in rows.items()]
    return "\n".join([f"\nStack {stack} is up in lab {lab}. Next:", *lines])


def _do_test(options: argparse.Namespace) -> None:
    _preflight()
    stages = jobs.test(outages=options.outages)
    with locks.held(places.state() / "locks" / "test.lock", "make test", refusal=TESTING):
        try:
            _run("test", stages)
        finally:
            print("\npytest's closing lines:")
            for name in (stage.name for stage in stages):
                log = places.logs("test") / f"{name}.log"
                output = log.read_text(encoding="utf-8") if log.exists() else ""
                for line in jobs.closing_lines(output):
                    print(f"{name}: {line}")


def _do_down(options: argparse.Namespace) -> None:
    if not places.VENV_PYTHON.exists():
        if places.lab_folder(options.lab).exists():
            raise ToolchainError(
                f"Lab {options.lab} is there, but .venv is not: run `make venv`, then `make down`."
            )
        print(f"There is no lab {options.lab}.")
        return
    words = [str(word) for word in jobs.python("-m", "lab", "down", "--name", options.lab)]
    os.chdir(places.CHECKOUT)
    os.execv(words[0], words)


def _do_operations(options: argparse.Namespace) -> None:
    """Become `python -m operations REST` inside the lab, with the terminal as it is."""
    if not places.VENV_PYTHON.exists() or not places.lab_folder(options.lab).exists():
        raise ToolchainError(f"There is no lab {options.lab} to work on: run `make up`.")
    words = [
        str(word)
        for word in jobs.in_lab(options.lab, "-m", "operations", *options.rest, "--stack", options.stack)
    ]
    os.chdir(places.CHECKOUT)
    os.execv(words[0], words)


def _do_clean_cache(_options: argparse.Namespace) -> None:
    labs = [folder.name for folder in (places.state() / "labs").glob("*")]
    if labs:
        raise ToolchainError(
            f"Labs use the cache: {', '.join(sorted(labs))}. Take them away with `make down LAB=…` first."
        )
    removal.remove(places.cache())
    print(f"Removed {places.cache()}. Go's own caches stay: `go clean -cache -modcache` removes them.")


JOBS = {
    "preflight": _do_preflight,
    "toolchain": _do_toolchain,
    "venv": _do_venv,
    "up": _do_up,
    "test": _do_test,
    "down": _do_down,
    "operations": _do_operations,
    "clean-cache": _do_clean_cache,
}

if __name__ == "__main__":
    sys.exit(main())
