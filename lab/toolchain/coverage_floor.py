"""What tests reach of the product's lines and branches: `python -m lab.toolchain.coverage_floor DATA…`.

Owned here: the floors of the product's parts, for the data of all measured checks together. Left to others:
the measuring (`jobs.py`; `pyproject.toml`, which also says what does not count).
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coverage import Coverage

# The images' is lower since they have backup and restore: what loads, streams and starts scratch servers is
# tested with real ones (tests/images), which is not measured.
FLOORS = {"components": 95, "operations": 91, "settings": 97, "images": 89}
NAMED = 5  # files named with a part that is below its floor


@dataclass(frozen=True)
class Reached:
    """How many lines and branches of a file or a part there are, and how many of them tests reach."""

    name: str
    reached: int
    of: int

    @property
    def percent(self) -> float:
        """The share; of nothing all is reached."""
        return 100 * self.reached / self.of if self.of else 100.0

    @property
    def missing(self) -> int:
        """How many are not reached."""
        return self.of - self.reached

    def __str__(self) -> str:
        # Rounded down: what is below a floor is not shown as the floor.
        return f"{self.name} {int(self.percent * 10) / 10} %"


def files(data: Sequence[Path]) -> list[Reached]:
    """What all the data together says of each file, also of those that no test has imported.

    Paths are those below the present folder, whose `pyproject.toml` is followed. The data stays as it is.
    """
    with tempfile.TemporaryDirectory() as folder:
        together, report = Path(folder) / "data", Path(folder) / "report.json"
        measured = Coverage(data_file=str(together))
        measured.combine([str(path) for path in data], strict=True, keep=True)
        measured.json_report(outfile=str(report))
        found = json.loads(report.read_text(encoding="utf-8"))["files"]
    return [
        Reached(
            name,
            told["covered_lines"] + told["covered_branches"],
            told["num_statements"] + told["num_branches"],
        )
        for name, told in ((name, each["summary"]) for name, each in found.items())
    ]


def parts(found: Sequence[Reached], names: Sequence[str]) -> dict[str, list[Reached]]:
    """The files of each part, those first of which most is not reached."""
    inside = {name: [file for file in found if file.name.startswith(f"{name}/")] for name in names}
    return {name: sorted(of, key=lambda file: (-file.missing, file.name)) for name, of in inside.items()}


def refusals(of: Mapping[str, list[Reached]], floors: Mapping[str, int]) -> list[str]:
    """What is below its floor: how much is reached, and where most is missing."""
    said = []
    for name, floor in floors.items():
        if not of[name]:
            said.append(f"{name}: nothing was measured")
        elif (whole := together(name, of[name])).percent < floor:
            where = ", ".join(f"{file} ({file.missing})" for file in of[name][:NAMED] if file.missing)
            said.append(
                f"{whole} of lines and branches reached by tests, wanted >= {floor} %; "
                f"most is missing in {where}"
            )
    return said


def together(name: str, of: Sequence[Reached]) -> Reached:
    """All the files as one."""
    return Reached(name, sum(file.reached for file in of), sum(file.of for file in of))


def check(data: Sequence[Path], floors: Mapping[str, int]) -> int:
    """Print what is reached of each part; the exit code: 0 only if no part is below its floor."""
    absent = [str(path) for path in data if not path.exists()]
    if absent or not data:
        print(f"Error: not measured: {', '.join(absent) or 'nothing is named'}; `make coverage` does it all.")
        return 1
    of = parts(files(data), list(floors))
    below = refusals(of, floors)
    for refusal in below:
        print(f"Error: {refusal}.")
    if below:
        return 1
    print("lines and branches reached: " + ", ".join(str(together(name, of[name])) for name in floors))
    return 0


if __name__ == "__main__":
    sys.exit(check([Path(word) for word in sys.argv[1:]], FLOORS))
