"""Runs the whole program against recording mocks: no engine, no cloud, no hosts.

Owns: the recording and the settings the tests start from. Leaves to others: what is expected of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import runpy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pulumi
from pulumi import resource_hooks
from pulumi.runtime import mocks as pulumi_mocks
from pulumi.runtime import rpc
from pulumi.runtime.config import set_all_config

from components.certificates import new_authority
from components.own_hosts import look
from components.own_hosts.facts import Facts
from components.softlayer import cost, subnets
from components.softlayer.guest_seen import Guest
from settings import Settings
from settings.server import Server

ROOT = Path(__file__).resolve().parents[2]

SETTINGS: dict[str, Any] = {
    "endpoint": "http://127.0.0.1:9/xmlrpc/v3.1",
    "ssh": {"allowedCidrs": ["203.0.113.0/24"]},
    "servers": {"domain": "example.com", "datacenter": "tor01"},
    "discovery": {"image": "registry.lab:5000/etcd:3.4-1"},
    "galera": {"image": "registry.lab:5000/galera:10.11-1"},
}
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
"""What every tag stands for."""


@dataclass
class Recorded:
    """What the program declared: by resource name in the order of declaration, and its exports.

    Attributes: protected: resources that Pulumi would not delete. ignored: properties whose changes it does
            not see, by resource. depends_on: names of what each one waits for, as it gets into the state.
    """

    resources: dict[str, pulumi_mocks.MockResourceArgs] = field(default_factory=dict)
    protected: set[str] = field(default_factory=set)
    depends_on: dict[str, set[str]] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    """The URN's end of each resource's parent: with the name and the type, all that makes its own URN."""
    aliases: dict[str, list[str]] = field(default_factory=dict)
    deleted_with: dict[str, str] = field(default_factory=dict)
    """The resource with which each one goes without being asked; empty for none."""
    deleted_first: set[str] = field(default_factory=set)
    """What goes before its replacement is made, because the program says so."""
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: set[str] = field(default_factory=set)
    secret_inputs: dict[str, set[str]] = field(default_factory=dict)
    ignored: dict[str, list[str]] = field(default_factory=dict)
    """Properties of which a change is ignored, by resource name."""
    replacement_triggers: dict[str, str] = field(default_factory=dict)
    """What replaces a resource when it changes, by resource name."""
    estimated: list[tuple[Any, ...]] = field(default_factory=list)
    """What the price was asked for: shapes by host name, and the limit; then the owner it is compared for."""

    def of_type(self, token: str) -> dict[str, pulumi_mocks.MockResourceArgs]:
        """Resources of one type token, by name."""
        return {name: made for name, made in self.resources.items() if made.typ == token}


def holds_secret(value: Any) -> bool:
    """Whether a property that goes over the wire is a secret, or has one in it."""
    if isinstance(value, dict):
        return rpc.is_rpc_secret(value) or any(holds_secret(item) for item in value.values())
    return isinstance(value, list) and any(holds_secret(item) for item in value)


def plain(value: Any) -> Any:
    """The property without its wrapping as a secret."""
    if isinstance(value, dict):
        if rpc.is_rpc_secret(value):
            return plain(value["value"])
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


COMMANDS = ("command:remote:Command", "command:local:Command")
"""Steps on one host, and on any manager."""
FITTING = Facts(
    host_key="ssh-ed25519 AAAA",
    systems=("debian",),
    system_name="Debian GNU/Linux 12 (bookworm)",
    machine="x86_64",
    systemd=True,
    filesystem="ext4",
    btrfs=True,
    disk="disk",
)
"""A host of one's own that nothing is wrong with, and without an engine."""
FORMER_URNS: list[str] = []
"""What the stack's state has."""
FORMER_OUTPUTS: dict[str, dict[str, Any]] = {}
"""Outputs in the stack's state, by the resource's name."""
OTHERWISE: dict[str, dict[str, Any]] = {}
"""By a resource's name, what is to be another value than the made-up one; also its id."""


_OF_CERTIFICATE = {"ca_certificate": "CA", "certificate": "CERTIFICATE", "private_key": "PEER KEY"}
KEYS: dict[str, dict[str, Any]] = {
    "authority": {"certificate": "CA", "private_key": "AUTHORITY KEY"},
    "certificate": _OF_CERTIFICATE,
    "certificates": _OF_CERTIFICATE,
    "keys": {"former": [{"generation": 1, "key": "SWMKEY-1-former"}]},
}
"""What resources with keys put out, by the end of their names."""


def said_by(args: pulumi_mocks.MockResourceArgs) -> str:
    """What the script of a step would print on its host, without running it."""
    if args.name == "swarm-started":
        return json.dumps({"cluster": "c", "node": "n1", "manager": "SWMTKN-m", "worker": "SWMTKN-w"})
    if args.name == "swarm-autolock-key":
        return json.dumps({"key": "SWMKEY-1-now", "replaced": ""})
    if args.name.endswith("-image-resolved"):
        (image,) = args.inputs["triggers"]
        return image if "@" in image else f"{image}@{DIGEST}"
    return f"stdout-of-{args.name}"


