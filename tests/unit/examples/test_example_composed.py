"""The example of a project that composes the cluster itself, from the package as it is installed."""

from __future__ import annotations

import base64
import datetime as dt
import importlib
import json
import runpy
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import resource_hooks
from pulumi.runtime.config import set_all_config

from tests.support.node_certificates import NodeCertificates
from tests.unit.packaged import installed
from tests.unit.program import FITTING, ROOT, Monitor, Recorded, Recorder, hook_registered, patched, run

pytestmark = pytest.mark.unit

EXAMPLE = ROOT / "examples/composed"
PROJECT = "swarm-galera-composed"
HOSTS: list[dict[str, Any]] = [{"name": f"db{number}", "address": f"10.0.0.{number}"} for number in (1, 2, 3)]
IMAGES = {name: (ROOT / f"images/{name}/TAG").read_text().strip() for name in ("etcd", "galera")}


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The package is there, an agent has the key, and there is no account."""
    installed()
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.delitem(sys.modules, "reports", raising=False)
    for name in ("SL_USERNAME", "SL_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")


def composed(config: Mapping[str, Any] | None = None, former: Mapping[str, Any] | None = None) -> Recorded:
    """Run the example. Args: config: its settings, where they differ. former: outputs of the last run."""
    look = importlib.import_module("swarm_galera.components.own_hosts.look")
    given = {
        "hosts": HOSTS,
        "registry": "reg.example/mine",
        "database": "shop",
        "reports": "reg.example/reports:4",
        **(config or {}),
    }
    recorder = Recorder(former or {})
    pulumi.runtime.settings.ROOT.set(None)
    pulumi.runtime.set_mocks(
        recorder, project=PROJECT, stack="test", preview=False, monitor=Monitor(recorder)
    )
    set_all_config(
        {
            f"{PROJECT}:{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in given.items()
        }
    )

    def looked(settings: Any, _key: str | None, last: Mapping[str, Any]) -> Any:
        hosts = {host.name: host for host in settings.servers.own}
        facts = {
            name: replace(FITTING, hostname=name, engine_name=name, addresses=(host.address,), boot=name)
            for name, host in hosts.items()
        }
        return look.Looked(hosts, facts, frozenset(look.pinned_keys(last)))

    exports: dict[str, pulumi.Output[Any]] = {}

    def export(name: str, value: Any) -> None:
        exports[name] = pulumi.Output.from_input(value)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def example() -> pulumi.Output[Any]:
        with (
            patched(pulumi, "export", export),
            patched(resource_hooks, "register_resource_hook", hook_registered),
            patched(look, "look", looked),
        ):
            runpy.run_path(str(EXAMPLE / "__main__.py"), run_name="__main__")
        marks: list[Any] = [value.is_secret() for value in exports.values()]
        return pulumi.Output.all(pulumi.Output.all(**exports), pulumi.Output.all(*marks)).apply(note)

    def note(known: list[Any]) -> None:
        recorder.recorded.outputs = known[0]
        recorder.recorded.secret_outputs = {
            name for name, secret in zip(exports, known[1], strict=True) if secret
        }

    example()
    return recorder.recorded


def env_of(made: Recorded, service: str) -> Any:
    return made.resources[service].inputs["taskSpec"]["containerSpec"]["env"]


def test_a_cluster_on_own_hosts_with_a_service_more_and_no_application() -> None:
    made = composed()
    services = made.of_type("docker:index/service:Service")
    assert services.keys() == {"etcd-service", "galera-service", "reports-service"}
    for name, wanted in (
        ("etcd", f"reg.example/mine/etcd:{IMAGES['etcd']}"),
        ("galera", f"reg.example/mine/galera:{IMAGES['galera']}"),
        ("reports", "reg.example/reports:4"),
    ):
        image = services[f"{name}-service"].inputs["taskSpec"]["containerSpec"]["image"]
        assert image.startswith(f"{wanted}@sha256:")
    asked_of_an_account = {
        name for name, each in made.resources.items() if "dynamic/softlayer" in each.typ
    } - {"identity"}
    assert asked_of_an_account == set()


def test_it_is_the_cluster_that_the_project_above_makes_of_the_same_settings() -> None:
    """So composing it oneself forgets nothing: all else there is, is the service and its image."""
    made = composed()
    servers = {"kind": "existing", "hosts": HOSTS}
    above = run({"servers": servers, "galera": {"image": "x:1", "database": "shop"}})
    assert made.resources.keys() - above.resources.keys() == {
        *("reports", "reports-service", "reports-rollout", "reports-running"),
        *("reports-database-password", "reports-image-resolved", "reports-image"),
    }
    assert above.resources.keys() - made.resources.keys() == set()
    more = {name for name in made.resources if name.startswith("reports")}
    for name in above.resources:
        assert made.depends_on[name] - more == above.depends_on[name], name


def test_certificates_that_have_all_expired_are_changed_at_the_same_time() -> None:
    ago = NodeCertificates(ago=dt.timedelta(days=3651)).authority["certificate"]
    former = {"galera": {"tls": {"generation": 1, "caCertificate": ago}, "mariadb": "11.8"}}
    made = composed(former={**former, "discoveryAccess": {"caCertificate": ago}})
    told = {
        name: made.resources[f"{name}-service"].inputs["updateConfig"]["parallelism"]
        for name in ("etcd", "galera", "reports")
    }
    assert told == {"etcd": 3, "galera": 3, "reports": 1}


def test_passwords_that_were_rotated_do_not_come_back_with_a_generation_that_is_left_out() -> None:
    with pytest.raises(pulumi.RunError, match=r"galera\.passwords\.generation: 1 was before"):
        composed(former={"galera": {"passwords": {"generation": 2, "ended": 1}, "mariadb": "11.8"}})


def test_the_service_comes_after_the_database_and_is_told_where_it_is() -> None:
    made = composed()
    service = made.resources["reports-service"].inputs
    assert env_of(made, "reports-service") == {
        "DATABASE_HOST": "galera",
        "DATABASE_PORT": "3306",
        "DATABASE_NAME": "shop",
        "DATABASE_USER": "shop",
    }
    assert "galera-tls" in made.depends_on["reports-service"]
    assert service["taskSpec"]["networksAdvanceds"] == [{"id": "id-of-network-network"}]
    assert made.secret_inputs["reports-database-password"] >= {"data"}
    # What moves on the swarm is known to the hosts, and what is on the network to the step that frees it.
    assert "reports" in str(made.resources["network-free"].inputs)
    assert "reports" in str(made.resources["db1-engine-current"].inputs["stdin"])


def test_the_outputs_are_those_that_operations_and_consumers_read() -> None:
    made = composed()
    assert made.outputs["contractVersion"] == 2
    assert made.outputs["galera"]["members"] == ["db1", "db2", "db3"]
    assert made.outputs["reports"] == {"vip": "stdout-of-reports-running", "port": 8080}
    assert made.secret_outputs >= {"passwords", "ssh", "discoveryAccess"}


def test_providers_are_the_packages_own() -> None:
    """What is in the state must be found where only the package is: never by a top-level name."""
    identity = composed().resources["identity"].inputs["__provider"]
    assert "swarm_galera.components.softlayer.stack_identity" in decoded(identity)
    above = run({"servers": {"kind": "existing", "hosts": HOSTS}}).resources["identity"].inputs["__provider"]
    assert "swarm_galera" not in decoded(above)


def decoded(provider: str) -> str:
    """The names in a provider as the state has it."""
    return base64.b64decode(provider).decode("latin-1")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"hosts": [HOSTS[0], {**HOSTS[1], "address": "10.0.0.1"}, HOSTS[2]]}, r"10\.0\.0\.1.*Remedy"),
        ({"hosts": [{"name": "db1"}]}, r"address: this is missing"),
        ({"privateKeyFile": "/nowhere/id"}, r"there is no private key file /nowhere/id"),
    ],
)
def test_bad_settings_are_refused_in_one_message_before_anything_is_declared(
    config: dict[str, Any], told: str
) -> None:
    with pytest.raises(pulumi.RunError, match=told):
        composed(config)
