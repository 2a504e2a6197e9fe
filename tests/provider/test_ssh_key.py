"""SSH keys in the account: uploaded, adopted, changed, and deleted only where the stack uploaded them."""

from __future__ import annotations

from typing import Any

import pytest

from components.softlayer.errors import SoftLayerFailed
from components.softlayer.ssh_key import SshKeyPairProvider
from components.softlayer.ssh_key_provider import SshKeyProvider
from harness.lab_api import LabApi
from tests.provider.providers import OWNER, TAG, configured

pytestmark = pytest.mark.provider


def new_key() -> str:
    return str((SshKeyPairProvider().create({}).outs or {})["public_key"])


@pytest.fixture
def provider(lab_api: LabApi) -> SshKeyProvider:
    return configured(SshKeyProvider, lab_api)


def declared(**properties: Any) -> dict[str, Any]:
    return {"owner": OWNER, "resource": "ssh-key", **properties}


def keys(lab: LabApi) -> list[dict[str, Any]]:
    return list(lab.client().call("Account", "getSshKeys"))


def test_a_key_is_uploaded_read_and_deleted(lab_api: LabApi, provider: SshKeyProvider) -> None:
    props = declared(public_key=new_key())
    created = provider.create(dict(props))
    state = dict(created.outs or {})
    assert state["adopted"] is False
    assert [(key["label"], str(key["id"])) for key in keys(lab_api)] == [(TAG, created.id)]
    assert (
        provider.diff(created.id, dict(provider.read(created.id, state).outs or {}), props).changes is False
    )
    provider.delete(created.id, state)
    assert keys(lab_api) == []
    assert provider.read(created.id, state).id == ""
    provider.delete(created.id, state)


def test_only_the_public_half_ever_leaves() -> None:
    pair = SshKeyPairProvider().create({}).outs or {}
    assert "PRIVATE KEY" in pair["private_key"]
    assert pair["public_key"].startswith("ssh-ed25519 ")


def test_a_key_that_the_account_has_is_adopted_and_never_deleted(
    lab_api: LabApi, provider: SshKeyProvider
) -> None:
    text = new_key()
    existing = lab_api.client().call(
        "Security_Ssh_Key", "createObject", {"key": f"{text} me@home", "label": "mine"}
    )
    created = provider.create(declared(public_key=text, label="ours", notes="x"))
    state = dict(created.outs or {})
    assert created.id == str(existing["id"])
    assert state["adopted"] is True
    provider.update(created.id, state, declared(public_key=text, label="other"))
    provider.delete(created.id, state)
    assert [key["label"] for key in keys(lab_api)] == ["mine"]


def test_a_key_is_adopted_by_its_label(lab_api: LabApi, provider: SshKeyProvider) -> None:
    text = new_key()
    lab_api.client().call("Security_Ssh_Key", "createObject", {"key": text, "label": "mine"})
    created = provider.create(declared(label="mine"))
    state = dict(created.outs or {})
    assert state["adopted"] is True
    assert state["key"].split()[:2] == text.split()[:2]
    seen = dict(provider.read(created.id, state).outs or {})
    assert provider.diff(created.id, seen, declared(label="mine")).changes is False


@pytest.mark.parametrize(("count", "words"), [(0, "no SSH key has"), (2, "2 SSH keys have")])
def test_a_label_that_is_not_one_key_s_is_an_error_that_lists_the_labels(
    lab_api: LabApi, provider: SshKeyProvider, count: int, words: str
) -> None:
    client = lab_api.client()
    client.call("Security_Ssh_Key", "createObject", {"key": new_key(), "label": "other"})
    for _ in range(count):
        client.call("Security_Ssh_Key", "createObject", {"key": new_key(), "label": "mine"})
    with pytest.raises(SoftLayerFailed, match=words) as refused:
        provider.create(declared(label="mine"))
    assert "other" in str(refused.value)


def test_a_key_of_an_interrupted_run_is_the_stack_s_own(lab_api: LabApi, provider: SshKeyProvider) -> None:
    props = declared(public_key=new_key())
    first = provider.create(dict(props))
    second = provider.create(dict(props))
    assert second.id == first.id
    assert (second.outs or {})["adopted"] is False


def test_another_stack_s_key_is_adopted_not_owned(lab_api: LabApi, provider: SshKeyProvider) -> None:
    props = declared(public_key=new_key())
    provider.create({**props, "owner": "swarm-galera/test/ffffffffffff"})
    assert (provider.create(dict(props)).outs or {})["adopted"] is True


def test_an_upload_whose_answer_was_lost_is_not_repeated(lab_api: LabApi, provider: SshKeyProvider) -> None:
    lab_api.fault("lost-response", method="createObject", count=1)
    created = provider.create(declared(public_key=new_key()))
    assert (created.outs or {})["adopted"] is False
    assert [str(key["id"]) for key in keys(lab_api)] == [created.id]


def test_label_and_notes_change_in_place(lab_api: LabApi, provider: SshKeyProvider) -> None:
    props = declared(public_key=new_key())
    created = provider.create(dict(props))
    wanted = {**props, "label": "renamed", "notes": "why"}
    state = dict(provider.update(created.id, dict(created.outs or {}), dict(wanted)).outs or {})
    assert [key["label"] for key in keys(lab_api)] == ["renamed"]
    assert (
        provider.diff(created.id, dict(provider.read(created.id, state).outs or {}), wanted).changes is False
    )


def test_a_label_changed_by_hand_is_drift(lab_api: LabApi, provider: SshKeyProvider) -> None:
    props = declared(public_key=new_key())
    created = provider.create(dict(props))
    lab_api.client().call("Security_Ssh_Key", "editObject", {"label": "x"}, id=int(created.id))
    seen = dict(provider.read(created.id, dict(created.outs or {})).outs or {})
    assert provider.diff(created.id, seen, props).changes is True


def test_an_adopted_label_that_leads_to_another_key_is_refused(
    lab_api: LabApi, provider: SshKeyProvider
) -> None:
    for label in ("one", "two"):
        lab_api.client().call("Security_Ssh_Key", "createObject", {"key": new_key(), "label": label})
    created = provider.create(declared(label="one"))
    with pytest.raises(SoftLayerFailed, match="another SSH key"):
        provider.update(created.id, dict(created.outs or {}), declared(label="two"))


def test_a_key_whose_text_is_not_the_uploaded_one_is_not_deleted(
    lab_api: LabApi, provider: SshKeyProvider
) -> None:
    created = provider.create(declared(public_key=new_key()))
    with pytest.raises(SoftLayerFailed, match="is not deleted"):
        provider.delete(created.id, {**(created.outs or {}), "public_key": new_key()})
    assert len(keys(lab_api)) == 1
