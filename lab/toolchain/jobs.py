"""What the Makefile's targets consist of, as stages and their order.

Owned here: the jobs `toolchain`, `up`, `test` and the single checks. Left to others: how stages run
(`stages.py`); what a lab is (`python -m lab`) and a stack (`python -m operations`): both are only called.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

from lab.toolchain import build, packages, places, plugins, virtualenv
from lab.toolchain.errors import ToolchainError
from lab.toolchain.stages import Stage, Step

Command = tuple[str, ...]

# Two processes; four where tests wait for servers more than they compute. File by file where a file's tests
# share something costly (a run of pulumi, a dockerd), which each process would make anew; in the order of
# tests/conftest.py, that is long files first.
_SIDE_BY_SIDE = ("-n", "2")
_BY_FILE = ("--dist", "loadfile", "--no-loadscope-reorder")
# Whole jobs and outages on real hosts take minutes each, also where all goes well.
_PATIENT = ("--timeout", "2400")
# Lines and branches that tests reach. The unit tests alone have a floor over everything, the lab included;
# both checks together have one for each part of the product (`coverage_floor.py`).
_MEASURED = ("--cov", "--cov-report=")
_FLOOR = "--cov-fail-under=69"
MEASURED = {name: places.CHECKOUT / f".coverage-{name}" for name in ("unit", "provider")}
"""The checks that measure what they reach, with the file of each.

