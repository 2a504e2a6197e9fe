"""How a service is reached: by VIP or DNS round robin, and on which published ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.plugins.docker.schema import block, integer, listed, string
from lab.plugins.docker.translation import present

_PORT = block(
    {
        "name": string(),
        "protocol": string(default="tcp", one_of=("tcp", "udp", "sctp")),
        "targetPort": integer(required=True),
        "publishedPort": integer(),
        "publishMode": string(default="ingress", one_of=("ingress", "host")),
    }
)

ENDPOINT = block({"mode": string(one_of=("vip", "dnsrr")), "ports": listed(_PORT)})


def to_spec(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """An EndpointSpec for canonical inputs."""
    return present(
        Mode=endpoint.get("mode"),
        Ports=[
            present(
                Name=port.get("name"),
                Protocol=port["protocol"],
                TargetPort=port["targetPort"],
                PublishedPort=port.get("publishedPort"),
                PublishMode=port["publishMode"],
            )
            for port in endpoint.get("ports", [])
        ],
    )


def to_inputs(spec: Mapping[str, Any], endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Plain inputs that describe an inspected service's EndpointSpec and Endpoint."""
    # Published ports that the engine chose are only in the endpoint, not in the specification.
    ports = endpoint.get("Ports") or spec.get("Ports") or []
    return present(
        mode=spec.get("Mode") or endpoint.get("Spec", {}).get("Mode"),
        ports=[
            present(
                name=port.get("Name"),
                protocol=port.get("Protocol", "tcp"),
                targetPort=port["TargetPort"],
                publishedPort=port.get("PublishedPort"),
                publishMode=port.get("PublishMode", "ingress"),
            )
            for port in ports
        ],
    )
