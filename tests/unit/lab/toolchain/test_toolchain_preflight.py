"""Preflight: a table of machines and what each of them is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.toolchain.preflight import Facts, dotted, gather, numbers, refusals, wanted_go

GOOD = Facts(
    system="Linux",
    machine="x86_64",
    root=True,
    python=(3, 11, 2),
    python_path="/usr/bin/python3",
    venv=True,
    go=(1, 26, 8),
    go_wanted=(1, 25, 8),
    go_needed=True,
    apt=True,
    tun=True,
    memory=23.5,
    disk=(("/root", 70.0),),
    disk_wanted=15,
)

BAD = {
    "another processor": (replace(GOOD, machine="aarch64"), ("aarch64", "x86-64 Linux machine")),
    "another system": (replace(GOOD, system="Darwin"), ("Darwin", "Debian 12")),
    "an old Python": (replace(GOOD, python=(3, 9, 2)), ("3.9.2", "make PYTHON=")),
    "not root": (replace(GOOD, root=False), ("not root", "sudo -E make")),
    "no apt": (replace(GOOD, apt=False), ("no apt-get", "Debian 12")),
    "no venv": (
        replace(GOOD, venv=False, python_path="/opt/py/bin/python3"),
        ("/opt/py/bin/python3", "ensurepip"),
    ),
    "no Go": (replace(GOOD, go=None), ("no `go` on PATH", "Go 1.25.8 or newer from https://go.dev/dl/")),
    "Debian's Go": (replace(GOOD, go=(1, 19, 8)), ("Go 1.19.8 is too old", "https://go.dev/dl/")),
    "no tun": (replace(GOOD, tun=False), ("/dev/net/tun", "modprobe tun")),
    "little memory": (replace(GOOD, memory=3.8), ("3.8 GiB of memory", "larger machine")),
    "little disk": (
        replace(GOOD, disk=(("/", 2.5), ("/big", 99.0))),
        ("/ has 2.5 GiB free", "XDG_CACHE_HOME"),
    ),
}


def test_a_machine_with_everything_is_refused_nothing() -> None:
    assert refusals(GOOD) == []


@pytest.mark.parametrize("name", BAD)
def test_a_missing_thing_is_one_sentence_with_its_remedy(name: str) -> None:
    facts, words = BAD[name]
    found = refusals(facts)
    assert len(found) == 1
    assert all(word in found[0] for word in words)
    assert found[0].endswith(".")


def test_everything_that_is_missing_is_said_at_once() -> None:
    assert len(refusals(replace(GOOD, root=False, go=None, tun=False, memory=1.0))) == 4


def test_go_is_not_asked_for_when_there_is_nothing_to_build() -> None:
    assert refusals(replace(GOOD, go=None, go_needed=False)) == []


def test_a_go_that_fetches_the_wanted_one_by_itself_will_do() -> None:
    assert refusals(replace(GOOD, go=(1, 21, 0))) == []


def test_debians_python_without_venv_gets_it_from_apt() -> None:
    assert refusals(replace(GOOD, venv=False)) == []


@pytest.mark.parametrize(
    ("text", "version"), [("go1.25.8", (1, 25, 8)), ("v3.245.0\n", (3, 245, 0)), ("devel", ()), ("", ())]
)
def test_the_number_in_a_version_text_is_found(text: str, version: tuple[int, ...]) -> None:
    assert numbers(text) == version


def test_the_wanted_go_is_what_the_module_asks_for() -> None:
    assert wanted_go() >= (1, 21)
    assert dotted((1, 25, 8)) == "1.25.8"


def test_this_machines_facts_can_be_gathered() -> None:
    facts = gather(go_needed=False)
    assert facts.memory > 0.1
    assert facts.disk
    assert facts.system == "Linux"
