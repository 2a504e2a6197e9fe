"""Floors hold for what all measured checks reach together, and of every file, imported or not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab.toolchain import coverage_floor, places

pytestmark = pytest.mark.unit

TWO_WAYS = "def which(way):\n    if way:\n        return 'left'\n    return 'right'\n"
"""Four lines and two branches."""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The data of two runs over a checkout of two parts, of which each run goes one way."""
    for name in ("COVERAGE_FILE", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    own = (places.CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    assert "include_namespace_packages = true" in own
    Path("pyproject.toml").write_text(
        "[tool.coverage.run]\nbranch = true\nsource = ['walked', 'left_alone']\n"
        "[tool.coverage.report]\ninclude_namespace_packages = true\n"
    )
    for part, text in (("walked", TWO_WAYS), ("left_alone", TWO_WAYS), ("elsewhere", TWO_WAYS)):
        Path(part, "deep").mkdir(parents=True)
        Path(part, "deep", "ways.py").write_text(text)
    made = []
    for way in (0, 1):
        file = tmp_path / f"data-{way}"
        words = f"from walked.deep.ways import which; which({way})"
        Path("go.py").write_text(f"import sys; sys.path.insert(0, '.')\n{words}\n")
        subprocess.run(
            [sys.executable, "-m", "coverage", "run", f"--data-file={file}", "go.py"],
            check=True,
            capture_output=True,
        )
        made.append(file)
    return made


def test_what_one_check_leaves_out_another_may_reach(
    data: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert coverage_floor.check(data, {"walked": 100}) == 0
    assert capsys.readouterr().out == "lines and branches reached: walked 100.0 %\n"
    assert coverage_floor.check(data[:1], {"walked": 100}) == 1
    assert coverage_floor.check(data, {"walked": 100}) == 0  # the data is still there


def test_a_file_that_no_test_imports_counts_as_not_reached(
    data: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert coverage_floor.check(data, {"walked": 100, "left_alone": 50}) == 1
    assert capsys.readouterr().out == (
        "Error: left_alone 0.0 % of lines and branches reached by tests, wanted >= 50 %; "
        "most is missing in left_alone/deep/ways.py 0.0 % (6).\n"
    )


def test_a_part_that_was_not_measured_is_below_its_floor(
    data: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert coverage_floor.check(data, {"elsewhere": 0}) == 1
    assert "elsewhere: nothing was measured" in capsys.readouterr().out


def test_without_the_data_of_a_check_there_is_no_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert coverage_floor.check([tmp_path / ".coverage-unit"], {}) == 1
    assert "not measured: " in capsys.readouterr().out
    assert coverage_floor.check([], {}) == 1


def test_the_files_named_are_those_where_most_is_missing() -> None:
    found = [
        coverage_floor.Reached(f"part/{name}.py", reached, of)
        for name, reached, of in (("small", 0, 1), ("whole", 9, 9), ("large", 900, 1000), ("half", 5, 10))
    ]
    of = coverage_floor.parts(found, ["part"])
    (said,) = coverage_floor.refusals(of, {"part": 90})
    # 914 of 1020 are not 90 %, and are not shown as 90.0 % either.
    assert said.startswith("part 89.6 % of lines and branches reached by tests, wanted >= 90 %;")
    assert said.endswith("part/large.py 90.0 % (100), part/half.py 50.0 % (5), part/small.py 0.0 % (1)")
    assert coverage_floor.refusals(of, {"part": 89}) == []


def test_a_share_just_below_a_floor_is_not_rounded_up_to_it() -> None:
    assert str(coverage_floor.Reached("part", 8999, 10000)) == "part 89.9 %"
    assert str(coverage_floor.Reached("nothing", 0, 0)) == "nothing 100.0 %"


def test_the_product_s_four_parts_have_floors() -> None:
    assert set(coverage_floor.FLOORS) == {"components", "operations", "settings", "images"}
