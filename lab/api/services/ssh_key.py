"""SoftLayer_Security_Ssh_Key. A key may be on the account once; its text and fingerprint never change."""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from typing import Any

from lab.api import errors, shapes
from lab.api.context import Call
from lab.api.masks import Entity
from lab.api.records import SshKey, iso
from lab.api.service import Service, exposed

_TYPES = frozenset(
    {
        "ssh-rsa",
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
    }
)
_KIND = "SoftLayer_Security_Ssh_Key"
_SHAPE: shapes.Shape = {"key": str, "label": str, "notes": str}


def key_view(key: SshKey) -> Entity:
    """SoftLayer_Security_Ssh_Key."""
    return Entity(
        "Security_Ssh_Key",
        {
            "id": key.id,
            "label": key.label,
            "key": key.key,
            "fingerprint": key.fingerprint,
            "notes": key.notes,
            "createDate": iso(key.created),
            "modifyDate": iso(key.modified),
        },
        {"softwarePasswords": list, "blockDeviceTemplateGroups": list},
    )


def _blob(text: str) -> bytes:
    """The binary key. Raises Fault when the text is no public key."""
    words = text.split()
    if len(words) >= 2 and words[0] in _TYPES:
        try:
            blob = base64.b64decode(words[1], validate=True)
        except (binascii.Error, ValueError):
            blob = b""
        if blob[4 : 4 + len(words[0])] == words[0].encode():
            return blob
    raise errors.invalid_value("key", "It is not a public SSH key.")


class SshKeyService(Service):
    """Public keys of the account."""

    name = "Security_Ssh_Key"

    def _key(self, call: Call) -> SshKey:
        key = self.lab.store.get(SshKey, call.number())
        if key is None:
            raise errors.not_found(call.identifier)
        return key

    def entity(self, call: Call) -> Entity:
        return key_view(self._key(call))

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("createObject")
    def create_object(self, call: Call, template: dict[str, Any]) -> Entity:
        shapes.check(template, _SHAPE)
        for name in ("key", "label"):
            if not template.get(name):
                raise errors.missing_property(name, _KIND)
        blob = _blob(str(template["key"]))
        digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
        fingerprint = ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
        if any(key.fingerprint == fingerprint for key in self.lab.store.all(SshKey)):
            raise errors.Fault(errors.PUBLIC, "SSH key already exists.")
        now = time.time()
        key = SshKey(
            id=self.lab.store.next_id(),
            label=str(template["label"]),
            key=str(template["key"]).strip(),
            fingerprint=fingerprint,
            notes=template.get("notes") or None,
            created=now,
            modified=now,
        )
        self.lab.store.put(key)
        return key_view(key)

    @exposed("editObject")
    def edit_object(self, call: Call, template: dict[str, Any]) -> bool:
        shapes.check(template, _SHAPE)
        key = self._key(call)
        for name in ("key", "fingerprint"):
            if name in template and template[name] != getattr(key, name):
                raise errors.invalid_value(name, "It cannot be changed.")
        if template.get("label"):
            key.label = str(template["label"])
        if "notes" in template:
            key.notes = template["notes"] or None
        key.modified = time.time()
        self.lab.store.put(key)
        return True

    @exposed("deleteObject")
    def delete_object(self, call: Call) -> bool:
        self.lab.store.delete(self._key(call))
        return True
