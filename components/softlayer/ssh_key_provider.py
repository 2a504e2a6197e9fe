"""The dynamic provider of `SshKey`.

Owns: upload, adoption by key or by label, change of label and notes, deletion of what the stack uploaded.
Leaves to others: making keys (ssh_key.py).

Keys are compared by type and base64 text, exactly: not by fingerprint, comment or white space. A key that the
account had before is adopted: used, and never changed nor deleted. A key that carries the stack's own label
and this resource's identity in its notes is one that an interrupted run uploaded, and is the stack's own.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, ReadResult, UpdateResult
from SoftLayer import exceptions as sl

from components.dynamic import is_unknown
from components.softlayer.client import Api
from components.softlayer.errors import NotOurs, SoftLayerFailed, explaining, outcome_unknown
from components.softlayer.identity import belongs_to, signature, stack_tag
from components.softlayer.progress import say
from components.softlayer.provider import SoftLayerProvider

_SERVICE = "Security_Ssh_Key"
_MASK = "mask[id,label,key,fingerprint,notes]"
_TYPES = re.compile(r"ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)")


def same_key(one: str, other: str) -> bool:
    """Whether two public keys are the same: type and base64 text, whatever the comment."""
    return one.split()[:2] == other.split()[:2]


def key_problem(text: str) -> str | None:
    """Why a text is not a public key's line; None when it is one."""
    if "PRIVATE KEY" in text:
        return "this is a PRIVATE key; give the one line of the `.pub` file, and consider this key disclosed"
    parts = text.split()
    if len(parts) < 2 or not _TYPES.fullmatch(parts[0]):
        return "this is not an OpenSSH public key; give the one line of a `.pub` file (`ssh-ed25519 AAAA…`)"
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except binascii.Error:
        return "the key's text is damaged; give the one line of the `.pub` file as it is"
    named = parts[0].encode()
    if blob[4 : 4 + len(named)] != named:
        return "the key's text is damaged or of another type; give the one line of the `.pub` file as it is"
    return None


