"""What is read of a stack's state, where its outputs are not there."""

from __future__ import annotations

import pytest

from operations import outputs_of_state

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("service", ["application", "haproxy"])
def test_a_service_besides_the_database_is_not_taken_for_the_store(service: str) -> None:
    def resource(kind: str, **told: object) -> dict[str, object]:
        return {"type": f"docker:index/{kind}:{kind.capitalize()}", "outputs": told}

    ready = {"hostname": "galera-1", "private_ip": "10.144.12.1", "public_ip": "203.0.113.1", "host_key": "k"}
    resources = [
        {"type": "pulumi-python:dynamic/softlayer:GuestReady", "outputs": ready},
        *(resource("service", name=name) for name in (service, "galera", "etcd")),
        resource("network", name="galera"),
    ]
    told = outputs_of_state.from_state({"deployment": {"resources": resources}}, ["galera-1"], None)
    assert told is not None
    assert told.store == "etcd"
