"""What `destroy` and `up` make of servers that interrupted runs ordered: nothing is left that costs money.

Pulumi is played by a script here; the account is the lab's API.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import typer

from components.softlayer import orders
from components.softlayer.errors import NotOurs, SoftLayerFailed
from components.softlayer.firewall import private_rules
from components.softlayer.guest_spec import parse
from components.softlayer.identity import marker_of
from components.softlayer.security_group_provider import SecurityGroupProvider
from components.softlayer.ssh_key_provider import SshKeyProvider
from components.softlayer.stack_identity import StackIdentityProvider
from components.softlayer.virtual_guest_provider import VirtualGuestProvider
from harness.lab_api import LabApi
from operations import pulumi_cli, stack
from operations.account import audit
from operations.errors import OperationsError
from tests.provider.providers import GUEST, OWNER, TAG, configured
from tests.provider.test_ssh_key import new_key

pytestmark = pytest.mark.provider
DYNAMIC = "pulumi-python:dynamic/softlayer:"
IDENTITY = {"type": f"{DYNAMIC}StackIdentity", "urn": "urn::identity", "outputs": {"owner": OWNER}}

PULUMI = """#!/bin/sh
echo "$@" >> calls
case "$1 $2" in
"stack export") cat state.json ;;
"config --json") cat config.json ;;
"stack output") echo "{}" ;;
*)
    [ -e refuses ] && { echo "error: it refuses" >&2; exit 255; }
    [ "$1" = destroy ] && echo '{"version": 3, "deployment": {"resources": []}}' > state.json
    exit 0 ;;
