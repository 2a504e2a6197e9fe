"""Members of Consul as containers, as the stack's service would run them.

Owns their environment, secrets and certificates, and questions to them. Leaves the machinery to
`image_containers`.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from components import certificates
from components.certificates import Signed
from harness.image_containers import Container, Site, wait_for

DATACENTER = "lab01"
NOW = dt.datetime.now(dt.UTC)
LONG_AGO = NOW - dt.timedelta(days=4000)
"""What is signed then has expired."""
MANAGEMENT, AGENT, GALERA, CONSUMER = (f"6b7a1c52-7d4e-4c53-8ad4-0a4b4c1f000{n}" for n in range(1, 5))
TOKENS = {
    "consul-management-token": MANAGEMENT,
    "consul-agent-token": AGENT,
    "store-token": GALERA,
    "consul-consumer-token": CONSUMER,
    "consul-gossip-key": base64.b64encode(b"gossip of the tests, 32 bytes...").decode(),
}
ON_PATH = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Authority:
    """Signs certificates for members and their clients, as the stack's does."""

    def __init__(self) -> None:
        self._signed = certificates.new_authority("consul", NOW)

    @property
    def certificate(self) -> str:
        return self._signed.certificate

    def member(self, addresses: Sequence[str], when: dt.datetime = NOW) -> Signed:
        """One for all members, with both purposes, signed at `when`."""
        names = [f"server.{DATACENTER}.consul", "localhost", "127.0.0.1", *addresses]
        return certificates.peer_certificate("consul", names, self._signed, when)

    def client(self, when: dt.datetime = NOW) -> Signed:
        """What a client shows that was let in at `when`."""
        return certificates.client_certificate("galera", self._signed, when)


def address(number: int) -> str:
    return f"10.77.0.{10 + number}"


def member_secrets(authority: Authority, addresses: Sequence[str], when: dt.datetime = NOW) -> dict[str, str]:
    """The secrets of all members, whose certificate was signed at `when`."""
    pair = authority.member(addresses, when)
    files = {
        "consul-ca.crt": authority.certificate,
        "consul.crt": pair.certificate,
        "consul.key": pair.private_key,
    }
    return TOKENS | files


def client_secrets(authority: Authority, client: Signed, token: str = GALERA) -> dict[str, str]:
    """The secrets by which Galera's nodes know their store."""
    files = {"store-ca.crt": authority.certificate, "store-client.crt": client.certificate}
    return files | {"store-client.key": client.private_key, "store-token": token}


def environment(number: int, listed: Sequence[int], servers: int) -> dict[str, str]:
    """What a member's service tells it. Galera reaches it at the one interface that there is: its bridge."""
    return {
        "NODE_NAME": f"galera-{number}",
        "CONSUL_HOSTS": ",".join(f"galera-{n}={address(n)}" for n in listed),
        "CONSUL_SERVERS": str(servers),
        "CLUSTER_TOKEN": "test",
        "DATACENTER": DATACENTER,
        "GATEWAY_BRIDGE": "eth0",
        "SERVICES": "/run/secrets/services.json",
    }


def add_consul(
    site: Site, number: int, secrets: Mapping[str, str], listed: Sequence[int], servers: int
) -> Container:
    """Member `galera-NUMBER`, not yet started."""
    return site.add(
        f"consul-{number}",
        "consul",
        10 + number,
        user="997:997",
        volume_at="/var/lib/consul",
        command=("/usr/local/bin/consul-member", "run"),
        env=environment(number, listed, servers),
        secrets={"services.json": "[]", **secrets},
        hosts="",
    )


def serves(member: Container) -> bool:
    """The image's own health check."""
    return member.run("/usr/local/bin/consul-member", "health").returncode == 0


ASK = """
import http.client, json, ssl, sys
host, method, path, token, body, ca, certificate, key = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if certificate:
    context.load_cert_chain(certificate, key)
connection = http.client.HTTPSConnection(host, 8501, timeout=10, context=context)
connection.request(method, path, body or None, {"X-Consul-Token": token} if token else {})
answer = connection.getresponse()
print(json.dumps([answer.status, answer.read().decode()]))
"""


def ask(
    member: Container,
    path: str,
    method: str = "GET",
    body: Any = None,
    token: str = MANAGEMENT,
    certificate: str = "consul",
) -> tuple[int, Any]:
    """Status and answer of a member's API, asked on its loopback. OSError when it does not answer.

    `certificate`: the name of the secrets with what is shown; empty for none.
    """
    shown = [f"/run/secrets/{certificate}.{end}" if certificate else "" for end in ("crt", "key")]
    text = "" if body is None else json.dumps(body)
    words = ["localhost", method, path, token, text, "/run/secrets/consul-ca.crt", *shown]
    done = member.run("/usr/bin/python3", "-ISc", ASK, *words)
    if done.returncode != 0:
        raise OSError(done.stderr.strip())
    status, answer = json.loads(done.stdout)
    try:
        return status, json.loads(answer) if answer else None
    except ValueError:
        return status, answer


def leader(member: Container) -> str:
    """The leader's address and port, as this member knows it."""
    return str(ask(member, "/v1/status/leader")[1] or "")


def consul(member: Container, *words: str) -> str:
    """The program itself, as a person uses it in the container."""
    env = {
        "CONSUL_HTTP_ADDR": "https://127.0.0.1:8501",
        "CONSUL_TLS_SERVER_NAME": "localhost",
        "CONSUL_CACERT": "/run/secrets/consul-ca.crt",
        "CONSUL_CLIENT_CERT": "/run/secrets/consul.crt",
        "CONSUL_CLIENT_KEY": "/run/secrets/consul.key",
        "CONSUL_HTTP_TOKEN_FILE": "/run/secrets/consul-management-token",
    }
    done = member.run("/usr/bin/env", *(f"{key}={value}" for key, value in env.items()), "consul", *words)
    if done.returncode != 0:
        raise OSError((done.stdout + done.stderr).strip())
    return done.stdout


DNS = """
import socket, struct, sys
name, host = sys.argv[1:]
packet = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0)
packet += b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
packet += b"\\0" + struct.pack(">2H", 1, 1)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.settimeout(5)
    asking.sendto(packet, (host, 53))
    answer = asking.recv(4096)
count, = struct.unpack(">H", answer[6:8])
at = len(packet)
for _ in range(count):
    kind, _, _, length = struct.unpack(">2HIH", answer[at + 2 : at + 12])
    if kind == 1:
        print(socket.inet_ntoa(answer[at + 12 : at + 16]))
    at += 12 + length
"""


def resolved(member: Container, name: str, at: str = "127.0.0.1") -> list[str]:
    """The addresses that the name server of this member knows, sorted. OSError when it does not answer."""
    done = member.run("/usr/bin/python3", "-ISc", DNS, name, at)
    if done.returncode != 0:
        raise OSError(done.stderr.strip())
    return sorted(done.stdout.split())


def formed(members: Sequence[Container]) -> None:
    """Waits until all serve, and the rights are made."""
    for each in members:
        wait_for(lambda each=each: serves(each), f"{each.name} serves", 120)  # type: ignore[misc]
    wait_for(
        lambda: ask(members[0], "/v1/acl/token/self", token=CONSUMER)[0] == 200, "the rights are made", 60
    )
