"""Who may do what: the store's policies and tokens, made once there is a leader.

Owns the rules, and bringing them to the store: idempotent, so that whichever server leads does it each time.
Leaves to others when that is (`supervise`).

The management token is Consul's own doing (`acl.tokens.initial_management`). Tokens are never taken away
here: one that is replaced is to be deleted by a person once nobody uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from .api import AgentApi, ApiError
from .settings import AGENT, CONSUMER, GALERA, Settings

PREFIX = "swarm-galera-"  # of the policies' names
ANONYMOUS = "00000000-0000-0000-0000-000000000002"  # accessor of the token that counts where none is shown
KEYS = "swarm-galera/"  # below it are Galera's records
DATABASE = "db"  # the service that Galera's nodes announce


@dataclass(frozen=True)
class Right:
    """A policy; `secret` names the file of the token that has it, None for those who show none."""

    name: str
    description: str
    rules: str
    secret: str | None


def rule(kind: str, name: str, policy: str) -> str:
    """One rule in Consul's language."""
    return f'{kind} "{name}" {{ policy = "{policy}" }}\n'


def rights(announced: Sequence[str]) -> list[Right]:
    """All policies of a stack. `announced`: the services that the agents themselves announce."""
    look = rule("service_prefix", "", "read") + rule("node_prefix", "", "read")
    agents = rule("node_prefix", "", "write") + rule("service_prefix", "", "read")
    galera = (
        rule("key_prefix", KEYS, "write")
        + rule("session_prefix", "", "write")
        + rule("service", DATABASE, "write")
        + rule("node_prefix", "", "read")
    )
    return [
        Right(
            "agent",
            "The agents of all hosts: themselves and the services that they announce",
            agents + "".join(rule("service", name, "write") for name in announced),
            AGENT,
        ),
        Right("galera", "Galera's nodes: their records, sessions, and the service db", galera, GALERA),
        Right("consumer", "Whoever looks for services; no keys", look, CONSUMER),
        Right("anonymous", "DNS, which shows no token", look, None),
    ]


def ensure(api: AgentApi, settings: Settings, log: Callable[[str], None]) -> None:
    """Makes what is missing. Raises ApiError; then it is to be repeated."""
    for right in rights(settings.announced):
        name = _ensure_policy(api, right, log)
        if right.secret is not None:
            _ensure_token(api, right, name, settings.secret(right.secret), log)
        else:
            _ensure_anonymous(api, name, log)


def _ensure_policy(api: AgentApi, right: Right, log: Callable[[str], None]) -> str:
    name = PREFIX + right.name
    wanted = {"Name": name, "Description": right.description, "Rules": right.rules}
    try:
        known = api.ask("GET", f"/v1/acl/policy/name/{quote(name)}")
    except ApiError as error:
        if error.status != 404:
            raise
        known = None
    if known is None:
        api.ask("PUT", "/v1/acl/policy", wanted)
        log(f"policy {name} made")
    elif any(known.get(key) != value for key, value in wanted.items()):
        api.ask("PUT", f"/v1/acl/policy/{known['ID']}", {"ID": known["ID"], **wanted})
        log(f"policy {name} changed to what this version says")
    return name


def _ensure_token(api: AgentApi, right: Right, policy: str, secret: str, log: Callable[[str], None]) -> None:
    try:
        known = api.ask("GET", "/v1/acl/token/self", token=secret)
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        made = {"SecretID": secret, "Description": right.description, "Policies": [{"Name": policy}]}
        api.ask("PUT", "/v1/acl/token", made)
        log(f"token for {right.name} made")
        return
    if [each["Name"] for each in known.get("Policies") or ()] != [policy]:
        changed = {**known, "Policies": [{"Name": policy}]}
        api.ask("PUT", f"/v1/acl/token/{known['AccessorID']}", changed)
        log(f"token for {right.name} has no other policy than {policy} now")


def _ensure_anonymous(api: AgentApi, policy: str, log: Callable[[str], None]) -> None:
    path = f"/v1/acl/token/{ANONYMOUS}"
    known = api.ask("GET", path)
    if [each["Name"] for each in known.get("Policies") or ()] != [policy]:
        api.ask("PUT", path, {**known, "Policies": [{"Name": policy}]})
        log("who shows no token may look for services, as DNS does")
