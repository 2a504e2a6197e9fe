"""The prologue of every script: strictness, progress, files written once, one run of a step at a time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.host_scripts import shell
from components.host_scripts.shell import MARK, alone, assign, body, words
from operations.remote_hosts import SCRIPTS
from tests.unit.fake_host import FakeHost

pytestmark = pytest.mark.unit


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path / "host")


def test_a_failing_command_ends_the_script(host: FakeHost) -> None:
    ran = host.run("false\nsay never")
    assert ran.code == 1
    assert "never" not in ran.err


def test_an_unset_variable_ends_the_script(host: FakeHost) -> None:
    assert host.run('say "$nothing"').code != 0


def test_a_failing_part_of_a_pipe_ends_the_script(host: FakeHost) -> None:
    assert host.run("false | true\nsay never").code == 1


def test_messages_do_not_mix_with_results(host: FakeHost) -> None:
    ran = host.run("say message\nprintf 'result\\n'")
    assert (ran.out, ran.err) == ("result\n", "message\n")


@pytest.mark.parametrize("value", ["plain", "two words", "it's", "$HOME", "a\nb", "", "*"])
def test_values_reach_the_script_as_they_are(host: FakeHost, value: str) -> None:
    assert host.run(f"{assign(value=value)}\nprintf '%s' \"$value\"").out == value


def test_lists_become_arrays(host: FakeHost) -> None:
    ran = host.run(f"{assign(values=['a b', '$c', ''])}\nprintf '<%s>' \"${{values[@]}}\"")
    assert ran.out == "<a b><$c><>"


def test_a_file_is_written_when_it_differs_and_left_alone_when_not(host: FakeHost) -> None:
    target = host.folder / "etc/new/file"
    text = f"write_file {target} 'two\nlines'\nprintf '%s' \"$changed\""
    assert host.run(text).out == "1"
    assert target.read_text() == "two\nlines\n"
    inode = target.stat().st_ino
    assert host.run(text).out == "0"
    assert target.stat().st_ino == inode


def test_a_patient_command_keeps_quiet_when_it_works(host: FakeHost) -> None:
    ran = host.run("patiently 'doing it' bash -c 'echo lots; exit 0'\nsay done")
    assert (ran.code, ran.err) == (0, "done\n")


def test_a_patient_command_that_fails_shows_its_log_and_its_code(host: FakeHost) -> None:
    ran = host.run("patiently 'doing it' bash -c 'echo why; exit 7' || { say \"code $?\"; exit 3; }")
    assert (ran.code, ran.err) == (3, "why\ncode 7\n")


def test_a_step_waits_for_an_earlier_run_of_itself_only(host: FakeHost) -> None:
    # The first run holds its lock until it has seen that another step is not kept waiting.
    folder = host.folder / "locks"
    text = f"""
({alone("one", str(folder))}
: >"{host.folder}/held"
until [[ -e "{host.folder}/other" ]]; do sleep 0.05; done
printf 'first ') &
until [[ -e "{host.folder}/held" ]]; do sleep 0.05; done
({alone("two", str(folder))}
: >"{host.folder}/other")
({alone("one", str(folder))}
printf 'second')
wait
"""
    ran = host.run(text)
    assert ran.code == 0, ran.err
    assert ran.out == "first second"


def test_what_only_shellcheck_reads_does_not_reach_a_host(tmp_path: Path) -> None:
    (tmp_path / "one.sh").write_text(f'# shellcheck shell=bash\nname=fact\n{MARK}\n# why\nsay "$name"\n')
    assert body("one", tmp_path) == '# why\nsay "$name"'


def test_a_file_that_does_not_tell_the_two_parts_apart_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.sh").write_text("# shellcheck shell=bash\nsay done\n")
    with pytest.raises(ValueError, match="has no line"):
        body("one", tmp_path)


def test_placeholders_are_words_or_lines(tmp_path: Path) -> None:
    (tmp_path / "one.sh").write_text(f"# x\n{MARK}\nfor each in @each@; do\n# @lines@\ndone; echo @each@\n")
    text = body("one", tmp_path, each=words(["a", "b c"]), lines="  say @each@")
    assert text == "for each in a 'b c'; do\n  say @each@\ndone; echo a 'b c'"


@pytest.mark.parametrize("given", [{}, {"each": "a", "other": "b"}, {"other": "b"}])
def test_a_placeholder_without_its_text_is_refused_and_the_other_way_round(
    tmp_path: Path, given: dict[str, str]
) -> None:
    (tmp_path / "one.sh").write_text(f"# x\n{MARK}\necho @each@\n")
    with pytest.raises(ValueError, match=r"\['each'\]"):
        body("one", tmp_path, **given)


FILES = sorted([*Path(shell.__file__).parent.glob("*.sh"), *SCRIPTS.glob("*.sh")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_shellcheck_is_told_is_facts_and_files_only(file: Path) -> None:
    head, mark, text = file.read_text().partition(f"{MARK}\n")
    assert mark
    assert text.strip()
    fact = r"[a-z_]+=(fact|1|\(fact fact\))"
    allowed = re.compile(rf"#.*|\. [a-z_]+\.sh|{fact}( {fact})*")
    assert [line for line in head.splitlines() if not allowed.fullmatch(line)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_directive_of_shellcheck_has_its_reason(file: Path) -> None:
    lines = file.read_text().splitlines()
    reasons = " ".join(line for line in lines if line.startswith("# ") and "shellcheck" not in line)
    for line in lines:
        if line.startswith("# shellcheck disable="):
            assert all(f"{code}:" in reasons for code in line.partition("=")[2].split(",")), line
