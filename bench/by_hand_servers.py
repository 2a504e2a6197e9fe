"""The servers of the job by hand: ordered, waited for, reached and cancelled, over the SDK and `ssh`.

Owns: the account's part, and running a text on a host, one connection a time. Leaves to others: which steps
there are and what they run (by_hand.py).
"""

from __future__ import annotations

import secrets
import subprocess
import time
from pathlib import Path

import SoftLayer

from components import remote
from settings import Settings

POLL = 1.0
"""Seconds between two looks; the SDK's own default is ten."""
PATIENCE = 900
"""Seconds until a server that is not ready is given up."""
STEP = "by-hand"
"""What scripts call themselves in their messages and locks; one runs at a time."""


class ByHandFailed(Exception):
    """A step failed; says which and why."""


class Servers:
    """Those of one stack. What the account says of them is kept.

    Args:
        settings: of the stack. client: the SDK's. folder: for the SSH key and the known hosts; 0700.

    Attributes:
        private: private addresses of the servers that are ready, by name.
    """

    def __init__(self, settings: Settings, client: SoftLayer.BaseClient, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._manager = SoftLayer.VSManager(client)
        self._keys = SoftLayer.SshKeyManager(client)
        self._key_id = 0
        self._ids: dict[str, int] = {}
        self._public: dict[str, str] = {}
        self.private: dict[str, str] = {}

    def add_key(self) -> None:
        """Make an SSH key and give it to the account."""
        key = self._folder / "id"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        public = key.with_suffix(".pub").read_text(encoding="utf-8").strip()
        self._key_id = int(self._keys.add_key(public, f"by-hand-{secrets.token_hex(4)}")["id"])

    def order(self, name: str) -> None:
        """Order a server as the settings have it; with the key."""
        servers = self._settings.servers
        made = self._manager.create_instance(
            hostname=name,
            domain=servers.domain,
            datacenter=servers.datacenter,
            cpus=servers.cores,
            memory=servers.memory,
            disks=[str(size) for size in servers.disks],
            os_code=servers.os,
            hourly=servers.hourly,
            local_disk=servers.local_disk,
            nic_speed=servers.nic_speed,
            ssh_keys=[self._key_id],
            tags=",".join(servers.tags),
        )
        self._ids[name] = int(made["id"])

    def wait_for(self, name: str) -> None:
        """Wait until a server is ready and answers SSH. Raises ByHandFailed."""
        number = self._ids[name]
        if not self._manager.wait_for_ready(number, limit=PATIENCE, delay=POLL, pending=True):
            raise ByHandFailed(f"{name} (id {number}) is not ready after {PATIENCE} s; see its transactions")
        mask = "mask[primaryIpAddress,primaryBackendIpAddress]"
        found = self._manager.get_instance(number, mask=mask)
        self._public[name] = found["primaryIpAddress"]
        self.private[name] = found["primaryBackendIpAddress"]
        end = time.monotonic() + PATIENCE
        while self._ssh(name, "true", check=False).returncode != 0:
            if time.monotonic() > end:
                raise ByHandFailed(f"{name} does not answer SSH after {PATIENCE} s; see its console")
            time.sleep(POLL)

    def take_away(self) -> None:
        """Cancel every server that was ordered, wait until the account has none of them, delete the key."""
        for number in self._ids.values():
            self._manager.cancel_instance(number)
        end = time.monotonic() + PATIENCE
        while left := [number for number in self._ids.values() if self._exists(number)]:
            if time.monotonic() > end:
                raise ByHandFailed(
                    f"the servers {left} are still there {PATIENCE} s after they were cancelled"
                )
            time.sleep(POLL)
        if self._key_id:
            self._keys.delete_key(self._key_id)

    def _exists(self, number: int) -> bool:
        try:
            self._manager.get_instance(number, mask="mask[id]")
        except SoftLayer.SoftLayerAPIError as error:
            if error.faultCode == "SoftLayer_Exception_ObjectNotFound":
                return False
            raise
        return True

    def script(self, name: str, *parts: str, given: str = "") -> str:
        """Run a script on a host over one SSH connection; its standard output without the last line break.

        The script reads `given`. What it says to standard error is shown. Raises ByHandFailed when it fails.
        """
        text = remote.with_values(remote.steps(STEP, "\n".join(parts), None), given)
        return self.command(name, remote.call(STEP, "create"), text)

    def command(self, name: str, command: str, given: str) -> str:
        """Run one command on a host, as `script` does."""
        done = self._ssh(name, command, given)
        if done.returncode != 0:
            raise ByHandFailed(
                f"a step on {name} failed with exit code {done.returncode} (its words are above)"
            )
        return done.stdout.rstrip("\n")

    def _ssh(
        self, name: str, command: str, given: str = "", *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        options = [
            *("-i", str(self._folder / "id"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
            *("-o", f"UserKnownHostsFile={self._folder / 'known_hosts'}"),
            *("-o", "StrictHostKeyChecking=accept-new", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR"),
        ]
        return subprocess.run(
            ["ssh", *options, f"root@{self._public[name]}", command],
            input=given,
            stdout=subprocess.PIPE,
            stderr=None if check else subprocess.DEVNULL,
            text=True,
            check=False,
        )
