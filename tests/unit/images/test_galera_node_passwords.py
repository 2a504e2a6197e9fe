"""A node's accounts while one password takes the other's place: both count, then the new one alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from images.galera.galera_node import accounts
from images.galera.galera_node.accounts import Account, native_hash
from images.galera.galera_node.settings import SECRETS, Settings, SettingsError

pytestmark = pytest.mark.unit


@pytest.fixture
def node(settings: Settings, tmp_path: Path) -> Settings:
    """With the secrets of a cluster that has never changed a password."""
    folder = tmp_path / "of-this-test"
    folder.mkdir()
    for name in SECRETS:
        (folder / name).write_text(f"first of {name}\n")
    return replace(settings, secrets=folder)


def rotate(node: Settings) -> None:
    """The next password, beside the one that was."""
    for name in SECRETS:
        file = node.secrets / name
        (node.secrets / f"{name}-former").write_text(file.read_text())
        file.write_text(f"next of {name}\n")


def end(node: Settings) -> None:
    """The former one no longer counts."""
    for name in SECRETS:
        (node.secrets / f"{name}-former").unlink()


def as_stored(account: Account) -> tuple[str, str, str]:
    """A row of the database for an account that is so."""
    hashes = [*account.hashes, *([accounts.OVERLAP] if account.former else [])]
    ways = [{"plugin": "mysql_native_password", "authentication_string": each} for each in hashes]
    ways += [{"plugin": "unix_socket"}] * account.socket
    told = {"access": 1, **ways[0], "auth_or": [{}, *ways[1:]], "ssl_type": int(account.tls)}
    return account.user, account.host, json.dumps(told)


def test_without_a_former_one_everything_is_as_it_was(node: Settings) -> None:
    root, *_ = accounts.with_passwords(node)
    text, values = root.statement("ALTER USER")
    assert text == "ALTER USER %s@%s IDENTIFIED VIA unix_socket OR mysql_native_password USING %s"
    assert values == ("root", "localhost", native_hash("first of galera-root-password"))


def test_both_let_one_in_and_the_new_one_is_asked_for_first(node: Settings) -> None:
    rotate(node)
    root, _, monitor, app = accounts.with_passwords(node)
    native = "mysql_native_password USING %s"
    text, values = app.statement("ALTER USER", " ACCOUNT UNLOCK")
    assert text == f"ALTER USER %s@%s IDENTIFIED VIA {native} OR {native} OR {native} ACCOUNT UNLOCK"
    new, old = (native_hash(f"{which} of galera-app-password") for which in ("next", "first"))
    assert values == (app.user, "%", new, old, accounts.OVERLAP)
    assert text.count("%s") == len(values)
    assert root.statement("ALTER USER")[0].count(" OR ") == 3
    assert monitor.hashes != app.hashes
    assert "next of" not in repr(accounts.accounts(node))


def test_a_rotation_changes_the_accounts_once_in_each_of_its_two_steps(node: Settings) -> None:
    former = [as_stored(account) for account in accounts.with_passwords(node)]
    marks = [accounts.fingerprint(node)]
    rotate(node)
    marks.append(accounts.fingerprint(node))
    both = accounts.with_passwords(node)
    assert accounts.outdated(node, former) == both
    assert accounts.outdated(node, [as_stored(account) for account in both]) == []
    end(node)
    marks.append(accounts.fingerprint(node))
    alone = accounts.with_passwords(node)
    # The former one is still in the row, beside the new one, and must go.
    assert accounts.outdated(node, [as_stored(account) for account in both]) == alone
    assert accounts.outdated(node, [as_stored(account) for account in alone]) == []
    # Nodes at different steps do not act: each step is agreed on by all.
    assert len(set(marks)) == 3


def test_a_password_that_somebody_has_added_stays_where_none_of_ours_was_changed(node: Settings) -> None:
    """Only an account that had a former password by this program loses what is not the secret's."""
    theirs = native_hash("theirs")
    added = [replace(account, former=theirs) for account in accounts.with_passwords(node)]
    by_hand = [
        (user, host, told.replace(accounts.OVERLAP, native_hash("also theirs")))
        for user, host, told in map(as_stored, added)
    ]
    assert all(theirs in told for *_, told in by_hand)
    assert accounts.outdated(node, by_hand) == []
    assert accounts.outdated(node, [as_stored(account) for account in added]) == accounts.with_passwords(node)


def test_the_word_for_two_passwords_is_no_password_and_known_as_none_of_ours() -> None:
    """The server takes whatever has this length, and lets nobody in by what is not hexadecimal."""
    assert len(accounts.OVERLAP) == len(native_hash("x"))
    assert accounts.HASH.findall(accounts.OVERLAP) == []


def test_two_orders_of_the_same_passwords_are_not_the_same_secrets(node: Settings) -> None:
    """A node with the former as the newest has not been told yet."""
    rotate(node)
    told = accounts.fingerprint(node)
    for name in SECRETS:
        first, second = node.secrets / name, node.secrets / f"{name}-former"
        one, other = first.read_text(), second.read_text()
        first.write_text(other)
        second.write_text(one)
    assert accounts.fingerprint(node) != told


def test_roots_account_of_a_former_network_is_known_by_either_password(node: Settings) -> None:
    stored = [as_stored(account) for account in accounts.with_passwords(node)[:1]]
    former = accounts.with_passwords(node)[1]
    stored.append(as_stored(replace(former, host="10.9.0.0/255.255.255.0")))
    rotate(node)
    moved = accounts.moved(node, stored)
    assert moved is not None
    assert moved[1][1] == "10.9.0.0/255.255.255.0"


def test_a_former_password_that_is_empty_is_refused_at_the_start(node: Settings) -> None:
    (node.secrets / "galera-app-password-former").write_text("")
    with pytest.raises(SettingsError, match="must hold one line"):
        node.former("galera-app-password")
    assert node.former("galera-root-password") == ""
