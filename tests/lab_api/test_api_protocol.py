"""The wire: paths, credentials, faults, masks, filters, paging; with the real SDK and with raw requests."""

from __future__ import annotations

import xmlrpc.client
from collections.abc import Callable
from typing import Any

import pytest
import requests
import SoftLayer
from SoftLayer import SoftLayerAPIError, exceptions

from harness.lab_api import LabApi

pytestmark = pytest.mark.provider

Template = Callable[..., dict[str, Any]]


def _post(
    lab_api: LabApi, service: str, method: str, headers: dict[str, Any], *args: Any
) -> requests.Response:
    payload = xmlrpc.client.dumps(
        ({"headers": headers}, *args), method, allow_none=True, encoding="iso-8859-1"
    )
    body = payload.encode("iso-8859-1", "xmlcharrefreplace")
    return requests.post(f"{lab_api.endpoint}/{service}", body, timeout=20)


def _keys(lab_api: LabApi) -> dict[str, Any]:
    return {"authenticate": {"username": lab_api.username, "apiKey": lab_api.api_key}}


def _fault(response: requests.Response) -> tuple[str, str]:
    assert response.status_code == 200, "a fault in an HTTP error would lose its code"
    with pytest.raises(xmlrpc.client.Fault) as raised:
        xmlrpc.client.loads(response.content)
    assert isinstance(raised.value.faultCode, str)
    return raised.value.faultCode, raised.value.faultString


def test_services_are_below_the_base_path_and_only_for_post(lab_api: LabApi) -> None:
    root = lab_api.endpoint.removesuffix("/xmlrpc/v3.1")
    assert requests.get(f"{lab_api.endpoint}/SoftLayer_Account", timeout=20).status_code == 405
    assert requests.post(f"{root}/SoftLayer_Account", b"", timeout=20).status_code == 404


def test_no_credentials_are_refused(lab_api: LabApi) -> None:
    assert _fault(_post(lab_api, "SoftLayer_Account", "getObject", {})) == (
        "SoftLayer_Exception_Public",
        "Access Denied. ",
    )


@pytest.mark.parametrize(("username", "key"), [("lab", "wrong"), ("other", None), ("", "")])
def test_wrong_credentials_are_refused_on_every_call(lab_api: LabApi, username: str, key: str | None) -> None:
    lab_api.client()["Account"].getObject()
    wrong = {"authenticate": {"username": username, "apiKey": lab_api.api_key if key is None else key}}
    code, message = _fault(_post(lab_api, "SoftLayer_Account", "getObject", wrong))
    assert (code, message) == ("SoftLayer_Exception_InvalidLegacyToken", "Invalid authentication token.")


def test_the_user_name_apikey_comes_with_http_basic(lab_api: LabApi) -> None:
    client = lab_api.client(username="apikey")
    assert client["Account"].getObject(mask="id")["id"]
    with pytest.raises(SoftLayerAPIError, match="Access Denied"):
        lab_api.client(username="apikey", api_key="wrong")["Account"].getObject()


def test_unknown_methods_services_and_parameters_are_told_apart(client: Any) -> None:
    with pytest.raises(SoftLayerAPIError) as unknown:
        client["Account"].getNonsense()
    assert unknown.value.faultCode == "SoftLayer_Exception_Public"
    assert unknown.value.faultString == 'Function ("getNonsense") is not a valid method for this service.'
    with pytest.raises(SoftLayerAPIError, match="does not exist"):
        client["Nonsense"].getObject()
    with pytest.raises(SoftLayerAPIError, match="Invalid parameters"):
        client["Virtual_Guest"].createObject()


def test_what_is_no_xml_is_answered_in_the_terms_of_xml_rpc(lab_api: LabApi) -> None:
    response = requests.post(f"{lab_api.endpoint}/SoftLayer_Account", b"{not xml", timeout=20)
    assert _fault(response)[0] == "-32700"


def test_a_missing_object_is_not_found(client: Any) -> None:
    for service in ("Virtual_Guest", "Security_Ssh_Key", "Network_SecurityGroup", "Virtual_PlacementGroup"):
        with pytest.raises(SoftLayerAPIError) as missing:
            client[service].getObject(id=4711)
        assert missing.value.faultCode == "SoftLayer_Exception_ObjectNotFound"
        assert missing.value.faultString == "Unable to find object with id of '4711'."


