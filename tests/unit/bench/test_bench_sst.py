"""What `bench.sst` makes of copies by two methods, and in which turns it takes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bench import report, sst
from bench.own_lab import BenchFailed
from bench.sst import METHODS, STOCK, Case, Copy
from harness import database_pair
from harness.database_pair import OWN, CopyFailed, Pair, Watched

pytestmark = pytest.mark.unit


def case(*seconds: tuple[float, float], megabytes: float = 100.0, tls: bool = False) -> Case:
    """Rounds of the own method's and the stock one's seconds."""
    rounds = [
        {OWN: Copy(Watched(own, own + 3), 60), STOCK: Copy(Watched(stock, stock + 3), 700)}
        for own, stock in seconds
    ]
    return Case(megabytes, tls, rounds)


def test_a_method_is_compared_with_the_other_one_of_its_own_round() -> None:
    # The machine was half as fast in the second one: nothing follows from that.
    found = case((10, 12), (20, 24), (10, 13))
    assert found.ratio == 1.2
    assert sst.table([found]) == [["100 MB", "10.0", "13.0", "1.20", "10", "8", "13.0", "16.0", "60", "700"]]
    assert len(sst.table([found])[0]) == len(sst.HEADINGS)


def test_the_stock_method_is_near_enough_up_to_one_and_a_half_times_in_each_case_by_itself() -> None:
    near, far = case((10, 15), megabytes=1000, tls=True), case((2, 12.5), megabytes=18)
    assert sst.verdict([near, far]) == (
        "The stock method takes at most 1.5 times as long with: 1000 MB, TLS. Longer with: 18 MB (6.25)."
    )
    assert sst.verdict([far]).startswith("The stock method takes at most 1.5 times as long with: none.")
    assert sst.verdict([near]).endswith("Longer with: none.")


def test_only_the_stock_method_has_to_be_told_that_it_is_to_encrypt() -> None:
    assert (
        sst.in_file(OWN, True)
        == sst.in_file(OWN, False)
        == "[mysqld]\nwsrep_sst_method = galera_node\n[sst]\n"
    )
    assert sst.in_file(STOCK, False) == "[mysqld]\nwsrep_sst_method = mariabackup\n[sst]\n"
    assert sst.in_file(STOCK, True).endswith("[sst]\nssl-mode = VERIFY_CA\n")


def test_what_a_copy_does_not_hold_is_no_part_of_its_size(tmp_path: Path) -> None:
    (tmp_path / "mysql").mkdir()
    for name, length in (("mysql/user.MAD", 3), ("ibdata1", 4), ("galera.cache", 100), ("ib_logfile0", 100)):
        (tmp_path / name).write_bytes(b"x" * length)
    assert sst.size(tmp_path) == 7


@dataclass
class FakePair:
    """A pair whose copies take as long as the test says, and what it was asked."""

    folder: Path
    took: dict[str, float]
    did: list[str] = field(default_factory=list)
    wrong: bool = False

    def __post_init__(self) -> None:
        self.donor, self.joiner = FakeNode("donor", self), FakeNode("joiner", self)

    def seed(self) -> None:
        self.did.append("seed")

    def start_donor(self, files: object = None, more: str = "") -> None:
        self.did.append(f"donor, TLS {files is not None}")

    def configure(self, container: object, files: object, more: str) -> None:
        assert container is self.donor

    def copy(self, files: object, more: str) -> Watched:
        method = next(each for each in METHODS if f"= {each}\n" in more)
        assert ("ssl-mode" in more) == (method == STOCK and files is not None)
        self.did.append(method)
        if method not in self.took:
            raise CopyFailed("the joiner is not Synced")
        return Watched(self.took[method], self.took[method] + 1)


@dataclass
class FakeNode:
    name: str
    pair: FakePair

    @property
    def volume(self) -> Path:
        return self.pair.folder

    def kill(self) -> None:
        pass

    def lose_volume(self) -> None:
        pass


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePair:
    made = FakePair(tmp_path, {OWN: 2.0, STOCK: 12.0})
    (tmp_path / "ibdata1").write_bytes(b"x" * 2_000_000)
    counts = {"donor": 0}

    def begun(node: FakeNode) -> int:
        counts["donor"] += 5
        return counts["donor"] if node is made.donor else 40

    def ask(node: FakeNode, statement: str) -> str:
        if "INSERT" in statement:
            made.did.append(statement.partition("TABLE ")[2].partition(" ")[0])
        return "2\t7" if not (made.wrong and node is made.joiner) else "1\t7"

    monkeypatch.setattr(database_pair, "begun", begun)
    monkeypatch.setattr(sst, "ask", ask)
    monkeypatch.setattr(sst, "certificate", lambda: cast(Any, "files"))
    return made


def test_each_size_is_copied_by_both_methods_in_turn_without_and_with_tls(pair: FakePair) -> None:
    found = list(sst.cases(cast(Pair, pair), [0, 400], 2))
    turns = [OWN, STOCK, STOCK, OWN]
    both = ["donor, TLS False", *turns, "donor, TLS True", *turns]
    fills = ["sbtest1", "sbtest2"]  # of a million rows at most
    assert pair.did == ["seed", "donor, TLS False", *both, "seed", "donor, TLS False", *fills, *both]
    assert [(each.name, len(each.rounds), each.ratio) for each in found] == [
        ("2 MB", 2, 6.0),
        ("2 MB, TLS", 2, 6.0),
    ] * 2
    assert found[0].of(OWN) == (2.0, 3.0, 45)


@pytest.mark.parametrize("fault", ["it never gets there", "it is another one"])
def test_a_copy_that_is_none_ends_the_bench(pair: FakePair, fault: str) -> None:
    if fault == "it is another one":
        pair.wrong = True
        said = "what galera_node has copied is not what the donor has"
    else:
        del pair.took[OWN]
        said = "galera_node: the joiner is not Synced"
    with pytest.raises(BenchFailed, match=said):
        list(sst.cases(cast(Pair, pair), [1], 1))


@pytest.mark.parametrize("words", [["--runs", "0"], ["--sizes", "-1"], ["--sizes"]])
def test_what_can_not_be_measured_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        sst.main(words)
    assert ended.value.code == 2


def test_the_document_has_a_place_for_it() -> None:
    assert "of a full copy" in report.replaced(report.DOCUMENT.read_text(), "sst", "of a full copy")