def met(args: pulumi_mocks.MockResourceArgs) -> dict[str, Any]:
    """What is known of a host once it answers. Resources arrive in any order, so the name has the address."""
    if args.typ.endswith(":TakenIn"):
        return {"private_ip": args.inputs["address"], "host_key": args.inputs["seen"] or "ssh-ed25519 AAAA"}
    *in_pool, number, _ = args.name.split("-")[1:]
    last = 10 + int(number) + (100 if in_pool else 0)
    return {
        "public_ip": f"203.0.113.{last}",
        "private_ip": f"10.144.12.{last}",
        "host_key": "ssh-ed25519 AAAA",
    }


def told_again(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs of a run before, with real certificates in place of made-up ones: they are looked at."""
    told, real = dict(outputs), {"caCertificate": new_authority("a", dt.datetime.now(dt.UTC)).certificate}
    galera, access = told.get("galera") or {}, told.get("discoveryAccess") or {}
    if (galera.get("tls") or {}).get("caCertificate") == "CA":
        told["galera"] = {**galera, "tls": {**galera["tls"], **real}}
    if access.get("caCertificate") == "CA":
        told["discoveryAccess"] = {**access, **real}
    return told


class Recorder(pulumi_mocks.Mocks):
    """Answers like the providers do, with made-up values."""

    def __init__(self, former: Mapping[str, Any]) -> None:
        self.recorded, self.former = Recorded(), former

    def new_resource(self, args: pulumi_mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.recorded.secret_inputs[args.name] = {
            key for key, value in args.inputs.items() if holds_secret(value)
        }
        args.inputs = plain(args.inputs)
        self.recorded.resources[args.name] = args
        outputs = dict(args.inputs)
        if args.name.endswith("-ready"):
            outputs |= met(args)
        elif args.typ in COMMANDS:
            outputs |= {"stdout": said_by(args), "stderr": ""}
        elif args.typ in ("docker:index/secret:Secret", "docker:index/serviceConfig:ServiceConfig"):
            outputs.setdefault("name", f"{args.name}-1a2b3c4")
        elif args.typ.endswith((":Password", ":Token")):
            outputs["value"] = f"value-of-{args.name}"
        elif args.name == "identity":
            outputs["owner"] = "swarm-galera/test/0123456789ab"
        elif args.name.endswith("-pair"):
            outputs |= {"private_key": "PRIVATE KEY", "public_key": "ssh-ed25519 AAAA"}
        elif args.name.endswith(tuple(KEYS)):
            outputs |= KEYS[args.name.rpartition("-")[2]]
        elif args.name.endswith("-image"):
            outputs["reference"] = args.inputs["found"]
        elif args.name.endswith("-rollout"):
            outputs["changes"] = 0
        elif args.name == "ssh-key":
            outputs["key"] = "ssh-ed25519 AAAA"
        outputs |= OTHERWISE.get(args.name, {})
        return outputs.pop("id", f"id-of-{args.name}"), outputs

    def call(self, args: pulumi_mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token == "pulumi:pulumi:readStackResourceOutputs":
            of_names = {f"urn::x::{name}": {"outputs": told} for name, told in FORMER_OUTPUTS.items()}
            outputs: dict[str, Any] = {**{urn: {"outputs": {}} for urn in FORMER_URNS}, **of_names}
            return {"name": args.args["stackName"], "outputs": outputs}, []
        if args.token == "pulumi:pulumi:readStackOutputs":
            return {"name": args.args["name"], "outputs": told_again(self.former)}, []
        raise AssertionError(f"the program calls {args.token} while it is planned")


class Monitor(pulumi_mocks.MockMonitor):
    """Records what of a resource the mocks are not told."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._recorded = recorder.recorded

    def RegisterResource(self, request: Any) -> Any:
        """Note the options, then answer as the mocks do."""
        if request.protect:
            self._recorded.protected.add(request.name)
        if request.deleteBeforeReplace:
            self._recorded.deleted_first.add(request.name)
        self._recorded.deleted_with[request.name] = request.deletedWith.rsplit("::", 1)[-1]
        self._recorded.ignored[request.name] = list(request.ignoreChanges)
        self._recorded.parents[request.name] = request.parent.rsplit("::", 1)[-1]
        self._recorded.aliases[request.name] = [str(alias).strip() for alias in request.aliases]
        if request.HasField("replacement_trigger"):
            self._recorded.replacement_triggers[request.name] = request.replacement_trigger.string_value
        self._recorded.depends_on[request.name] = {urn.rsplit("::", 1)[1] for urn in request.dependencies}
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def hook_registered(_hook: pulumi.ResourceHook) -> asyncio.Future[None]:
    """As Pulumi's engine does; mocks have no way back into the program."""
    done: asyncio.Future[None] = asyncio.get_event_loop().create_future()
    done.set_result(None)
    return done


def estimate_of(hosts: Mapping[str, Any]) -> cost.Estimate:
    """An estimate that needed no API."""
    price = cost.Price(Decimal("0.1"), Decimal("70"))
    total = cost.Price(price.hourly * len(hosts), price.monthly * len(hosts))
    return cost.Estimate(hosts=dict.fromkeys(hosts, price), total=total, currency="USD", adds=tuple(hosts))


def run(
    overrides: Mapping[str, Any] | None = None,
    guests: Mapping[str, Guest] | None = None,
    *,
    secrets: Sequence[str] = (),
    asks_the_api: bool = False,
    former: Mapping[str, Any] | None = None,
    seen: Mapping[str, Facts] | None = None,
    preview: bool = False,
) -> Recorded:
    """Run `__main__.py` with `SETTINGS`, sections merged with `overrides`, and wait for all of it.

    Of a stack of hosts of one's own only, nothing of what `SETTINGS` says of orders is there.

    Args:
        seen: hosts of one's own that are not as `FITTING`, by name.
        guests: the stack's servers in the account, by host name.
        secrets: the keys of settings that are encrypted in the stack's file.
        asks_the_api: as it does in earnest; else prices and subnets are made up.
        former: outputs of the stack's last complete run.
        preview: as in a preview, where a value of None is one that is not known.
    """
    config = {key: dict(value) if isinstance(value, dict) else value for key, value in SETTINGS.items()}
    if (overrides or {}).get("servers", {}).get("kind") == "existing":
        config = {key: value for key, value in config.items() if key not in ("endpoint", "ssh", "servers")}
    for key, value in (overrides or {}).items():
        config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
    flat = {
        f"swarm-galera:{key}": json.dumps(value) if isinstance(value, dict | list) else str(value)
        for key, value in config.items()
        if value is not None
    }
    recorder = Recorder(former or {})
    # The stack's own resource stays from test to test, and with it another test's project.
    pulumi.runtime.settings.ROOT.set(None)
    # Mocks answer on other threads, which see of a context variable its default: what came first after None.
    pulumi.runtime.settings.SETTINGS.dry_run = None
    pulumi.runtime.set_mocks(
        recorder, project="swarm-galera", stack="test", preview=preview, monitor=Monitor(recorder)
    )
    set_all_config(flat, [f"swarm-galera:{key}" for key in secrets])
    exports: dict[str, pulumi.Output[Any]] = {}

    def estimate(_api: Any, servers: Mapping[str, Server], limit: Decimal | None) -> cost.Estimate:
        recorder.recorded.estimated.append((servers, limit))
        return estimate_of(servers)

    def looked(settings: Settings, _key: str | None, last: Mapping[str, Any]) -> look.Looked:
        hosts = {host.name: host for host in settings.servers.own}
        facts = {
            name: replace(FITTING, hostname=name, engine_name=name, addresses=(host.address,), boot=name)
            for name, host in hosts.items()
        }
        listen = settings.engine.access == "tls"
        return look.Looked(hosts, facts | dict(seen or {}), frozenset(look.pinned_keys(last)), listen)

    def compared(_api: Any, plan: cost.Estimate, owner: str | None) -> cost.Estimate:
        recorder.recorded.estimated.append((owner,))
        return replace(plan, guests=guests or {})

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> pulumi.Output[Any]:
        with contextlib.ExitStack() as made_up:
            made_up.enter_context(patched(pulumi, "export", export))
            made_up.enter_context(patched(resource_hooks, "register_resource_hook", hook_registered))
            made_up.enter_context(patched(look, "look", looked))
            if not asks_the_api:
                made_up.enter_context(patched(cost, "estimate", estimate))
                made_up.enter_context(patched(cost, "compared", compared))
                made_up.enter_context(patched(subnets, "refuse_overlap", lambda api, subnet: None))
            runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
        marks: list[Any] = [value.is_secret() for value in exports.values()]
        secrets = pulumi.Output.all(*marks)
        return pulumi.Output.all(pulumi.Output.all(**exports), secrets).apply(note)

    def export(name: str, value: Any) -> None:
        exports[name] = pulumi.Output.from_input(value)

    def note(known: list[Any]) -> None:
        recorder.recorded.outputs = known[0]
        recorder.recorded.secret_outputs = {
            name for name, secret in zip(exports, known[1], strict=True) if secret
        }

    program()
    return recorder.recorded


@contextlib.contextmanager
def patched(target: Any, name: str, value: Any) -> Iterator[None]:
    """`target.name` is `value` for a while."""
    before = getattr(target, name)
    setattr(target, name, value)
    try:
        yield
    finally:
        setattr(target, name, before)