It holds one run only: pytest-cov removes what an earlier one has left. A name like `.coverage.unit` would not
do: a run of pytest by hand would remove it.
"""
# The life of the tests' one cluster, in this order: it comes up, goes through outages, is destroyed.
_WHOLE_JOB = ("tests/lab/test_hosts.py", "tests/lab/test_security_groups.py", "tests/lab/test_whole_job.py")
_OUTAGES = ("tests/lab/test_outages.py", "tests/lab/test_full_disk.py", "tests/lab/test_recoveries.py")
_END = "tests/lab/test_end.py"
_BACKUPS = "tests/images/test_galera_backup.py"
# Each step of a story begins where the one before ended.
_ONE_STORY = ("-x", "-v", *_PATIENT)
_NETWORK: Command = ("pytest", "tests/lab/test_packets.py", "tests/lab/test_cuts.py", *_SIDE_BY_SIDE)
# Each check's commands, run by the virtual environment's Python as `python -m …`.
CHECKS: dict[str, tuple[Command, ...]] = {
    "lint": (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("lab.toolchain.shell_lint",),
        ("tools.docs", "--check"),
    ),
    "type": (("mypy", "--strict", "."), ("tools.package.types",)),
    "unit": (("pytest", "tests/unit", *_SIDE_BY_SIDE, *_MEASURED, _FLOOR),),
    "provider": (("pytest", "tests/provider", "tests/lab_api", "-n", "4", *_BY_FILE, *_MEASURED),),
    "coverage": (("lab.toolchain.coverage_floor", *map(str, MEASURED.values())),),
    # Each process has a cluster of three servers, and etcd: more than two of them, beside the hosts of
    # `make test`, make some wait for longer than any real one would.
    "image-test": (("pytest", "tests/images", f"--ignore={_BACKUPS}", *_SIDE_BY_SIDE, "--store", "etcd"),),
    # Not in CI for its length: a minute or two to compile the S3 server, then minutes of stories.
    "backup-test": (("pytest", _BACKUPS, "-n", "2", "-v"),),
    # Not in CI, which is near its limit: two minutes to compile the program, then eleven minutes of stories.
    "consul-test": (("pytest", "tests/images", "-n", "2", "-v", "--store", "consul"),),
    "plugin-test": (("pytest", "tests/plugins", "-n", "4", *_BY_FILE),),
    "lab-test": (_NETWORK, ("pytest", *_WHOLE_JOB, _END, *_ONE_STORY)),
    "outage-test": (("pytest", *_OUTAGES, _END, *_ONE_STORY),),
    # Both on one cluster, which saves its coming up a second time: in CI.
    "lab-and-outage-test": (_NETWORK, ("pytest", *_WHOLE_JOB, *_OUTAGES, _END, *_ONE_STORY)),
    # Not in CI for its length alone, most of an hour; what it rests on is in tests/images and tests/plugins.
    "recovery-test": (
        (
            *("pytest", "tests/lab/test_layers.py", "tests/lab/test_data_path.py"),
            *("tests/lab/test_engine_access.py", "tests/lab/test_any_manager.py"),
            *("tests/lab/test_last_one.py", _END, "-v", *_PATIENT),
        ),
        ("pytest", "tests/lab/test_two_stacks.py", *_ONE_STORY),
        ("pytest", "tests/lab/test_tls.py", *_ONE_STORY),
        ("pytest", "tests/lab/test_rotation.py", *_ONE_STORY),
    ),
    # Not in CI for its length, more than an hour; what it rests on is in tests/unit and tests/images.
    "growth-test": (
        (
            *("pytest", "tests/lab/test_rolling.py", "tests/lab/test_replace.py"),
            *("tests/lab/test_upgrade_hosts.py", "tests/lab/test_recover.py"),
            *("tests/lab/test_scale.py", _END, "-v", *_PATIENT),
        ),
        ("pytest", "tests/lab/test_upgrade_mariadb.py", *_ONE_STORY),
    ),
    # Not in CI for its length; what it rests on is in tests/unit, over real SSH.
    "own-hosts-test": (("pytest", "tests/lab/test_own_hosts.py", *_ONE_STORY),),
    # A tenth of `make chaos-data`. In CI it would come last of _OUTAGES, which leave the cluster whole: it
    # needs no settings of its own, and leaves it whole as well.
    "chaos-data-test": (("pytest", "tests/lab/test_chaos_data.py", _END, *_ONE_STORY),),
    # Not in CI either: it installs a browser, 300 MB with what that needs.
    "application-test": (("pytest", "tests/lab/test_application.py", *_ONE_STORY),),
}
# The stages without whose results a check would fail.
NEEDS: dict[str, tuple[str, ...]] = {
    "lint": ("venv",),
    "type": ("venv",),
    "unit": ("venv",),
    "provider": ("toolchain", "packages", "venv"),
    "coverage": ("venv", *MEASURED),
    "image-test": ("packages", "venv"),
    "backup-test": ("packages", "venv"),
    "consul-test": ("packages", "venv"),
    "plugin-test": ("toolchain", "packages", "venv"),
    "lab-test": ("toolchain", "packages", "venv"),
    "lab-and-outage-test": ("toolchain", "packages", "venv"),
    "outage-test": ("toolchain", "packages", "venv"),
    "recovery-test": ("toolchain", "packages", "venv"),
    "growth-test": ("toolchain", "packages", "venv"),
    "own-hosts-test": ("toolchain", "packages", "venv"),
    "application-test": ("toolchain", "packages", "venv"),
    "chaos-data-test": ("toolchain", "packages", "venv"),
}
APART = frozenset(
    {
        *("backup-test", "consul-test", "outage-test", "lab-and-outage-test", "recovery-test"),
        *("own-hosts-test", "application-test", "growth-test", "chaos-data-test"),
    }
)
"""The checks that `make test` leaves out."""
IN_TEST = tuple(name for name in CHECKS if name not in APART)
"""The checks of `make test`; with outages `lab-and-outage-test` is in place of `lab-test`."""
WITH_PLUGINS = (APART - {"backup-test", "consul-test"}) | {"plugin-test", "lab-test"}
"""The checks that run with Pulumi's plugins: the note says which."""
CLOSING_LINE = re.compile(r"^=+ .*\b\d+ \w+.* in [\d.]+s.* =+$")

LEFT_OUT = re.compile(r"\d+ (skipped|xfailed|xpassed|deselected)")


def python(*words: str) -> list[str | Path]:
    """A command line of the virtual environment's Python."""
    return [places.VENV_PYTHON, *words]


def in_lab(lab: str, *words: str) -> list[str | Path]:
    """A command line that runs `python WORDS` inside the lab, with its environment."""
    return python("-m", "lab", "exec", "--name", lab, "--", str(places.VENV_PYTHON), *words)


def toolchain() -> list[Stage]:
    """Pulumi's programs; both builds at once fill the second core while the larger one links."""
    if not build.needed():
        return [Stage("toolchain", build.finish)]
    return [
        Stage("pulumi CLI", build.build_cli),
        Stage("language host", build.build_language_host),
        Stage("toolchain", build.finish, ("pulumi CLI", "language host")),
    ]


