"""The prologue of every script: strictness, progress, files written once, one run of a step at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.host_scripts.shell import alone, assign
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
