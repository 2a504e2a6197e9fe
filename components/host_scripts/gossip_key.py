"""Another key for the gossip of Consul's members, while all of them run.

Owns: that step on a manager. Leaves to others: drawing the key, and the service's change, in which each
member starts anew and then knows this key alone (components/consul.py).

A member's messages are encrypted with one key, and it understands all that it has. So first all of them are
given the new one, then all speak with it; only after that may a member start that knows no other. Both are
kept in memory only (images/consul: the secret is the one truth).
"""

from __future__ import annotations

from components.host_scripts.shell import assign, body

PATIENCE = 300
"""Seconds for all members to take it: one may just be starting."""
PROGRAM = """\
import http.client, json, ssl, sys
key, secrets = sys.stdin.readline().strip(), "/run/secrets/"
tls = ssl.create_default_context(cafile=secrets + "consul-ca.crt")
tls.load_cert_chain(secrets + "consul.crt", secrets + "consul.key")
with open(secrets + "consul-management-token") as file:
    token = file.read().strip()
for method in ("POST", "PUT"):  # known by all; then spoken by all
    asked = http.client.HTTPSConnection("127.0.0.1", 8501, timeout=30, context=tls)
    try:
        asked.request(method, "/v1/operator/keyring", json.dumps({"Key": key}), {"X-Consul-Token": token})
        answer = asked.getresponse()
        said = answer.read().decode(errors="replace").replace(key, "…").strip()
    except OSError as error:
        sys.exit("the agent does not answer: " + str(error))
    if answer.status != 200:
        sys.exit(said[:300] or "status " + str(answer.status))
"""
"""Runs in a member's container, with Python's own library. Standard input: the key."""


def in_use(service: str) -> str:
    """Shell text for a manager. Standard input: the key, in base64. Nothing is done without the service."""
    return f"{assign(service=service, patience=PATIENCE, program=PROGRAM)}\n{_IN_USE}"


_IN_USE = body("gossip_key")