def environment() -> list[Stage]:
    """Debian's packages and the virtual environment, which waits only where apt must bring `ensurepip`."""
    needs = () if importlib.util.find_spec("ensurepip") else ("packages",)
    return [Stage("packages", packages.install), Stage("venv", virtualenv.make, needs)]


def up(lab: str, stack: str) -> list[Stage]:
    """From a bare machine to a stack that is up in the lab."""
    pulumi_up = in_lab(lab, "-m", "operations", "up", "--stack", stack, "--yes")
    return [
        *toolchain(),
        *environment(),
        Stage("lab", _runs(python("-m", "lab", "up", "--name", lab)), ("packages", "venv")),
        Stage("plugins", _plugins(lab), ("toolchain", "venv", "lab")),
        Stage(
            "pulumi up",
            _runs(pulumi_up, show=True),
            ("plugins",),
        ),
    ]


def test(*, outages: bool) -> list[Stage]:
    """Every check of `IN_TEST`, the one on hosts with or without outages.

    Building pulumi takes longest and waits for nothing. The plugins' tests come first and alone: engines that
    get too little of two cores give up (seen beside the hosts). The hosts take longest after that, and wait
    half of the time (for boots, elections, proofs that a node is well): the others run beside them, one after
    the other.
    """
    hosts = "lab-and-outage-test" if outages else "lab-test"
    return [
        *toolchain(),
        *environment(),
        Stage("lab cache", _runs(python("-m", "lab", "prepare")), ("packages", "venv")),
        *(check(name, NEEDS[name]) for name in ("lint", "type")),
        check("plugin-test", (*NEEDS["plugin-test"], "lint", "type")),
        check(hosts, (*NEEDS[hosts], "lab cache", "plugin-test"), show=True),
        check("unit", (*NEEDS["unit"], "plugin-test")),
        check("provider", (*NEEDS["provider"], "unit")),
        check("coverage", NEEDS["coverage"]),
        check("image-test", (*NEEDS["image-test"], "lab cache", "provider")),
    ]


def one_check(name: str) -> list[Stage]:
    """A single check with what it needs, other checks one after the other."""
    before: list[Stage] = []
    for need in NEEDS[name]:
        if need in CHECKS:
            before.append(check(need, (*NEEDS[need], *(stage.name for stage in before))))
    pulumi = any("toolchain" in NEEDS[one] for one in (name, *(stage.name for stage in before)))
    built = toolchain() if pulumi else []
    return [*built, *environment(), *before, check(name, NEEDS[name], show=True)]


def check(name: str, needs: tuple[str, ...], *, show: bool = False) -> Stage:
    """The check of that name as a stage; its note is pytest's closing line, where there is one.

    All its commands are run, and what failed is told together: the next story of an hour has its own cluster.
    """
    env = {"COVERAGE_FILE": str(MEASURED[name])} if name in MEASURED else None

    def work(step: Step) -> None:
        failed: list[ToolchainError] = []
        for words in CHECKS[name]:
            try:
                step.run(python("-m", *words), cwd=places.CHECKOUT, env=env, show=show)
            except ToolchainError as error:
                failed.append(error)
        if failed:
            raise ToolchainError("\n".join(map(str, failed)))
        if name == "coverage":
            step.result(step.activity)  # its last line: the figures
        for closing in closing_lines(step.log.read_text(encoding="utf-8")):
            if LEFT_OUT.search(closing):
                raise ToolchainError(
                    f"{name}: {closing.strip('= ')}: what cannot run must fail; see {step.log}"
                )
            step.result(closing.strip("= ") + (f"; {plugins.told()}" if name in WITH_PLUGINS else ""))

    return Stage(name, work, needs)


def closing_lines(output: str) -> list[str]:
    """Pytest's summaries (`==== 3 passed in 0.1s ====`) in its output."""
    return [line for line in output.splitlines() if CLOSING_LINE.match(line)]


def _runs(argv: list[str | Path], *, show: bool = False) -> Callable[[Step], None]:
    def work(step: Step) -> None:
        step.run(argv, cwd=places.CHECKOUT, show=show)

    return work


def _plugins(lab: str) -> Callable[[Step], None]:
    def work(step: Step) -> None:
        home = places.pulumi_home(lab)
        home.mkdir(parents=True, exist_ok=True)
        step.result(plugins.ensure(home))

    return work
