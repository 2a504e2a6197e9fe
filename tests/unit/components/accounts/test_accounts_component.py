"""The component `Account`: which passwords there are, what is secret, what waits for what."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks as pulumi_mocks

from components.accounts import rights
from components.accounts.account import Account, AccountArgs, counting
from components.accounts.database import Database, DatabaseArgs
from components.accounts.grants import Right
from components.accounts.user import User, UserArgs
from components.host_scripts.account import stored
from tests.unit.program import holds_secret, plain

pytestmark = pytest.mark.unit

REACH = {"hosts": [], "user": "root", "private_key": "KEY", "service": "galera", "taken": []}


class Recorder(pulumi_mocks.Mocks):
    """Notes inputs by name, and which of them are secret."""

    def __init__(self) -> None:
        self.made, self.secret = dict[str, Any](), dict[str, set[str]]()

    def new_resource(self, args: pulumi_mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        inputs = {key: value for key, value in args.inputs.items() if key != "__provider"}
        self.secret[args.name] = {key for key, value in inputs.items() if holds_secret(value)}
        self.made[args.name] = plain(inputs)
        drawn = {"value": f"value-of-{args.name}"} if args.name.find("-password-") > 0 else {}
        return f"id-of-{args.name}", {**inputs, **drawn}

    def call(self, args: pulumi_mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        raise AssertionError(args.token)


def made(**more: Any) -> tuple[Recorder, dict[str, Any]]:
    recorder, told = Recorder(), dict[str, Any]()
    pulumi.runtime.set_mocks(recorder, project="shop", stack="test", preview=False)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> pulumi.Output[Any]:
        shop = Database("database", DatabaseArgs(REACH, "shop"))
        account = Account("web", AccountArgs(REACH, "web", [Right(shop.name, rights.READ)], **more))
        marks: Any = account.password.is_secret()
        return pulumi.Output.all(user=account.user, password=account.password, secret=marks).apply(
            told.update
        )

    program()
    return recorder, told


def test_an_account_is_a_user_with_its_rights_and_a_drawn_password() -> None:
    recorder, told = made()
    assert recorder.made["web-user"]["hashes"] == [stored("value-of-web-password-1")]
    assert recorder.made["web-grants"]["rights"] == [
        {"database": "shop", "table": "*", "privileges": ["SELECT", "SHOW VIEW"]}
    ]
    assert told == {"user": "web", "password": "value-of-web-password-1", "secret": True}


def test_key_and_password_are_secret_and_the_password_goes_nowhere_in_plain() -> None:
    recorder, _ = made(generation=2)
    assert recorder.secret["web-user"] == {"reach", "hashes"}
    assert recorder.secret["web-grants"] == {"reach"}
    assert recorder.secret["database"] == {"reach"}
    assert "value-of-web-password" not in repr(recorder.made)


def test_a_new_generation_counts_beside_the_one_before_until_that_is_ended() -> None:
    recorder, told = made(generation=2)
    assert recorder.made["web-user"]["hashes"] == [
        stored("value-of-web-password-2"),
        stored("value-of-web-password-1"),
    ]
    assert told["password"] == "value-of-web-password-2"
    recorder, _ = made(generation=2, ended=1)
    assert recorder.made["web-user"]["hashes"] == [stored("value-of-web-password-2")]
    assert "web-password-1" not in recorder.made


@pytest.mark.parametrize(
    ("generation", "ended", "valid"),
    [(1, 0, [1]), (2, 0, [2, 1]), (2, 1, [2]), (3, 1, [3, 2]), (3, 0, [3, 2]), (9, 8, [9])],
)
def test_which_generations_count(generation: int, ended: int, valid: list[int]) -> None:
    assert counting("web", generation, ended) == valid


@pytest.mark.parametrize(("generation", "ended"), [(0, 0), (1, 1), (2, 3), (2, -1), ("2", 1), (2.0, 1)])
def test_numbers_with_which_no_password_would_count_are_refused(generation: Any, ended: Any) -> None:
    with pytest.raises(pulumi.RunError, match=r"The account web has generation .*Remedy: give whole numbers"):
        counting("web", generation, ended)


def test_a_user_without_a_password_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match="The user web has no password"):
        User("web", UserArgs(REACH, "web", []))


def test_a_database_says_who_has_made_it_and_is_protected_unless_it_may_be_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    protected: list[Any] = []
    monkeypatch.setattr(
        "components.accounts.database.Resource.__init__",
        lambda _self, _provider, _name, props, opts: protected.append((props["made_by"], opts.protect)),
    )
    pulumi.runtime.set_mocks(Recorder(), project="shop", stack="test", preview=False)
    Database("a", DatabaseArgs(REACH, "a"))
    Database("b", DatabaseArgs(REACH, "b", allow_drop=True))
    Database("c", DatabaseArgs(REACH, "c"), pulumi.ResourceOptions(protect=False))
    assert protected == [("shop/test/a", True), ("shop/test/b", False), ("shop/test/c", False)]
