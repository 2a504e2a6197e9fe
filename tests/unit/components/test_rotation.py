"""Which step of a rotation a run may take, and what the program declares for it; nothing before."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components import rotation
from components.host_scripts import account
from components.rotation import Reached
from settings.rotation import Passwords
from tests.unit import program
from tests.unit.program import Recorded, run

pytestmark = pytest.mark.unit

IMAGE = "registry.lab:5000/swarm-galera/galera:11.8-2"
USERS = ("root", "monitor", "app")
CONSUL = {"kind": "consul", "image": "r/consul:1.16.6-2", "recursors": ["10.0.80.11"]}
TOKENS = '{"cluster":"c","node":"n","manager":"SWMTKN-m","worker":"SWMTKN-w"}'


def passwords(generation: int, ended: int = 0) -> dict[str, Any]:
    return {"image": IMAGE, "passwords": {"generation": generation, "ended": ended}}


@pytest.fixture(scope="module")
def before(home: Any) -> Recorded:
    return run({"galera": {"image": IMAGE}})


@pytest.mark.parametrize(
    ("generation", "ended", "reached", "said"),
    [
        (1, 0, Reached(1), ""),
        (2, 0, Reached(1), ""),
        (2, 1, Reached(2), ""),
        (3, 1, Reached(2, 1), ""),
        (3, 0, Reached(2, 0), ""),  # the first goes with the third: two count at the most
        (7, 5, Reached(0), ""),  # a new cluster
        (3, 0, Reached(1), "3 is too far: the passwords are of generation 1"),
        (2, 1, Reached(1), "1 would end the passwords of generation 1, which are in use"),
        (3, 2, Reached(2), "2 would end the passwords of generation 2"),
        (1, 0, Reached(2, 1), "1 was before, and the passwords are of generation 2"),
        (2, 0, Reached(2, 1), "0, and 1 have ended: they do not come back"),
    ],
)
def test_what_is_in_use_still_counts_in_the_run_that_brings_another(
    generation: int, ended: int, reached: Reached, said: str
) -> None:
    wanted = Passwords.model_validate({"generation": generation, "ended": ended})
    found = list(rotation.problems(wanted, reached, "the passwords"))
    assert len(found) == bool(said)
    for problem in found:
        assert said in problem
        assert "Remedy: " in problem


def test_something_always_counts_and_never_more_than_two() -> None:
    for generation in range(1, 5):
        for ended in range(generation):
            wanted = Passwords.model_validate({"generation": generation, "ended": ended})
            assert wanted.counting[0] == generation
            assert len(wanted.counting) == (2 if generation - 1 > ended else 1)
    with pytest.raises(ValueError, match="so that nothing would count"):
        Passwords.model_validate({"generation": 2, "ended": 2})


def test_a_stack_that_never_rotated_anything_has_no_word_of_it(before: Recorded) -> None:
    assert "passwords" not in before.outputs["galera"]
    assert not {"certificates", "gossipKey"} & set(before.outputs["discovery"])
    assert set(before.outputs["joinTokens"]) == {"manager", "worker"}
    for name, made in before.resources.items():
        assert "-former" not in name
        assert "overlap" not in made.inputs
        assert not name.endswith(("-tokens", "galera-passwords", "-gossip-key"))


def test_new_passwords_are_drawn_beside_those_that_count(before: Recorded) -> None:
    made = run({"galera": passwords(2)}, former=before.outputs)
    for user in USERS:
        name = f"galera-{user}-password"
        # The former one is the resource that it was: nothing draws it anew.
        assert made.resources[name].inputs == before.resources[name].inputs
        assert made.parents[name] == before.parents[name]
        assert made.resources[f"{name}-2"].typ == made.resources[name].typ
    secrets = {each["fileName"] for each in containers(made)["secrets"]}
    assert {f"galera-{user}-password-former" for user in USERS} <= secrets
    assert made.outputs["galera"]["passwords"] == {"generation": 2, "ended": 0}
    # They are told once they count.
    assert "galera-formed" in made.depends_on["galera-passwords"]
    assert "galera-passwords" in made.resources


def test_the_former_ones_end_in_a_run_of_their_own(before: Recorded) -> None:
    second = run({"galera": passwords(2)}, former=before.outputs)
    with pytest.raises(pulumi.RunError, match=r"passwords\.ended: 1 would end the passwords of generation 1"):
        run({"galera": passwords(2, 1)}, former=before.outputs)
    third = run({"galera": passwords(2, 1)}, former=second.outputs)
    for user in USERS:
        assert f"galera-{user}-password" not in third.resources
        name = f"galera-{user}-password-2"
        assert third.resources[name].inputs == second.resources[name].inputs
    assert not [each for each in containers(third)["secrets"] if "former" in each["fileName"]]
    assert third.outputs["passwords"] == second.outputs["passwords"]
    # Below the layer, the same are kept, and what was reached is known.
    down = {"deployUpTo": "swarm", "takeDown": ["data"]}
    lower = run({"galera": passwords(2, 1), **down}, former=third.outputs)
    assert lower.outputs["keptData"]["passwords"] == {"generation": 2, "ended": 1}
    assert "galera-root-password-2" in lower.resources
    with pytest.raises(pulumi.RunError, match=r"passwords\.generation: 1 was before"):
        run({"galera": passwords(1), **down}, former=lower.outputs)


def containers(made: Recorded, service: str = "galera") -> dict[str, Any]:
    spec: dict[str, Any] = made.resources[f"{service}-service"].inputs["taskSpec"]["containerSpec"]
    return spec


def test_a_password_that_is_given_has_no_former_one(before: Recorded) -> None:
    made = run({"galera": passwords(2), "rootPassword": "a-given-password"}, secrets=["rootPassword"])
    files = {each["fileName"] for each in containers(made)["secrets"]}
    assert "galera-root-password-former" not in files
    assert "galera-app-password-former" in files


@pytest.mark.parametrize(
    ("image", "known"),
    [
        ("registry.lab:5000/swarm-galera/galera:11.8-1", False),
        ("registry.lab:5000/swarm-galera/galera:10.11-12@sha256:" + "0" * 64, False),
        ("registry.lab:5000/swarm-galera/galera:11.8-2", True),
        ("registry.lab:5000/swarm-galera/galera:10.11-13", True),
        ("registry.lab:5000/swarm-galera/galera:12.3-1", True),
        ("registry.lab:5000/mine:11.8-1", True),
    ],
)
def test_an_image_whose_nodes_know_one_password_is_refused_before_they_start_anew(
    image: str, known: bool
) -> None:
    wanted = {"galera": {**passwords(2), "image": image}}
    if known:
        assert "galera-passwords" in run(wanted).resources
        return
    with pytest.raises(pulumi.RunError, match="know one password for an account"):
        run(wanted)


# -- the application's account


def site(generation: int, ended: int = 0, **database: Any) -> dict[str, Any]:
    """A stack with an application whose password is of this generation."""
    passwords = {"generation": generation, "ended": ended}
    return {"application": {"image": "r/wordpress:6.8-1", "database": {"passwords": passwords, **database}}}


def test_the_applications_account_has_two_passwords_before_its_containers_get_the_new_one(
    home: Any,
) -> None:
    first = run(site(1))
    assert (
        first.resources["application-database"].inputs
        == run({"application": {"image": "r/wordpress:6.8-1", "database": {}}})
        .resources["application-database"]
        .inputs
    )
    assert "passwords" not in first.outputs["application"]["database"]
    second = run(site(2), former=first.outputs)
    old, new = "application-database-password", "application-database-password-2"
    assert second.resources[old].inputs == first.resources[old].inputs
    step = second.resources["application-database"].inputs["stdin"]
    values = step.partition("END-OF-VALUES")[2].splitlines()[1:3]
    assert values == [account.stored(f"value-of-{name}") for name in (new, old)]
    assert "OR mysql_native_password USING" in step
    # The service comes after the account, and knows the new one.
    assert "application-database" in second.depends_on["application-service"]
    assert second.outputs["passwords"]["application"] == f"value-of-{new}"
    with pytest.raises(pulumi.RunError, match=r"application\.database\.passwords\.ended: 1 would end"):
        run(site(2, 1), former=first.outputs)
    third = run(site(2, 1), former=second.outputs)
    assert old not in third.resources
    assert "OR mysql_native_password" not in third.resources["application-database"].inputs["stdin"]
    assert third.outputs["application"]["database"]["passwords"] == {"generation": 2, "ended": 1}


def test_a_given_password_of_the_application_has_no_generations(home: Any) -> None:
    with pytest.raises(pulumi.RunError, match="passwords has generations, and password is given"):
        run(site(2, password="marked-password-1"), secrets=["application"])


# -- the store


@pytest.mark.parametrize("discovery", [{}, CONSUL], ids=["etcd", "consul"])
def test_the_store_goes_to_another_authority_and_trusts_the_former_until_that_is_ended(
    home: Any, discovery: dict[str, Any]
) -> None:
    first = run({"discovery": discovery})
    authorities = [name for name in first.resources if name.endswith("authority") and "galera" not in name]
    signed = [name for name in first.resources if "authority_key" in first.resources[name].inputs]
    signed = [name for name in signed if not name.startswith("galera")]
    assert authorities
    assert signed

    def at(generation: int, ended: int, former: Recorded) -> Recorded:
        wanted = {**discovery, "certificates": {"generation": generation, "ended": ended}}
        return run({"discovery": wanted}, former=former.outputs)

    second = at(2, 0, first)
    assert [second.resources[name].inputs["generation"] for name in authorities] == [2] * len(authorities)
    assert all(second.resources[name].inputs["overlap"] is True for name in signed)
    third = at(2, 1, second)
    assert [third.resources[name].inputs["generation"] for name in authorities] == [2] * len(authorities)
    assert not any("overlap" in third.resources[name].inputs for name in signed)
    assert third.outputs["discovery"]["certificates"] == {"generation": 2, "ended": 1}
    with pytest.raises(pulumi.RunError, match=r"certificates\.ended: 1 would end the store's certificates"):
        at(2, 1, first)
    # URNs are those of before, in any of them.
    for name in (*authorities, *signed):
        assert third.parents[name] == first.parents[name]


def test_all_of_consuls_members_know_the_other_key_before_one_starts_that_knows_no_other(home: Any) -> None:
    first = run({"discovery": CONSUL})
    made = run({"discovery": {**CONSUL, "gossipKeyGeneration": 2}}, former=first.outputs)
    assert "consul-gossip-token" not in made.resources
    assert "consul-gossip-token-2" in made.resources
    assert "consul-gossip-key" in made.depends_on["consul-service"]
    assert "connection" not in made.resources["consul-gossip-key"].inputs
    assert made.outputs["discovery"]["gossipKey"] == {"generation": 2}
    with pytest.raises(pulumi.RunError, match="gossipKeyGeneration: 1 was before"):
        run({"discovery": CONSUL}, former=made.outputs)
    with pytest.raises(pulumi.RunError, match="gossipKeyGeneration belong to Consul"):
        run({"discovery": {"gossipKeyGeneration": 2}})


# -- join tokens


def test_join_tokens_are_rotated_once_and_everybody_is_told(
    home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(program.OTHERWISE, "swarm-started", {"stdout": TOKENS})
    monkeypatch.setitem(program.OTHERWISE, "swarm-tokens", {"stdout": TOKENS.replace("SWMTKN-", "SWMTKN-2")})
    first = run({"servers": {"workers": 1}})
    made = run({"servers": {"workers": 1}, "swarm": {"joinTokenGeneration": 2}}, former=first.outputs)
    step = made.resources["swarm-tokens"].inputs
    assert step["triggers"] == [2]
    assert "rotate=yes" in step["stdin"].partition("update()")[0]
    assert "rotate=''" in step["stdin"].partition("update()")[2]
    assert "SWMTKN-m" not in step["stdin"]
    assert "connection" not in step
    # What the swarm is begun by stays as it is.
    assert made.resources["swarm-started"].inputs == first.resources["swarm-started"].inputs
    assert made.outputs["joinTokens"] == {"manager": "SWMTKN-2m", "worker": "SWMTKN-2w", "generation": 2}
    assert "SWMTKN-2w" in made.resources["swarm-galera-4-joined"].inputs["stdin"]
    with pytest.raises(pulumi.RunError, match="joinTokenGeneration: 1 was before"):
        run({"servers": {"workers": 1}}, former=made.outputs)