esac
"""


class Project:
    """A project with a state, whose pulumi does what the files in it say."""

    def __init__(self, folder: Path, lab: LabApi) -> None:
        self.folder, self.lab = folder, lab
        self.settings(protect=False)
        self.state([IDENTITY])

    def settings(self, **servers: Any) -> None:
        config = {
            "swarm-galera:endpoint": {"value": self.lab.endpoint, "secret": False},
            "swarm-galera:servers": {"value": json.dumps(servers), "objectValue": servers, "secret": False},
        }
        (self.folder / "config.json").write_text(json.dumps(config))

    def state(self, resources: list[dict[str, Any]]) -> None:
        (self.folder / "state.json").write_text(json.dumps({"deployment": {"resources": resources}}))

    def ran(self, command: str) -> bool:
        return any(line.startswith(command) for line in (self.folder / "calls").read_text().splitlines())

    def ids(self) -> set[int]:
        """The servers that are not cancelled."""
        return {guest.id for guest in self.lab.guests()}


@pytest.fixture
def project(tmp_path: Path, lab_api: LabApi, monkeypatch: pytest.MonkeyPatch) -> Project:
    folder, program = tmp_path / "project", tmp_path / "bin" / "pulumi"
    for place in (folder, program.parent, tmp_path / "backend"):
        place.mkdir()
    program.write_text(PULUMI)
    program.chmod(0o755)
    (folder / "Pulumi.yaml").write_text("name: swarm-galera\n")
    (folder / "Pulumi.test.yaml").write_text("secretsprovider: awskms://alias/x\n")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path / 'backend'}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name, value in lab_api.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(pulumi_cli, "CHECKOUT", folder)
    return Project(folder, lab_api)


def killed_after_order(lab: LabApi, name: str = "galera-2", owner: str = OWNER) -> int:
    """What a run that was killed in its createObject leaves: a server without tags and notes."""
    lost = {**GUEST, "owner": owner, "resource": f"{name}-guest", "hostname": name}
    return int(lab.client().call("Virtual_Guest", "createObject", parse(lost).template())["id"])


def test_destroy_cancels_what_an_interrupted_up_ordered(
    project: Project, lab_api: LabApi, capsys: pytest.CaptureFixture[str]
) -> None:
    lab_api.durations(provision=0.5, reclaim=0.5)
    stray = killed_after_order(lab_api)
    stack.destroy("test", yes=True)
    assert project.ids() == set()
    assert project.ran("destroy --yes")
    said = capsys.readouterr().err
    assert f"Cancelled the guest {stray} (galera-2.example.com)." in said


def test_keys_and_groups_of_an_interrupted_run_go_with_it(project: Project, lab_api: LabApi) -> None:
    rules = [rule.as_props() for rule in private_rules()]
    group = configured(SecurityGroupProvider, lab_api).create(
        {"owner": OWNER, "resource": "firewall", "rules": rules}
    )
    configured(SshKeyProvider, lab_api).create(
        {"owner": OWNER, "resource": "ssh-key", "public_key": new_key()}
    )
    configured(VirtualGuestProvider, lab_api).create({**GUEST, "private_security_groups": [group.id]})
    client = lab_api.client()
    client.call("Security_Ssh_Key", "createObject", {"key": new_key(), "label": "somebody's"})
    client.call("Network_SecurityGroup", "createObject", {"name": "somebody's"})
    stack.destroy("test", yes=True)
    assert project.ids() == set()
    assert [key["label"] for key in client.call("Account", "getSshKeys")] == ["somebody's"]
    assert [row["name"] for row in client.call("Account", "getSecurityGroups")] == ["somebody's"]


def test_destroy_leaves_alone_what_is_not_this_stack_s(
    project: Project, lab_api: LabApi, template: Any
) -> None:
    by_hand = int(lab_api.client().call("Virtual_Guest", "createObject", template())["id"])
    other = killed_after_order(lab_api, owner="swarm-galera/test/ffffffffffff")
    stack.destroy("test", yes=True)
    assert project.ids() == {by_hand, other}


def test_an_order_under_way_is_waited_for(
    project: Project, lab_api: LabApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """The request of the killed `up` is carried out after `destroy` has begun."""
    with orders.note_for(marker_of(OWNER, "galera-2-guest")) as note:
        note.sent(30)
    late = threading.Timer(0.5, killed_after_order, (lab_api,))
    late.start()
    stack.destroy("test", yes=True)
    late.join()
    assert lab_api.ordered == 1
    assert project.ids() == set()
    assert "may still be carried out" in capsys.readouterr().out


def test_protected_hosts_keep_strays_and_all_else(project: Project, lab_api: LabApi) -> None:
    """A state restored from an old copy does not know the hosts with the data."""
    project.settings(protect=True)
    stray = killed_after_order(lab_api)
    with pytest.raises(OperationsError, match=r"hosts are protected.*servers\.protect false"):
        stack.destroy("test", yes=True)
    project.settings(protect=False)
    protected = {"type": f"{DYNAMIC}VirtualGuest", "id": "7", "urn": "urn::galera-1-guest", "protect": True}
    project.state([IDENTITY, protected])
    with pytest.raises(OperationsError, match="hosts are protected"):
        stack.destroy("test", yes=True)
    assert project.ids() == {stray}
    assert not project.ran("destroy")


def test_a_server_that_was_taken_out_of_the_stack_by_hand_is_not_cancelled(
    project: Project, lab_api: LabApi
) -> None:
    kept = killed_after_order(lab_api)
    lab_api.client().call("Virtual_Guest", "setTags", "mine", id=kept)
    with pytest.raises(NotOurs, match=f"lacks the tag {TAG}"):
        stack.destroy("test", yes=True)
    assert project.ids() == {kept}
    assert not project.ran("destroy")
    lab_api.client().call("Virtual_Guest", "setUserMetadata", ["mine"], id=kept)
    stack.destroy("test", yes=True)
    assert project.ids() == {kept}


def test_an_account_that_cannot_be_looked_at_keeps_the_identity(project: Project, lab_api: LabApi) -> None:
    lab_api.fault("fault", method="getVirtualGuests", message="Access Denied. ")
    with pytest.raises(OperationsError, match="Nothing was destroyed"):
        stack.destroy("test", yes=True)
    assert not project.ran("destroy")


def test_what_is_left_after_a_destroy_is_listed_with_its_cost_and_exit_code_1(
    project: Project, lab_api: LabApi, capsys: pytest.CaptureFixture[str]
) -> None:
    left = killed_after_order(lab_api)
    client = lab_api.client()
    client.call("Virtual_Guest", "setTags", TAG, id=left)
    client.call("Virtual_Guest", "setUserMetadata", ["changed by hand"], id=left)
    with pytest.raises(typer.Exit) as ended:
        stack.destroy("test", yes=True)
    assert ended.value.exit_code == 1
    said = capsys.readouterr().err
    assert "This is left of the stack" in said
    assert f"slcli vs cancel {left}" in said
    assert "1 in all, 36.50 a month." in said


@pytest.mark.parametrize("fails", [True, False])
def test_a_run_tells_what_it_left_behind(
    project: Project, lab_api: LabApi, capsys: pytest.CaptureFixture[str], fails: bool
) -> None:
    stray = killed_after_order(lab_api)
    if fails:
        (project.folder / "refuses").touch()
        with pytest.raises(typer.Exit) as ended:
            stack.up("test", yes=True)
        assert ended.value.exit_code == 255
    else:
        stack.up("test", yes=True)
    said = capsys.readouterr().err
    assert str(stray) in said
    assert "36.50" in said
    assert "`destroy` removes it" in said
    assert project.ids() == {stray}


def test_a_run_whose_account_cannot_be_looked_at_afterwards_is_no_failure(
    project: Project, lab_api: LabApi, capsys: pytest.CaptureFixture[str]
) -> None:
    lab_api.fault("fault", method="getVirtualGuests", message="Access Denied. ")
    stack.up("test", yes=True)
    assert "could not be looked up" in capsys.readouterr().err


def test_a_stack_that_never_ordered_anything_asks_the_account_nothing(
    project: Project, lab_api: LabApi
) -> None:
    project.state([])
    stack.up("test", yes=True)
    stack.destroy("test", yes=True)
    assert lab_api.calls() == []


def test_an_audit_keeps_what_others_of_the_stack_s_name_have_apart(
    project: Project, lab_api: LabApi, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = killed_after_order(lab_api, owner="swarm-galera/test/ffffffffffff")
    audit.audit("test")
    said = capsys.readouterr().out
    assert "Other stacks called test: ask first" in said
    assert str(foreign) in said
    assert "slcli" not in said
    # With the state lost, it may be this stack's own.
    project.state([])
    with pytest.raises(typer.Exit) as ended:
        audit.audit("test", as_json=True)
    assert ended.value.exit_code == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["id"], found["ours"]) == (str(foreign), False)


def test_an_audit_that_finds_a_stray_fails(project: Project, lab_api: LabApi) -> None:
    killed_after_order(lab_api)
    with pytest.raises(typer.Exit) as ended:
        audit.audit("test")
    assert ended.value.exit_code == 1


# --- the identity itself, for those who run `pulumi destroy` ------------------------------------------------


def test_an_identity_is_not_given_up_while_a_server_carries_it(lab_api: LabApi) -> None:
    provider, props = configured(StackIdentityProvider, lab_api), {"owner": OWNER}
    killed_after_order(lab_api, owner="swarm-galera/test/ffffffffffff")
    provider.delete("x", props)
    stray = killed_after_order(lab_api)
    with pytest.raises(SoftLayerFailed, match=rf"galera-2.example.com \({stray}\).*operations destroy"):
        provider.delete("x", props)
    lab_api.wait_idle(stray)
    lab_api.durations(reclaim=3600)
    lab_api.client().call("Virtual_Guest", "deleteObject", id=stray)
    provider.delete("x", props)