class SshKeyProvider(SoftLayerProvider):
    """Operations on one key in the account."""

    REPLACE = frozenset({"public_key"})
    UPDATE = frozenset({"label", "notes"})
    IGNORE = frozenset({"owner", "resource"})

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse what cannot work. No network."""
        key, label = news.get("public_key"), news.get("label")
        if not key and not label:
            return CheckResult(
                news, [CheckFailure("public_key", "neither a public key nor a label is given; give one")]
            )
        if key and not is_unknown(key) and (problem := key_problem(str(key))):
            return CheckResult(news, [CheckFailure("public_key", problem)])
        return CheckResult(news, [])

    def same(self, key: str, old: Any, new: Any) -> bool:
        """A key's comment and white space mean nothing."""
        if key == "public_key" and old and new:
            return same_key(str(old), str(new))
        return super().same(key, old, new)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Upload the key, or adopt the one that the account has."""
        api = self.api()
        with explaining("looking at the account's SSH keys", left="Nothing has been uploaded."):
            rows = api.list("getSshKeys", mask=_MASK)
        text = props.get("public_key")
        if not text:
            return self._created(props, _labelled(rows, str(props["label"])), adopted=True)
        row = _holding(rows, str(text))
        if row is None:
            row = self._upload(api, props)
        return self._created(props, row, adopted=not _ours(row, props))

    def _upload(self, api: Api, props: Mapping[str, Any]) -> dict[str, Any]:
        template = {
            "key": " ".join(str(props["public_key"]).split()),
            "label": _label(props),
            "notes": _notes(props),
        }
        with explaining(f"uploading the SSH key {template['label']}"):
            try:
                row: dict[str, Any] = api.insist(_SERVICE, "createObject", template)
            except sl.SoftLayerAPIError as error:
                # The answer was lost, or another stack uploaded the same key meanwhile: then it is there.
                if not outcome_unknown(error) and "already exists" not in str(error):
                    raise
                found = _holding(api.list("getSshKeys", mask=_MASK), str(props["public_key"]))
                if found is None:
                    raise
                row = found
        return row

    def _created(self, props: Mapping[str, Any], row: Mapping[str, Any], *, adopted: bool) -> CreateResult:
        if adopted:
            say(
                f"SSH key {row.get('label')} ({row['id']}): the account has it already; "
                "it is used, and never deleted"
            )
        facts = {"key": row["key"], "fingerprint": row.get("fingerprint", ""), "adopted": adopted}
        return CreateResult(str(row["id"]), {**props, **facts})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """The key as it is; empty when it is gone."""
        with explaining(f"reading the SSH key {id_}"):
            row = self.api().get(_SERVICE, id_, mask=_MASK)
        if row is None:
            return ReadResult("", {})
        seen = {"key": row["key"], "fingerprint": row.get("fingerprint", "")}
        if not props.get("adopted"):
            label, notes = str(row.get("label") or ""), str(row.get("notes") or "")
            if label != _label(props):
                seen["label"] = label
            if notes != _notes(props):
                seen["notes"] = notes
        return ReadResult(id_, {**props, **seen})

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Label and notes of the stack's own key; an adopted key is left as it is.

        Raises:
            SoftLayerFailed: another label is to be adopted: that is another key.
        """
        facts = {key: olds.get(key) for key in ("key", "fingerprint", "adopted")}
        if olds.get("adopted"):
            if not news.get("public_key") and news.get("label") != olds.get("label"):
                self._require_relabelled(id_, news)
            return UpdateResult({**news, **facts})
        with explaining(f"changing the SSH key {id_}"):
            edited = {"label": _label(news), "notes": _notes(news)}
            self.api().call(_SERVICE, "editObject", edited, id=int(id_))
        return UpdateResult({**news, **facts})

    def _require_relabelled(self, id_: str, news: Mapping[str, Any]) -> None:
        with explaining("looking at the account's SSH keys"):
            row = _labelled(self.api().list("getSshKeys", mask=_MASK), str(news["label"]))
        if str(row["id"]) != id_:
            raise SoftLayerFailed(
                f"the label {news['label']} is that of another SSH key ({row['id']}); servers get their keys "
                "when they are ordered or reloaded. To change over, give `ssh.publicKey` and reload "
                "the hosts (servers.reloadToken)"
            )

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        """Delete the key that the stack uploaded; an adopted one is only forgotten."""
        if props.get("adopted"):
            say(f"SSH key {id_}: it was adopted, so it is left in the account")
            return
        api = self.api()
        with explaining(f"deleting the SSH key {id_}"):
            row = api.get(_SERVICE, id_, mask=_MASK)
            if row is None:
                return
            if not same_key(str(row["key"]), str(props.get("public_key") or props.get("key"))):
                raise SoftLayerFailed(
                    f"the SSH key {id_} is not deleted: it is not the key that this stack uploaded; "
                    "`pulumi state delete URN` has the stack forget it"
                )
            api.delete(_SERVICE, id_)


def delete_of_owner(api: Api, id_: str, owner: str) -> None:
    """Delete a key that is in no state, if its notes carry that stack's identity.

    Raises:
        NotOurs: they do not; nothing has been deleted.
    """
    with explaining(f"deleting the SSH key {id_}"):
        row = api.get(_SERVICE, id_, mask=_MASK)
        if row is None:
            return
        if not belongs_to(row.get("notes"), owner):
            raise NotOurs(f"the SSH key {id_} is not deleted: its notes lack the identity {owner}")
        api.delete(_SERVICE, id_)


def _holding(rows: list[dict[str, Any]], text: str) -> dict[str, Any] | None:
    return next((row for row in rows if same_key(str(row.get("key", "")), text)), None)


def _labelled(rows: list[dict[str, Any]], label: str) -> dict[str, Any]:
    found = [row for row in rows if row.get("label") == label]
    if len(found) != 1:
        known = ", ".join(sorted(str(row.get("label")) for row in rows)) or "none"
        raise SoftLayerFailed(
            f"{len(found) or 'no'} SSH {'keys have' if len(found) > 1 else 'key has'} the label '{label}'; "
            f"correct `ssh.label` (the account's labels: {known}), or give `ssh.publicKey`"
        )
    return found[0]


def _label(props: Mapping[str, Any]) -> str:
    return str(props.get("label") or stack_tag(str(props["owner"])))


def _notes(props: Mapping[str, Any]) -> str:
    own = signature(str(props["owner"]), str(props["resource"]))
    return f"{props['notes']}\n{own}" if props.get("notes") else own


def _ours(row: Mapping[str, Any], props: Mapping[str, Any]) -> bool:
    own = signature(str(props["owner"]), str(props["resource"]))
    return str(row.get("notes") or "").endswith(own) or (
        row.get("notes") is None and row.get("label") == _label(props)
    )
