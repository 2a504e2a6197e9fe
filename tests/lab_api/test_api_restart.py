"""The API as a process of its own: it is killed, started again, and goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import SoftLayer
from SoftLayer import SoftLayerAPIError
from SoftLayer.transports import XmlRpcTransport

from harness.lab_api import LabApi
from lab.api.admin_client import AdminClient
from lab.api.records import Transaction

pytestmark = pytest.mark.provider

Template = Callable[..., dict[str, Any]]
ROOT = Path(__file__).resolve().parents[2]


class Process:
    """`python -m lab.api` with instant hosts."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.process: subprocess.Popen[bytes] | None = None
        self.endpoint = ""

    def start(self) -> None:
        """Start it on a free port and wait until it listens."""
        port_file = self.state / "endpoint"
        port_file.unlink(missing_ok=True)
        with (self.state / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "lab.api", "--state", str(self.state), "--listen", "127.0.0.1:0"),
                    *("--backend", "instant", "--port-file", str(port_file)),
                ],
                cwd=ROOT,
                stderr=log,
            )
        end = time.monotonic() + 60
        while not (port_file.exists() and port_file.read_text().endswith("\n")):
            assert self.process.poll() is None, (self.state / "log").read_text()
            assert time.monotonic() < end, "the API did not start"
            time.sleep(0.02)
        self.endpoint = port_file.read_text().strip()

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def client(self) -> Any:
        """The SDK's client with the credentials that the API made."""
        made = json.loads((self.state / "credentials.json").read_text())
        return SoftLayer.BaseClient(
            auth=SoftLayer.BasicAuthentication(made["username"], made["api_key"]),
            transport=XmlRpcTransport(endpoint_url=self.endpoint, timeout=20),
            config_file="/dev/null",
        )


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    state = tmp_path / "state"
    state.mkdir()
    running = Process(state)
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.end(signal.SIGKILL)
    assert "internal error" not in (state / "log").read_text()


def test_a_killed_api_forgets_nothing_and_its_transactions_go_on(
    process: Process, template: Template
) -> None:
    admin = AdminClient.at(process.endpoint)
    stuck = admin.call("POST", "faults", {"kind": "stuck", "step": "CLOUD_PROVISION_SETUP"})
    client = process.client()
    number = client["Virtual_Guest"].createObject(template())["id"]
    client["Virtual_Guest"].setTags("mine", id=number)
    _wait(lambda: admin.call("GET", "transactions")[0]["heldBy"] == stuck["id"])

    assert process.end(signal.SIGKILL) == -signal.SIGKILL
    process.start()
    client, admin = process.client(), AdminClient.at(process.endpoint)
    seen = client["Virtual_Guest"].getObject(
        id=number, mask="provisionDate,tagReferences[tag[name]],activeTransaction[transactionStatus[name]]"
    )
    assert seen["tagReferences"][0]["tag"]["name"] == "mine"
    assert seen["activeTransaction"]["transactionStatus"]["name"] == "CLOUD_PROVISION_SETUP"
    assert seen["provisionDate"] is None
    admin.call("DELETE", "faults")
    # Instant hosts live in the killed process: the machine is unknown now, and starting it fails, visibly.
    _wait(lambda: any(entry["error"] for entry in admin.call("GET", "transactions")))


def test_credentials_are_made_once_for_the_owner_only_and_never_logged(process: Process) -> None:
    path = process.state / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = json.loads(path.read_text())
    process.client()["Account"].getObject()
    assert process.end(signal.SIGTERM) == 0
    process.start()
    assert json.loads(path.read_text()) == first
    process.client()["Account"].getObject()
    process.end(signal.SIGTERM)
    assert first["api_key"] not in (process.state / "log").read_text()


def test_a_port_that_is_taken_is_one_clear_sentence(process: Process, tmp_path: Path) -> None:
    address = process.endpoint.removeprefix("http://").split("/")[0]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lab.api", "--state", str(tmp_path / "other")),
            *("--listen", address, "--backend", "instant"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
        timeout=60,
    )
    assert done.returncode == 2
    assert f"cannot start on {address}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("step", ["ASSIGN_HOST", "CLONE_CLOUD_TEMPLATE", "POWER_ON", "SERVICE_SETUP"])
def test_provisioning_goes_on_after_a_restart_in_any_step(
    lab_api: LabApi, template: Template, step: str
) -> None:
    lab_api.durations(**{step: 30.0})
    number = lab_api.client()["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_step(number, step)
    lab_api.restart()
    assert lab_api.step(number) == step, "the time that a step has left is kept"
    lab_api.durations(**{step: 0.0})
    _finish_lingering(lab_api, number)
    lab_api.wait_idle(number)
    assert lab_api.backend.machines[number].boots == 1
    assert lab_api.guest(number).provisioned


def _finish_lingering(lab_api: LabApi, number: int) -> None:
    """Let the step that a guest is in end now, as if its time had passed while the API was down."""
    lab_api.server.engine.stop()
    entry = lab_api.server.store.get(Transaction, lab_api.guest(number).transaction or 0)
    assert entry is not None
    entry.linger_until = 0.0
    lab_api.server.store.put(entry)
    lab_api.restart()


def test_an_idle_guest_survives_a_restart_unchanged(lab_api: LabApi, template: Template) -> None:
    number = lab_api.client()["Virtual_Guest"].createObject(template())["id"]
    lab_api.wait_idle(number)
    before = lab_api.guest(number)
    lab_api.restart()
    assert lab_api.guest(number) == before
    with pytest.raises(SoftLayerAPIError):
        lab_api.client()["Virtual_Guest"].getObject(id=number + 1000)


def _wait(condition: Callable[[], bool], timeout: float = 30.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