def test_text_beyond_latin_1_survives_the_way_there_and_back(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    # The SDK itself sends UTF-8 under a declaration of ISO 8859-1, so this request is made by hand.
    guest = client["Virtual_Guest"].createObject(template())
    notes = "Ünïcödé, 東京 <&>"
    headers = {**_keys(lab_api), "SoftLayer_Virtual_GuestInitParameters": {"id": guest["id"]}}
    _post(lab_api, "SoftLayer_Virtual_Guest", "editObject", headers, {"notes": notes})
    assert client["Virtual_Guest"].getObject(id=guest["id"], mask="notes")["notes"] == notes


def test_nil_is_accepted_and_sent(lab_api: LabApi, template: Template) -> None:
    """The SDK sends it for None (`bootMode` in every order); an unset local property comes back as it."""
    lab_api.fault("stuck", step="ASSIGN_HOST")
    headers = {**_keys(lab_api), "SoftLayer_ObjectMask": {"mask": "mask[hostname,notes,provisionDate]"}}
    wanted = {**template(supplementalCreateObjectOptions={"bootMode": None}), "userData": None}
    response = _post(lab_api, "SoftLayer_Virtual_Guest", "createObject", headers, wanted)
    assert str(response.request.body).count("<value><nil/></value>") == 2
    assert response.text.count("<value><nil/></value>") == 2
    ((guest,), _) = xmlrpc.client.loads(response.content)
    assert guest == {"hostname": "galera-1", "notes": None, "provisionDate": None}


def test_ids_may_be_numbers_or_text_and_fit_int32(client: Any, template: Template) -> None:
    guest = client["Virtual_Guest"].createObject(template())
    assert 0 < guest["id"] < 2**31
    assert client["Virtual_Guest"].getObject(id=str(guest["id"]), mask="id")["id"] == guest["id"]
    assert client["Virtual_Guest"].getObject(id=guest["globalIdentifier"], mask="id")["id"] == guest["id"]


def test_lists_are_paged_and_tell_how_many_there_are(
    client: Any, lab_api: LabApi, template: Template
) -> None:
    names = [f"node-{number}" for number in range(7)]
    for name in names:
        client["Virtual_Guest"].createObject(template(hostname=name))
    page = client.call("Account", "getVirtualGuests", limit=3, offset=2, mask="hostname")
    assert [guest["hostname"] for guest in page] == names[2:5]
    assert page.total_count == 7
    everything = client.call("Account", "getVirtualGuests", iter=True, limit=2, mask="hostname")
    assert [guest["hostname"] for guest in everything] == names
    assert lab_api.count("Account", "getVirtualGuests") == 1 + 4


def test_filters_find_guests_by_tag_name_and_datacenter(client: Any, template: Template) -> None:
    manager = SoftLayer.VSManager(client)
    first = client["Virtual_Guest"].createObject(template(hostname="one"))["id"]
    second = client["Virtual_Guest"].createObject(template(hostname="two", datacenter={"name": "dal13"}))[
        "id"
    ]
    manager.set_tags("red,blue", guest_id=first)
    manager.set_tags("blue", guest_id=second)
    assert [guest["id"] for guest in manager.list_instances(tags=["red"])] == [first]
    assert [guest["id"] for guest in manager.list_instances(tags=["blue", "green"])] == [first, second]
    assert [guest["id"] for guest in manager.list_instances(hostname="two", datacenter="dal13")] == [second]
    assert [guest["id"] for guest in manager.list_instances(monthly=False, hostname="o*")] == [first]
    assert manager.list_instances(hourly=False) == []
    assert SoftLayer.SshKeyManager(client).list_keys() == [], "an empty filter is no filter"


def test_a_mask_with_an_unknown_property_is_refused(client: Any) -> None:
    with pytest.raises(SoftLayerAPIError) as refused:
        client["Account"].getObject(mask="mask[id,nonsense]")
    assert refused.value.faultCode == "SoftLayer_Exception_WebService_ObjectMask"


def test_a_mask_as_dictionary_works_as_well(client: Any, template: Template) -> None:
    guest = client["Virtual_Guest"].createObject(template())
    found = client["Virtual_Guest"].getObject(id=guest["id"], mask={"datacenter": {"name": ""}})
    assert found["datacenter"] == {"name": "tor01"}


def test_relations_can_be_asked_for_by_their_getters(client: Any, template: Template) -> None:
    guest = client["Virtual_Guest"].createObject(template())
    assert client["Virtual_Guest"].getDatacenter(id=guest["id"], mask="name") == {"name": "tor01"}
    devices = client["Virtual_Guest"].getBlockDevices(id=guest["id"], mask="mask[diskImage[capacity]]")
    assert [(device["device"], device["diskImage"]["capacity"]) for device in devices] == [
        ("0", 25),
        ("1", 2),
        ("2", 25),
    ]


def test_dates_carry_an_offset_and_fees_are_text(client: Any, template: Template) -> None:
    guest = client["Virtual_Guest"].createObject(template())
    assert guest["createDate"].endswith("+00:00")
    container = client["Virtual_Guest"].generateOrderTemplate(template())
    for price in client["Product_Order"].verifyOrder(container)["prices"]:
        assert isinstance(price.get("hourlyRecurringFee", "0"), str)
        assert isinstance(price["item"]["capacity"], str)
        assert price["item"]["description"]


def _call_until_refused(client: Any) -> None:
    for _ in range(2000):
        client["Account"].getObject(mask="id")


def test_one_call_too_many_within_a_second_is_refused(client: Any, lab_api: LabApi) -> None:
    lab_api.rate_limit(3)
    with pytest.raises(SoftLayerAPIError) as limited:
        _call_until_refused(client)
    assert limited.value.faultCode == "SoftLayer_Exception_WebService_RateLimitExceeded"
    assert limited.value.faultString == "Rate limit of 3 requests for every 1 second(s) exceeded."


def test_the_key_is_in_no_log_and_in_no_file(
    client: Any, lab_api: LabApi, template: Template, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    client["Virtual_Guest"].createObject(template())
    with pytest.raises(exceptions.SoftLayerAPIError):
        lab_api.client(api_key="f" * 64)["Account"].getObject()
    assert lab_api.api_key not in repr(lab_api.server.credentials)
    assert lab_api.api_key not in str(lab_api.calls())
    # The SDK itself logs nothing here; whatever is logged is the API's.
    assert lab_api.api_key not in caplog.text
    for path in lab_api.state.iterdir():
        assert lab_api.api_key.encode() not in path.read_bytes()
