"""The toolchain's parts: locks, packages, virtual environment, builds, plugins, jobs, the Makefile."""

from __future__ import annotations

import io
import itertools
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.toolchain import __main__ as driver
from lab.toolchain import build, jobs, locks, packages, places, plugins, preflight, virtualenv
from lab.toolchain.errors import ToolchainError
from lab.toolchain.stages import Step, Terminal
from tests.conftest import pytest_collection_modifyitems

REQUIREMENTS = places.CHECKOUT / "requirements.txt"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cache and state folders of the test's own, no pulumi on PATH, no plugins of the user's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PULUMI_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path


def put(path: Path, text: str = "", mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


# -- locks


def test_a_second_holder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "a" / "lab.lock"
    with locks.held(path, "make up", refusal="{holder} is at work"):
        second = locks.held(path, "make down", refusal="{holder} is at work")
        with pytest.raises(ToolchainError, match=rf"make up, process {os.getpid()} is at work"):
            second.__enter__()
    with locks.held(path, "make down", refusal="never"):
        assert "make down" in path.read_text(encoding="utf-8")


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lab.lock"
    code = (
        "import os, signal; from pathlib import Path; from lab.toolchain import locks\n"
        f"with locks.held(Path({str(path)!r}), 'x', refusal=''): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=places.CHECKOUT, check=False)
    with locks.held(path, "make up", refusal="{holder}"):
        pass


def test_who_waits_for_a_lock_is_told_for_whom(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def waiting(who: str) -> None:
        raise Enough(who)

    path = tmp_path / "build.lock"
    second = locks.waited_for(path, "the second", waiting)
    with locks.held(path, "the first", refusal=""), pytest.raises(Enough, match="the first"):
        second.__enter__()


# -- packages


def test_only_packages_that_are_not_fully_installed_are_missing() -> None:
    says = "buildah install ok installed\nskopeo deinstall ok config-files\niproute2 install ok unpacked\n"
    assert packages.missing(["buildah", "skopeo", "iproute2", "mmdebstrap"], says) == [
        "skopeo",
        "iproute2",
        "mmdebstrap",
    ]


def test_a_test_may_have_packages_of_its_own_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    monkeypatch.setattr(packages, "_dpkg_says", lambda: "fonts-dejavu-core install ok installed\n")
    step = Step("browser", tmp_path / "log", Terminal(io.StringIO()))
    monkeypatch.setattr(step, "run", lambda argv, **_: ran.append([str(word) for word in argv]))
    packages.install(step, ["fonts-dejavu-core"])
    assert (ran, step.note) == ([], "all there")
    packages.install(step, ["chromium", "fonts-dejavu-core"])
    assert [words[-3:] for words in ran if "install" in words] == [
        ["--yes", "--no-install-recommends", "chromium"]
    ]
    assert step.note == "1 installed"


def test_every_package_in_the_list_has_a_reason() -> None:
    lines = [
        line for line in packages.LIST.read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    assert len(lines) == len(packages.wanted()) == len(set(packages.wanted()))
    assert all(len(line.split()) > 2 for line in lines)


# -- virtual environment


def test_the_environment_is_made_anew_only_for_other_requirements_or_another_place(tmp_path: Path) -> None:
    put(tmp_path / virtualenv.LOCK, "pulumi==3.245.0\n")
    first = virtualenv.key(tmp_path)
    assert virtualenv.key(tmp_path) == first
    put(tmp_path / virtualenv.LOCK, "pulumi==3.246.0\n")
    assert virtualenv.key(tmp_path) != first


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_lock_file_holds_what_the_requirements_pin_with_hashes(name: str) -> None:
    """If this fails: `make lock`."""
    text = (places.CHECKOUT / f"{name}.txt").read_text(encoding="utf-8")
    pins = {line.split()[0].lower() for line in text.splitlines() if "==" in line.partition("#")[0]}
    locked = (places.CHECKOUT / f"{name}.lock").read_text(encoding="utf-8")
    entries = re.findall(r"^([^\s#]+==[^\s;]+)[^\n]*\\\n +--hash=sha256:", locked, re.MULTILINE)
    assert pins
    assert pins <= set(entries)
    # Nothing is there without a hash.
    assert len(entries) == len(re.findall(r"^[^\s#]", locked, re.MULTILINE))


# -- builds


def test_the_built_pulumi_is_the_one_whose_sdk_is_pinned() -> None:
    assert f"pulumi=={build.version()}" in REQUIREMENTS.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("module", "package"), [(build.CLI_MODULE, build.CLI_PACKAGE), (build.HOST_MODULE, build.HOST_PACKAGE)]
)
def test_each_module_names_the_program_it_is_for_and_has_its_checksums(module: Path, package: str) -> None:
    assert f"\ntool {package}\n" in (module / "go.mod").read_text(encoding="utf-8")
    sums = (module / "go.sum").read_text(encoding="utf-8")
    assert re.search(r"^github\.com/pulumi/pulumi/sdk/v3 v\S+ h1:", sums, re.MULTILINE)


@pytest.mark.parametrize(
    ("said", "suitable"),
    [("v3.245.0\n", True), ("v3.272.1", True), ("v3.244.9", False), ("v4.0.0", False), ("", False)],
)
def test_an_installed_pulumi_must_be_of_the_line_and_not_older(said: str, suitable: bool) -> None:
    assert build.suits(said, "3.245.0") is suitable


def test_an_installed_pulumi_with_its_language_host_is_used(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = home / "usr"
    put(there / "pulumi", "#!/bin/sh\necho v3.999.0\n")
    monkeypatch.setenv("PATH", f"{there}:/usr/bin:/bin")
    assert build.bin_folder() is None
    put(there / "pulumi-language-python", "#!/bin/sh\n")
    assert build.bin_folder() == there
    assert [stage.name for stage in jobs.toolchain()] == ["toolchain"]


def test_a_toolchain_that_lacks_a_program_is_not_there(home: Path) -> None:
    folder = build.home() / build.key() / "bin"
    for program in build.PROGRAMS:
        assert build.built() is None
        put(folder / program)
    assert build.built() == folder
    assert not build.needed()


def test_another_pinned_dependency_makes_another_toolchain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = build.key()
    copy = tmp_path / "pulumi"
    shutil.copytree(build.CLI_MODULE, copy)
    monkeypatch.setattr(build, "CLI_MODULE", copy)
    assert build.key() == before
    with (copy / "go.sum").open("a", encoding="utf-8") as sums:
        sums.write("example.com/x v1.0.0 h1:AAAA=\n")
    assert build.key() != before


# -- plugins


def test_plugins_are_of_the_versions_that_the_python_packages_ask_for() -> None:
    found = plugins.plugins("pulumi-command==1.2.1   # why\npulumi-docker==5.2.0\n")
    assert [(each.name, each.version) for each in found] == [("command", "1.2.1"), ("docker", "5.2.0")]


def test_a_requirement_without_a_pin_is_refused() -> None:
    with pytest.raises(ToolchainError, match="does not pin pulumi-docker"):
        plugins.plugins("pulumi-command==1.2.1\npulumi-docker>=5\n")


def test_the_archive_holds_one_executable_launcher() -> None:
    plugin = plugins.Plugin("command", "1.2.1")
    script = plugins.launcher(plugin, Path("/a b/checkout"))
    assert "PYTHONPATH='/a b/checkout' exec '/a b/checkout/.venv/bin/python' -m lab.plugins.command" in script
    with tarfile.open(fileobj=io.BytesIO(plugins.tarball(plugin, script))) as archive:
        (entry,) = archive.getmembers()
    assert (entry.name, entry.mode) == ("pulumi-resource-command", 0o755)


# Does of `pulumi plugin install` what the installation relies on, and counts.
FAKE_PULUMI = """#!/bin/sh
echo "$3 $4 $5" >> "$PULUMI_HOME/calls"
[ "$6" = "--reinstall" ] || exit 1
folder="$PULUMI_HOME/plugins/resource-$4-v$5"
mkdir -p "$folder" && tar -xzf "$8" -C "$folder"
"""


@pytest.fixture
def built(home: Path) -> Path:
    folder = build.home() / build.key() / "bin"
    for program in build.PROGRAMS:
        put(folder / program, FAKE_PULUMI)
    return folder


def test_plugins_are_installed_once_and_again_when_their_launcher_changes(
    home: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulumi_home = home / "pulumi-home"
    pulumi_home.mkdir()
    assert "command 1.2.1 (of the lab)" in plugins.ensure(pulumi_home)
    plugins.ensure(pulumi_home)
    calls = pulumi_home / "calls"
    assert calls.read_text(encoding="utf-8").splitlines() == [
        "resource command 1.2.1",
        "resource docker 5.2.0",
    ]
    monkeypatch.setattr(plugins, "launcher", lambda plugin: f"#!/bin/sh\n# new {plugin.name}\n")
    plugins.ensure(pulumi_home)
    assert len(calls.read_text(encoding="utf-8").splitlines()) == 4
    program = pulumi_home / "plugins" / "resource-docker-v5.2.0" / "pulumi-resource-docker"
    assert "new docker" in program.read_text(encoding="utf-8")


def test_a_users_official_plugins_are_taken_and_given_up_when_they_are_gone(
    home: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users, pulumi_home = home / "users", home / "pulumi-home"
    pulumi_home.mkdir()
    monkeypatch.setenv("PULUMI_HOME", str(users))
    assert plugins.told() == "command 1.2.1 (of the lab), docker 5.2.0 (of the lab)"
    official = users / "plugins" / "resource-docker-v5.2.0" / "pulumi-resource-docker"
    taken = pulumi_home / "plugins" / "resource-docker-v5.2.0" / "pulumi-resource-docker"
    for text in ("#!/bin/sh\n# official\n", "#!/bin/sh\n# official, of another build\n"):
        put(official, text)
        assert plugins.told() == "command 1.2.1 (of the lab), docker 5.2.0 (official)"
        assert plugins.ensure(pulumi_home) == plugins.told()
        assert taken.read_text(encoding="utf-8") == text
    official.unlink()
    assert plugins.ensure(pulumi_home) == "command 1.2.1 (of the lab), docker 5.2.0 (of the lab)"
    assert "lab.plugins.docker" in taken.read_text(encoding="utf-8")


def test_a_labs_own_plugins_are_not_taken_for_a_users(
    home: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside a lab, PULUMI_HOME is the lab's."""
    pulumi_home = home / "pulumi-home"
    pulumi_home.mkdir()
    monkeypatch.setenv("PULUMI_HOME", str(pulumi_home))
    for _ in range(2):
        assert "docker 5.2.0 (of the lab)" in plugins.ensure(pulumi_home)


def test_plugins_without_a_toolchain_are_refused_with_the_remedy(home: Path) -> None:
    with pytest.raises(ToolchainError, match="make toolchain"):
        plugins.ensure(home)


# -- jobs and the driver


def test_a_lab_waits_for_packages_and_pulumi_for_everything(home: Path) -> None:
    needs = {stage.name: set(stage.needs) for stage in jobs.up("dev", "dev")}
    assert next(iter(needs)) == "pulumi CLI"  # the longest starts first
    assert needs["lab"] == {"packages", "venv"}
    assert needs["plugins"] >= {"toolchain", "venv"}
    assert list(needs)[-1] == "pulumi up"


@pytest.mark.parametrize(("outages", "hosts"), [(False, "lab-test"), (True, "lab-and-outage-test")])
def test_the_tests_on_hosts_run_beside_others_but_not_those_of_the_plugins(
    home: Path, outages: bool, hosts: str
) -> None:
    needs = {stage.name: stage.needs for stage in jobs.test(outages=outages)}
    before: dict[str, set[str]] = {}
    for name, needed in needs.items():
        before[name] = {name}.union(*(before[need] for need in needed))
    checks = [name for name in needs if name in jobs.CHECKS]
    assert sorted(checks) == sorted({*jobs.IN_TEST, hosts} - ({"lab-test"} if outages else set()))
    assert not any(hosts in before[name] for name in checks if name != hosts)
    for lane in (["plugin-test", hosts], ["plugin-test", "unit", "provider", "image-test"]):
        for earlier, later in itertools.pairwise(lane):
            assert earlier in before[later], (earlier, later)


def test_building_pulumi_waits_for_nothing_and_what_can_runs_beside_it(home: Path) -> None:
    stages = {stage.name: stage.needs for stage in jobs.test(outages=False)}
    assert next(iter(stages)) == "pulumi CLI"
    assert stages["pulumi CLI"] == ()

    def needed(name: str) -> set[str]:
        return {name}.union(*(needed(need) for need in stages[name]))

    for name in ("packages", "venv", "lab cache", "lint", "type"):
        assert "pulumi CLI" not in needed(name), name


def test_one_cluster_goes_through_the_whole_job_then_outages_then_its_end() -> None:
    """Nothing of either check is left out, and what ends the cluster is the last of each."""
    both, job, outages = (
        [word for words in jobs.CHECKS[name] for word in words if word.startswith("tests/")]
        for name in ("lab-and-outage-test", "lab-test", "outage-test")
    )
    assert job[-1] == outages[-1] == "tests/lab/test_end.py"
    assert both == [*job[:-1], *outages]


@pytest.mark.parametrize("name", jobs.CHECKS)
def test_a_check_brings_with_it_what_it_needs(home: Path, name: str) -> None:
    stages = jobs.one_check(name)
    assert stages[-1].name == name
    assert set(stages[-1].needs) == set(jobs.NEEDS[name])
    assert set(jobs.NEEDS[name]) <= {stage.name for stage in stages}
    with_pulumi = {"provider", "plugin-test", "lab-test", *jobs.APART} - {"backup-test", "consul-test"}
    assert ("toolchain" in jobs.NEEDS[name]) is (name in with_pulumi)


def test_the_floors_are_held_against_what_this_run_has_measured(home: Path) -> None:
    """Each measuring check writes to a file of its own, one after the other, and no other check does."""
    stages = {stage.name: set(stage.needs) for stage in jobs.one_check("coverage")}
    assert [name for name in stages if name in jobs.CHECKS] == ["unit", "provider", "coverage"]
    assert {"pulumi CLI", "toolchain"} <= set(stages)
    assert "unit" in stages["provider"]
    assert set(jobs.NEEDS["coverage"]) >= {"unit", "provider"}
    assert {name for name, commands in jobs.CHECKS.items() if "--cov" in commands[0]} == set(jobs.MEASURED)
    (floors,) = jobs.CHECKS["coverage"]
    assert floors[1:] == tuple(map(str, jobs.MEASURED.values()))
    assert len(set(floors[1:])) == 2


def test_a_measuring_check_is_told_where_its_data_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: dict[str, Any] = {}

    class Told(Step):
        def run(self, argv: Any, **words: Any) -> int:
            given[self.name] = words["env"]
            self.activity = "lines and branches reached: all"
            return 0

    notes = {}
    for name in ("unit", "coverage"):
        (tmp_path / f"{name}.log").touch()
        step = Told(name, tmp_path / f"{name}.log", Terminal(io.StringIO()))
        jobs.check(name, ()).work(step)
        notes[name] = step.note
    assert given == {"unit": {"COVERAGE_FILE": str(jobs.MEASURED["unit"])}, "coverage": None}
    assert notes == {"unit": "", "coverage": "lines and branches reached: all"}


def test_files_that_take_long_begin_first_and_the_others_keep_their_order() -> None:
    names = ["quick", "long", "short", "slow"]
    items: list[Any] = [SimpleNamespace(name=name, get_closest_marker=_marked(name)) for name in names]
    pytest_collection_modifyitems(items)
    assert [item.name for item in items] == ["long", "slow", "quick", "short"]


def _marked(name: str) -> Callable[[str], object]:
    return lambda marker: marker if marker == "first" and name in {"long", "slow"} else None


def test_every_test_is_run_by_one_check() -> None:
    """Those of the images by two, each with what rests on the other store (tests/images/conftest.py).

    Left out: the check that consists of two others, and the end that comes after each story on hosts.
    """
    checks = (commands for name, commands in jobs.CHECKS.items() if name != "lab-and-outage-test")
    tests = [words for commands in checks for words in commands if words[0] == "pytest"]
    parts = [words[words.index("--store") + 1] for words in tests if "tests/images" in words]
    assert sorted(parts) == ["consul", "etcd"]
    run = [word for words in tests for word in words if "consul" not in words]
    apart = {word.removeprefix("--ignore=") for word in run if word.startswith("--ignore=")}
    for file in (places.CHECKOUT / "tests").rglob("test_*.py"):
        within = file.relative_to(places.CHECKOUT)
        ways = {str(way) for way in (within, *within.parents)}
        times = sum(word in ways for word in run) - len(apart & ways)
        assert times == (5 if file.name == "test_end.py" else 1), file


def test_pytests_closing_line_is_found_among_other_output() -> None:
    output = "collected 3 items\n==== FAILURES ====\n===== 1 failed, 2 passed in 0.12s =====\nbye\n"
    assert jobs.closing_lines(output) == ["===== 1 failed, 2 passed in 0.12s ====="]
    assert jobs.closing_lines("==== 3 passed, 1 warning in 83.10s (0:01:23) ====") != []


def test_a_machine_that_will_not_do_is_refused_before_anything_is_changed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "TUN", home / "no-tun")
    assert driver.main(["up"]) == 1
    said = capsys.readouterr().err
    assert "nothing was changed" in said
    assert "modprobe tun" in said
    assert list(home.iterdir()) == []


def test_a_second_up_is_refused_while_one_runs(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "refusals", lambda _facts: [])
    lock = places.state() / "locks" / "lab-dev.lock"
    with locks.held(lock, "make up", refusal=""):
        assert driver.main(["up", "--lab", "dev"]) == 1
    assert f"make up, process {os.getpid()} is at work on lab dev" in capsys.readouterr().err


def test_down_becomes_the_labs_own_command_which_takes_the_lock(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _program, words: became.append(words))
    monkeypatch.chdir(home)
    assert driver.main(["down", "--lab", "x"]) == 0
    assert became == [[str(places.VENV_PYTHON), "-m", "lab", "down", "--name", "x"]]


def test_a_lab_that_is_not_there_cannot_be_operated_on(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert driver.main(["operations", "--lab", "nowhere", "--", "verify"]) == 1
    assert "run `make up`" in capsys.readouterr().err


def test_the_cache_stays_while_a_lab_uses_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places.lab_folder("dev").mkdir(parents=True)
    places.cache().mkdir(parents=True)
    assert driver.main(["clean-cache"]) == 1
    assert "make down" in capsys.readouterr().err
    assert places.cache().exists()
    places.lab_folder("dev").rmdir()
    assert driver.main(["clean-cache"]) == 0
    assert not places.cache().exists()


@pytest.fixture
def mounted(home: Path) -> Iterator[Path]:
    """A folder of the cache with something mounted on it, as buildah leaves it."""
    point = places.cache() / "images" / "a storage"
    point.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(point)], check=True)
    (point / "file").touch()
    yield point
    subprocess.run(["umount", "-q", str(point)], check=False)


def test_the_cache_goes_with_what_is_mounted_in_it(mounted: Path) -> None:
    assert driver.main(["clean-cache"]) == 0
    assert not places.cache().exists()


def test_a_cache_in_use_stays_whole_and_says_so(mounted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (mounted / "file").open():
        assert driver.main(["clean-cache"]) == 1
    assert f"{mounted}: target is busy" in capsys.readouterr().err
    assert (mounted / "file").exists()


def test_make_help_lists_every_target() -> None:
    makefile = (places.CHECKOUT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    assert phony is not None
    shown = subprocess.run(
        ["make", "help"], cwd=places.CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    for target in phony.group(1).replace("\\", " ").split():
        assert re.search(rf"\b{target}\b", shown), target


def planned(folder: Path, *words: str) -> list[str]:
    """What `make` would run for targets there."""
    shutil.copy(places.CHECKOUT / "Makefile", folder)
    shown = subprocess.run(
        ["make", "--no-print-directory", "-n", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [" ".join(line.split()) for line in shown.splitlines()]


TARGETS = ("up", "verify", "audit", "preview", "refresh", "destroy")


def test_operations_run_inside_the_lab(tmp_path: Path) -> None:
    (tmp_path / "lab" / "toolchain").mkdir(parents=True)
    inside = "python3 -m lab.toolchain operations --lab dev --stack x --"
    assert planned(tmp_path, *TARGETS, "STACK=x") == [
        "python3 -m lab.toolchain up --lab dev --stack x",
        *(f"{inside} {words}" for words in ("verify", "audit", "preview", "refresh", "destroy --yes")),
    ]
    assert planned(tmp_path, "refresh", "STACK=x", "YES=1") == [f"{inside} refresh --yes"]


def test_without_the_lab_the_same_targets_work_on_an_account_and_ask_first(tmp_path: Path) -> None:
    assert planned(tmp_path, *TARGETS, "STACK=x") == [
        f"python3 -m operations {target} --stack x" for target in TARGETS
    ]
    put(tmp_path / ".venv/bin/python", "")
    assert planned(tmp_path, "destroy", "STACK=x", "YES=1") == [
        ".venv/bin/python -m operations destroy --yes --stack x"
    ]


def test_a_skipped_test_fails_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(
        tmp_path / "test_x.py",
        "import pytest\n\n@pytest.mark.skip\ndef test_a():\n    pass\n\ndef test_b():\n    pass\n",
    )
    monkeypatch.setitem(jobs.CHECKS, "unit", (("pytest", "--rootdir", str(tmp_path), str(tmp_path)),))
    step = Step("unit", tmp_path / "unit.log", Terminal(io.StringIO()))
    with pytest.raises(ToolchainError, match=r"1 skipped.*what cannot run must fail"):
        jobs.check("unit", ()).work(step)


def test_what_comes_after_a_command_that_failed_is_run_too_and_all_failures_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} has failed')\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(jobs.CHECKS, "lint", (("first",), ("second",)))
    step = Step("lint", tmp_path / "lint.log", Terminal(io.StringIO()))
    with pytest.raises(ToolchainError, match=r"(?s)first has failed.*second has failed"):
        jobs.check("lint", ()).work(step)
