"""The overlay's subnet against the account's own, asked through the real SDK."""

from __future__ import annotations

import pytest

from components.softlayer.client import Api, Credentials
from components.softlayer.errors import SettingInvalid, SoftLayerFailed
from components.softlayer.subnets import refuse_overlap
from harness.lab_api import LabApi

pytestmark = pytest.mark.provider


def api_of(lab_api: LabApi, key: str | None = None) -> Api:
    return Api(Credentials(lab_api.username, key or lab_api.api_key, lab_api.endpoint))


def test_a_network_the_account_does_not_have_is_accepted(lab_api: LabApi) -> None:
    refuse_overlap(api_of(lab_api), "10.20.0.0/24")


@pytest.mark.parametrize("subnet", ["10.144.12.0/24", "10.144.0.0/16", "10.144.12.128/25"])
def test_the_hosts_own_network_is_refused_before_anything_is_ordered(lab_api: LabApi, subnet: str) -> None:
    with pytest.raises(
        SettingInvalid, match=r"network\.subnet: .* overlaps 10\.144\.12\.0/24.*tor01.*172\.30"
    ):
        refuse_overlap(api_of(lab_api), subnet)
    assert lab_api.ordered == 0


def test_the_hosts_public_network_is_refused_as_well(lab_api: LabApi) -> None:
    with pytest.raises(
        SettingInvalid, match=r"203\.0\.113\.128/25 overlaps 203\.0\.113\.0/24, a public network"
    ):
        refuse_overlap(api_of(lab_api), "203.0.113.128/25")
    assert lab_api.ordered == 0


def test_a_refused_key_is_explained_instead_of_passing_for_no_overlap(lab_api: LabApi) -> None:
    with pytest.raises(SoftLayerFailed, match="looking at the account's subnets"):
        refuse_overlap(api_of(lab_api, "wrong"), "10.20.0.0/24")
