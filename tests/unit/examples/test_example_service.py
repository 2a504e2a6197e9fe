"""The example of a further service against the outputs that the program really has."""

from __future__ import annotations

import base64
import json
import os
import runpy
import subprocess
from collections.abc import Sequence
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


FOLDER = Path("swarm-galera-service", "test")


def test_the_swarm_is_reached_with_the_stacks_own_key_and_the_pinned_host_keys(
    cluster: dict[str, Any], tmp_path: Path
) -> None:
    provider = serve(cluster).made["swarm"]
    folder = tmp_path / FOLDER
    assert provider["host"] == "ssh://any-manager"
    assert provider["sshOpts"] in (["-F", f"{folder}/config"], json.dumps(["-F", f"{folder}/config"]))
    known = [f"{name} ssh-ed25519 AAAA" for name in cluster["managers"]]
    assert (folder / "known_hosts").read_text().splitlines() == known
    assert (folder / "id").read_text() == "PRIVATE KEY\n"
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def led(folder: Path, answering: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Where `ssh` goes for `any-manager`, when these answer; and whom it asked."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    asked = folder / "asked"
    asked.unlink(missing_ok=True)
    answers = f'case " {" ".join(answering)} " in *" $3 "*) exit 0 ;; esac; exit 255'
    (programs / "ssh").write_text(f'#!/bin/sh\necho "$*" >>{asked}\n{answers}\n')
    (programs / "ssh").chmod(0o755)
    done = subprocess.run(
        ["/usr/bin/ssh", "-G", "-F", str(folder / FOLDER / "config"), "any-manager"],
        env={**os.environ, "PATH": f"{programs}:/usr/bin:/bin", "SHELL": "/bin/sh"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    return told, asked.read_text().splitlines() if asked.exists() else []


def test_ssh_goes_to_the_first_manager_that_answers_and_asks_no_further(
    cluster: dict[str, Any], tmp_path: Path
) -> None:
    first, second, third = cluster["managers"]
    ssh = {**cluster["ssh"], "users": {second: "deploy"}, "ports": {second: 2222.0}}
    serve({**cluster, "ssh": ssh})
    config = tmp_path / FOLDER / "config"
    told, asked = led(tmp_path, [second, third])
    assert (told["hostname"], told["user"], told["port"]) == ("203.0.113.12", "deploy", "2222")
    assert told["hostkeyalias"] == second
    assert asked == [f"-F {config} {name} timeout 10 docker node ls -q" for name in (first, second)]
    told, asked = led(tmp_path, [first, second, third])
    assert (told["hostname"], told["user"], told["port"]) == ("203.0.113.11", "root", "22")
    assert len(asked) == 1
    assert told["userknownhostsfile"] == f"{tmp_path / FOLDER}/known_hosts"
    assert told["identityfile"] == f"{tmp_path / FOLDER}/id"
    assert told["stricthostkeychecking"] in ("true", "yes")


def test_if_no_manager_answers_ssh_says_so(cluster: dict[str, Any], tmp_path: Path) -> None:
    serve(cluster)
    told, asked = led(tmp_path, [])
    assert len(asked) == 3
    done = subprocess.run(
        ["/bin/sh", "-c", told["proxycommand"]], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        1,
        "none of the managers answers: galera-1, galera-2, galera-3\n",
    )
    assert "proxycommand" not in led(tmp_path, ["galera-3"])[0]


def test_a_key_that_the_agent_holds_is_written_nowhere(cluster: dict[str, Any], tmp_path: Path) -> None:
    serve({**cluster, "ssh": {**cluster["ssh"], "privateKey": None}})
    assert "IdentityFile" not in (tmp_path / FOLDER / "config").read_text()
    assert not (tmp_path / FOLDER / "id").exists()


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
