"""The example of a further service against the outputs that the program really has."""

from __future__ import annotations

import base64
import json
import runpy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks as pulumi_mocks
from pulumi.runtime.config import set_all_config

from tests.unit.program import ROOT, holds_secret, patched, plain

pytestmark = pytest.mark.unit

IMAGE = f"registry.lab:5000/swarm-galera/galera:11.8-1@sha256:{'0123456789abcdef' * 4}"
BALANCER = {"service": "haproxy", "vip": "10.20.0.30", "writerPort": 6446.0, "readerPort": 6447.0}


@dataclass
class Cluster(pulumi_mocks.Mocks):
    """Answers the StackReference and notes what is made: inputs by name, and which of them are secret."""

    outputs: dict[str, Any]
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    secret: dict[str, set[str]] = field(default_factory=dict)
    exports: dict[str, Any] = field(default_factory=dict)
    secret_exports: set[str] = field(default_factory=set)

    def new_resource(self, args: pulumi_mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ == "pulumi:pulumi:StackReference":
            secret = [name for name in ("ssh", "passwords", "joinTokens") if name in self.outputs]
            return args.name, {"name": args.name, "outputs": self.outputs, "secretOutputNames": secret}
        self.secret[args.name] = {key for key, value in args.inputs.items() if holds_secret(value)}
        self.made[args.name] = plain(args.inputs)
        return f"id-of-{args.name}", {"name": f"{args.name}-1a2b3c4", **self.made[args.name]}

    def call(self, args: pulumi_mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        raise AssertionError(f"the example calls {args.token}")


def serve(outputs: dict[str, Any], image: str = IMAGE) -> Cluster:
    """Run the example on a cluster with these outputs."""
    found = Cluster(outputs)
    pulumi.runtime.set_mocks(found, project="swarm-galera-service", stack="test", preview=False)
    config = {"cluster": "organization/swarm-galera/dev", "image": image, "replicas": "2"}
    set_all_config({f"swarm-galera-service:{key}": value for key, value in config.items()})

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def example() -> pulumi.Output[Any]:
        given: dict[str, pulumi.Output[Any]] = {}
        with patched(
            pulumi, "export", lambda name, value: given.update({name: pulumi.Output.from_input(value)})
        ):
            runpy.run_path(str(ROOT / "examples/service/__main__.py"), run_name="__main__")
        marks: list[Any] = [value.is_secret() for value in given.values()]

        def note(known: list[Any]) -> None:
            found.exports = known[0]
            found.secret_exports = {name for name, mark in zip(given, known[1], strict=True) if mark}

        return pulumi.Output.all(pulumi.Output.all(**given), pulumi.Output.all(*marks)).apply(note)

    example()
    return found


def test_the_service_is_on_the_network_and_gets_to_the_database(cluster: dict[str, Any]) -> None:
    found = serve(cluster)
    service = found.made["client"]
    task = service["taskSpec"]
    assert service["mode"] == {"replicated": {"replicas": 2}}
    assert task["networksAdvanceds"] == [{"id": cluster["network"]["id"]}]
    assert task["containerSpec"]["image"] == IMAGE
    assert task["containerSpec"]["env"] == {
        "DATABASE_HOST": "stdout-of-galera-formed",
        "DATABASE_PORT": "3306",
        "DATABASE_NAME": "app",
        "DATABASE_USER": "app",
    }
    assert found.exports["database"] == "stdout-of-galera-formed:3306"


def test_where_tls_is_required_the_client_comes_with_it_and_knows_whose_certificate_to_expect(
    cluster: dict[str, Any],
) -> None:
    galera = {**cluster["galera"], "tls": {**cluster["galera"]["tls"], "required": True}}
    task = serve({**cluster, "galera": galera}).made["client"]["taskSpec"]["containerSpec"]
    assert task["env"]["DATABASE_CA"] == "CA"
    assert '--user="$DATABASE_USER" $tls' in task["commands"][2]


def test_with_a_load_balancer_the_service_writes_through_it(cluster: dict[str, Any]) -> None:
    found = serve({**cluster, "loadBalancer": BALANCER})
    env = found.made["client"]["taskSpec"]["containerSpec"]["env"]
    assert (env["DATABASE_HOST"], env["DATABASE_PORT"]) == ("10.20.0.30", "6446")
    assert found.exports["database"] == "10.20.0.30:6446"


def test_passwords_keys_and_tokens_stay_secret(cluster: dict[str, Any]) -> None:
    found = serve(cluster)
    password = cluster["passwords"]["app"]
    assert base64.b64decode(found.made["client-password"]["data"]).decode() == password
    assert found.secret == {"swarm": set(), "client-password": {"data"}, "client": set()}
    assert password not in repr(found.made["client"])
    assert "PRIVATE KEY" not in repr(found.made)
    assert found.exports["join"] == "docker swarm join --token SWMTKN-w 10.144.12.11:2377"
    assert found.secret_exports == {"join"}


def test_the_swarm_is_reached_with_the_stacks_own_key_and_the_pinned_host_key(
    cluster: dict[str, Any], tmp_path: Path
) -> None:
    provider = serve(cluster).made["swarm"]
    folder = tmp_path / "swarm-galera-service" / "test"
    assert provider["host"] == "ssh://root@203.0.113.11"
    assert f"UserKnownHostsFile={folder}/known_hosts" in provider["sshOpts"]
    assert "StrictHostKeyChecking=yes" in provider["sshOpts"]
    assert (folder / "known_hosts").read_text() == "203.0.113.11 ssh-ed25519 AAAA\n"
    assert (folder / "id").read_text() == "PRIVATE KEY\n"
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_a_host_of_one_s_own_is_reached_as_its_user_at_its_port(
    cluster: dict[str, Any], tmp_path: Path
) -> None:
    first = cluster["managers"][0]
    ssh = {**cluster["ssh"], "users": {first: "deploy"}, "ports": {first: 2222.0}}
    assert serve({**cluster, "ssh": ssh}).made["swarm"]["host"] == "ssh://deploy@203.0.113.11:2222"
    known = tmp_path / "swarm-galera-service" / "test" / "known_hosts"
    assert known.read_text() == "[203.0.113.11]:2222 ssh-ed25519 AAAA\n"


def test_a_key_that_the_agent_holds_is_written_nowhere(cluster: dict[str, Any], tmp_path: Path) -> None:
    provider = serve({**cluster, "ssh": {**cluster["ssh"], "privateKey": None}}).made["swarm"]
    assert "-i" not in provider["sshOpts"]
    assert not (tmp_path / "swarm-galera-service" / "test" / "id").exists()


def of_docs(outputs: dict[str, Any]) -> Cluster:
    """Run what docs/how-to/package.md says for the way by any manager; the package is the checkout here."""
    page = (ROOT / "docs/how-to/package.md").read_text()
    code = page.partition("by any manager\n")[2].partition("```python\n")[2].partition("```\n")[0]
    found = Cluster(outputs)
    pulumi.runtime.set_mocks(found, project="reports", stack="test", preview=False)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def snippet() -> None:
        exec(code.replace("swarm_galera.", ""), {})  # noqa: S102 - a page of this project

    snippet()
    return found


def test_what_the_docs_say_for_the_way_by_any_manager_does_lead_there(
    cluster: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SWARM_GALERA_SSH", raising=False)
    first, *others = cluster["managers"]
    ssh = {**cluster["ssh"], "users": {first: "deploy"}, "ports": {first: 2222.0}}
    found = of_docs({**cluster, "ssh": ssh})
    folder = tmp_path / "swarm-galera" / "ssh" / "reports-test"
    provider = found.made["swarm"]
    assert (provider["host"], found.secret["swarm"]) == ("ssh://any-manager", set())
    assert provider["sshOpts"] in (["-F", f"{folder}/config"], json.dumps(["-F", f"{folder}/config"]))
    listed = json.loads((folder / "managers.json").read_text())
    assert [each["name"] for each in listed] == [first, *others]
    assert (listed[0]["user"], listed[0]["port"], listed[1]["user"], listed[1]["port"]) == (
        *("deploy", 2222),
        *("root", 22),
    )
    assert (folder / "id").read_text() == "PRIVATE KEY\n"


def test_an_image_without_a_digest_is_refused_before_anything_is_made(cluster: dict[str, Any]) -> None:
    with pytest.raises(pulumi.RunError, match=r"galera:10\.11 has no digest.*Remedy: give it as"):
        serve(cluster, "registry.lab:5000/swarm-galera/galera:10.11")


def test_outputs_of_another_contract_are_refused(cluster: dict[str, Any]) -> None:
    with pytest.raises(pulumi.RunError, match=r"contract version 3, and this program knows 2"):
        serve({**cluster, "contractVersion": 3.0})
