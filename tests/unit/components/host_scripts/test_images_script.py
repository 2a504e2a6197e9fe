"""Fetching images and pinning them: what a host is asked, what is printed, and what is said when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.host_scripts import images
from tests.unit.fake_host import FakeHost

pytestmark = pytest.mark.unit

DIGEST = f"sha256:{'ab' * 32}"
DOCKER = r"""
case "$1 $2" in
  "image inspect") grep -qxF "$3" "$host/there" 2>/dev/null ;;
  "pull "*)
    n=$(( $(cat "$host/pulls" 2>/dev/null || echo 0) + 1 )); echo $n >"$host/pulls"
    if (( n <= $(cat "$host/failures" 2>/dev/null || echo 0) )); then
      cat "$host/words" 2>/dev/null || echo "Get https://registry/v2/: no such host"
      exit 1
    fi
    printf '%s\n' "1: Pulling from a" "Digest: $(cat "$host/digest")" "Status: Downloaded newer image" ;;
esac
"""


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path / "host")
    host.program("docker", DOCKER)
    host.program("sleep")
    host.file("digest", DIGEST)
    return host


def pulled(calls: list[str]) -> list[str]:
    return [call.split()[-1] for call in calls if call.startswith("docker pull")]


def test_a_tag_is_resolved_to_the_content_that_was_fetched(host: FakeHost) -> None:
    ran = host.run(images.resolved("registry/a:1"))
    assert ran.code == 0, ran.err
    assert ran.out == f"registry/a:1@{DIGEST}\n"
    assert pulled(ran.calls) == ["registry/a:1"]


@pytest.mark.parametrize("name", ["registry/a", "registry/a:1"])
def test_a_digest_is_fetched_and_stays_as_it_is(host: FakeHost, name: str) -> None:
    given = f"{name}@sha256:{'cd' * 32}"
    ran = host.run(images.resolved(given))
    assert ran.out == f"{given}\n"
    assert pulled(ran.calls) == [given]


@pytest.mark.parametrize(
    ("written", "familiar"),
    [
        ("docker.io/library/redis:7", "redis:7"),
        ("docker.io/acme/galera:1", "acme/galera:1"),
        ("index.docker.io/acme/galera:1", "acme/galera:1"),
        ("registry.example.com/docker.io/a:1", "registry.example.com/docker.io/a:1"),
        ("registry.lab:5000/library/a:1", "registry.lab:5000/library/a:1"),
    ],
)
def test_references_are_written_as_engines_write_them(host: FakeHost, written: str, familiar: str) -> None:
    assert images.familiar(written) == familiar
    assert host.run(images.resolved(written)).out == f"{familiar}@{DIGEST}\n"


def test_an_image_that_can_be_had_at_the_third_try_is_fetched(host: FakeHost) -> None:
    host.file("failures", "2")
    ran = host.run(images.resolved("registry/a:1"))
    assert ran.out == f"registry/a:1@{DIGEST}\n"
    assert pulled(ran.calls) == ["registry/a:1"] * 3


def test_a_registry_that_does_not_answer_is_one_error_with_the_engines_words(host: FakeHost) -> None:
    host.file("failures", "9")
    ran = host.run(images.resolved("registry/a:1"))
    assert (ran.code, ran.out) == (1, "")
    assert "no such host" in ran.err
    assert (
        "error: galera-1 could not fetch registry/a:1 (see above). No service was changed. Remedy: "
        in ran.err
    )


@pytest.mark.parametrize(
    "words",
    [
        "manifest for registry/a@sha256:cd not found: manifest unknown: manifest unknown",
        "manifest for registry/a:1 not found: manifest unknown: manifest unknown",
        "pull access denied for a, repository does not exist or may require 'docker login': denied",
    ],
)
def test_what_the_registry_lacks_is_said_at_once_with_a_remedy(host: FakeHost, words: str) -> None:
    host.file("failures", "9")
    host.file("words", f"Error response from daemon: {words}\n")
    ran = host.run(images.resolved("registry/a:1"))
    assert (ran.code, ran.out) == (1, "")
    assert len(pulled(ran.calls)) == 1
    assert ran.err.count("error: the registry has no registry/a:1") == 1
    assert "Remedy: give a tag or digest that it has" in ran.err


def test_a_registry_that_names_no_digest_is_refused(host: FakeHost) -> None:
    host.file("digest", "")
    ran = host.run(images.resolved("registry/a:1"))
    assert (ran.code, ran.out) == (1, "")
    assert "named no digest of registry/a:1" in ran.err


def test_a_host_fetches_what_it_lacks_and_asks_no_registry_for_what_it_has(host: FakeHost) -> None:
    has, lacks = f"registry/a:1@{DIGEST}", f"registry/b:2@{DIGEST}"
    host.file("there", f"{has}\n")
    ran = host.run(images.present("galera-2"), stdin=f"{has}\n{lacks}\n")
    assert ran.code == 0, ran.err
    assert pulled(ran.calls) == [lacks]
    host.file("there", f"{has}\n{lacks}\n")
    assert pulled(host.run(images.present("galera-2"), stdin=f"{has}\n{lacks}\n").calls) == []


def test_a_host_that_cannot_have_the_content_says_so(host: FakeHost) -> None:
    host.file("failures", "9")
    ran = host.run(images.present("galera-2"), stdin=f"registry/a:1@{DIGEST}\n")
    assert ran.code == 1
    assert f"galera-2 could not fetch registry/a:1@{DIGEST}" in ran.err
