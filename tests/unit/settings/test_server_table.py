"""The table of a server's fields is complete; that its page is fresh: test_generated_documents.py."""

from __future__ import annotations

import pytest

from settings.server import Change, Server, rows

pytestmark = pytest.mark.unit


def test_every_field_of_a_server_is_described_and_says_what_a_change_means() -> None:
    table = rows(Server)
    assert table.keys() == Server.model_fields.keys()
    assert all(field.description for field in Server.model_fields.values())
    assert all(isinstance(row.change, Change) for row in table.values())


def test_what_is_compared_by_its_name_has_one() -> None:
    nested = {"disks", "nic_speed"}  # read from the devices and from the network's component
    assert {name for name, row in rows(Server).items() if row.told and not row.api} == nested
