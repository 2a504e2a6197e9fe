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
        "publishedPort": integer(computed=True),
        "publishMode": string(default="ingress", one_of=("ingress", "host")),
    }
)

ENDPOINT = block(
    {"mode": string(one_of=("vip", "dnsrr"), computed=True), "ports": listed(_PORT)}, computed=True
)


def to_spec(endpoint: Mapping[str, Any] | None) -> dict[str, Any]:
    """An EndpointSpec for planned inputs."""
    return present(
        Mode=(endpoint or {}).get("mode"),
        Ports=[
            present(
                Name=port["name"],
                Protocol=port["protocol"],
                TargetPort=port["targetPort"],
                PublishedPort=port["publishedPort"],
                PublishMode=port["publishMode"],
            )
            for port in (endpoint or {}).get("ports") or []
        ],
    )


def found(spec: Mapping[str, Any], endpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an inspected service's EndpointSpec and Endpoint say, in the inputs' words.

    None while the engine has not dealt with it yet.
    """
    dealt_with = endpoint.get("Spec", {}).get("Mode")
    # Published ports that the engine chose are only in the endpoint, not in the specification.
    ports = (endpoint if dealt_with else spec).get("Ports") or []
    mode = dealt_with or spec.get("Mode")
    if not mode:
        return None
    return {
        "mode": mode,
        "ports": [
            {
                "name": port.get("Name"),
                "protocol": port.get("Protocol", "tcp"),
                "targetPort": port["TargetPort"],
                "publishedPort": port.get("PublishedPort"),
                "publishMode": port.get("PublishMode", "ingress"),
            }
            for port in ports
        ],
    }
