"""The identity that every order of a stack carries."""

from __future__ import annotations

import json
import re

import pytest

from components.softlayer.identity import (
    belongs_to,
    mark_user_data,
    marker_in,
    marker_of,
    owner_of,
    signature,
    signed_by,
    stack_tag,
    unmark_user_data,
)
from components.softlayer.stack_identity import StackIdentityProvider

OWNER = "demo/dev/0123456789ab"
MARKER = f"{OWNER}/galera-1-guest"


@pytest.mark.parametrize("text", ["", "#!/bin/sh\necho hello\n", "#cloud-config\npackages: [x]", "a\n\nb"])
def test_user_data_keeps_its_text_and_gains_the_marker(text: str) -> None:
    marked = mark_user_data(text, MARKER)
    assert marked.startswith(text)
    assert marker_in(marked) == MARKER
    assert unmark_user_data(marked).rstrip("\n") == text.rstrip("\n")


@pytest.mark.parametrize("text", ['{"a": 1}', "{}", ' {\n "a": {"b": []},\n "c": "}"\n}\n', "{ }\n"])
def test_a_json_object_stays_one_and_keeps_its_text(text: str) -> None:
    marked = mark_user_data(text, MARKER)
    assert json.loads(marked) == {**json.loads(text), "swarm-galera-identity": MARKER}
    assert marker_in(marked) == MARKER
    assert unmark_user_data(marked) == text


def test_what_only_looks_like_json_gets_a_comment_line() -> None:
    assert mark_user_data("{% template %}", MARKER) == f"{{% template %}}\n# swarm-galera-identity: {MARKER}"


def test_user_data_without_a_marker_is_nobody_s() -> None:
    assert marker_in("#!/bin/sh\n# swarm-galera is great\n") is None


def test_an_owner_is_the_marker_without_the_resource() -> None:
    assert owner_of(marker_of("demo/dev/0123456789ab", "galera-1-guest")) == "demo/dev/0123456789ab"


@pytest.mark.parametrize("stack", ["dev", "Prod_EU", "a.b"])
def test_a_stack_s_tag_is_made_of_what_every_api_takes(stack: str) -> None:
    assert re.fullmatch(r"swarm-galera-demo-[a-z0-9-]+-0123456789ab", stack_tag(f"demo/{stack}/0123456789ab"))


def test_two_stacks_of_the_same_name_are_told_apart() -> None:
    props = {"project": "demo", "stack": "dev"}
    provider = StackIdentityProvider()
    first, second = provider.create(props), provider.create(props)
    assert first.outs is not None
    assert second.outs is not None
    assert first.outs["owner"] != second.outs["owner"]
    assert first.outs["owner"].startswith("demo/dev/")


def test_a_renamed_stack_keeps_its_identity() -> None:
    changed = StackIdentityProvider().diff("x", {"stack": "dev", "owner": "o"}, {"stack": "prod"})
    assert changed.changes is False


@pytest.mark.parametrize(
    ("text", "marker"),
    [
        (signature(OWNER, "ssh-key"), f"{OWNER}/ssh-key"),
        (f"mine\n{signature(OWNER, 'ssh-key')}", f"{OWNER}/ssh-key"),
        (f"what for ({signature(OWNER, 'firewall')})", f"{OWNER}/firewall"),
        (f"{signature(OWNER, 'ssh-key')} and more", None),
        ("swarm-galera demo/dev/ssh-key", None),
        ("somebody's", None),
        ("", None),
        (None, None),
    ],
)
def test_notes_and_descriptions_say_whose_a_thing_is_by_their_last_words(
    text: str | None, marker: str | None
) -> None:
    assert signed_by(text) == marker
    assert belongs_to(text, OWNER) is (marker is not None)


def test_a_thing_of_another_stack_does_not_belong_to_this_one() -> None:
    for other in ("demo/dev/ffffffffffff", "demo/dev2/0123456789ab", f"x{OWNER}", f"{OWNER}/more"):
        assert not belongs_to(signature(other, "ssh-key"), OWNER)
