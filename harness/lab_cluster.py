"""A cluster on the hosts of a lab, as benches and the fault suite reach it.

Owns: a lab by its name with the stack of the same name, the ways to hosts, database, account and Pulumi, and
the wait until all nodes are whole. Leaves to others: what is done to it, what is measured.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.toolchain import places

HOSTS = ("galera-1", "galera-2", "galera-3")
IN_CONTAINER = 'docker exec -i "$(docker ps -q --filter name=galera)" '
"""Before a command that runs in a host's node."""
IMAGE = "$(docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' galera)"
"""Of the database's nodes, for a shell on a manager."""
PYMYSQL = "/usr/local/lib/galera-node"
"""Where that image has the client's library."""
STORES = ("etcd", "consul")
PATIENCE = 180.0
"""Seconds for a question to Pulumi or to the account, and for an order of power."""
LOOKS = 4
"""Looks, two seconds apart, in which the cluster must be whole."""


class LabFailed(Exception):
    """Something in a lab, or of a bench in it, failed; says what."""


def _finished(words: Sequence[str], env: Mapping[str, str] | None) -> subprocess.CompletedProcess[bytes]:
    """A command here, to its end. Raises LabFailed after PATIENCE seconds."""
    try:
        return subprocess.run(
            words,
            cwd=places.CHECKOUT,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LabFailed(f"no end within {PATIENCE:g} s: {shlex.join(words)[-200:]}") from None


def python(*words: str) -> list[str]:
    """Words for the checkout's own Python, whichever one runs this."""
    return [str(places.VENV_PYTHON), *words]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's, without a passphrase: a lab has its own, which fits the settings."""
    dropped = {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "LAB", "STACK"}
    return {**{k: v for k, v in os.environ.items() if k not in dropped}, **(extra or {})}


def in_image(client: Path) -> str:
    """Words behind the name of the database's image: a Python program that has PyMySQL; its own follow."""
    text = base64.b64encode(client.read_bytes()).decode()
    start = f"import base64, sys; sys.path.append({PYMYSQL!r}); exec(base64.b64decode({text!r}))"
    return f"-c {shlex.quote(start)}"


def with_store(settings: str, store: str) -> str:
    """A stack's file of the lab, with that store. ValueError for a store, or a file, that there is not."""
    if store not in STORES:
        raise ValueError(f"the store is {store!r}, and must be one of {', '.join(STORES)}")
    if store == "etcd":
        return settings
    tag = (places.CHECKOUT / "images/consul/TAG").read_text(encoding="utf-8").strip()
    section = f"""  swarm-galera:discovery:
    kind: consul
    recursors: [10.144.12.1]
    image: registry.lab:5000/swarm-galera/consul:{tag}
"""
    changed, count = re.subn(
        r"^  swarm-galera:discovery:\n    image: .*\n", section, settings, flags=re.MULTILINE
    )
    if count != 1:
        raise ValueError("the stack's file does not say its store's image as the lab's files do")
    return changed


@dataclass(frozen=True)
class LabCluster:
    """The lab of that name, and in it the stack of that name."""

    lab: str

    @property
    def settings(self) -> Path:
        """The stack's file."""
        return places.CHECKOUT / f"Pulumi.{self.lab}.yaml"

    def in_lab(self, *words: str) -> list[str]:
        """Words that run in the lab's network, with its account and its Pulumi state."""
        return python("-m", "lab", "exec", "--name", self.lab, "--", *words)

    def operations(self, *words: str) -> list[str]:
        """`python -m operations WORDS` on the stack, in the lab."""
        return self.in_lab(*python("-m", "operations"), *words, "--stack", self.lab)

    def ssh(self, host: str, command: str) -> list[str]:
        """A shell command on a host, by the lab's console, which no cut holds up."""
        return python("-m", "lab", "ssh", "--name", self.lab, host, command)

    def ask(self, what: str, words: Sequence[str]) -> Any:
        """The JSON that a command prints. Raises LabFailed."""
        done = _finished(words, environment())
        if done.returncode != 0:
            raise LabFailed(f"{what} failed: {done.stderr.decode(errors='replace').strip()}")
        return json.loads(done.stdout)

    def outputs(self) -> Any:
        """The stack's, secrets too. Raises LabFailed."""
        words = ("pulumi", "stack", "output", "--json", "--show-secrets", "--stack", self.lab)
        return self.ask("outputs", self.in_lab(*words))

    def on_host(self, host: str, command: str, given: bytes = b"", limit: float | None = None) -> str:
        """What a shell command prints on a host. Raises LabFailed.

        Args:
            given: its standard input. limit: seconds that it may take; None: any time.
        """
        words = self.ssh(host, command)
        try:
            done = subprocess.run(
                words, cwd=places.CHECKOUT, input=given, capture_output=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired:
            raise LabFailed(f"on {host}: no end within {limit:g} s of: {command[:200]}") from None
        said, errors = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        if done.returncode != 0:
            why = errors.strip() or said.strip() or f"exit code {done.returncode}"
            raise LabFailed(f"on {host}: {why}")
        return said

    def sql(self, host: str, statement: str, limit: float | None = None) -> str:
        """What the host's own node answers. Raises LabFailed."""
        command = f"{IN_CONTAINER} mariadb -NB app -e {shlex.quote(statement)}"
        return self.on_host(host, command, limit=limit).strip()

    def status(self, host: str) -> Any:
        """What the host's node says of the cluster. Raises LabFailed, ValueError."""
        return json.loads(self.on_host(host, f"{IN_CONTAINER} galera-node status --json", limit=60))

    def guests(self) -> dict[str, str]:
        """The ids of the hosts. Raises LabFailed."""
        words = ("slcli", "--format", "json", "vs", "list", "--columns", "id,hostname")
        return {guest["hostname"]: str(guest["id"]) for guest in self.ask("slcli", self.in_lab(*words))}

    def power(self, host: str, *how: str) -> None:
        """As a person with `slcli` does it. Raises LabFailed."""
        guests = self.guests()
        if host not in guests:
            raise LabFailed(f"{' '.join(how)} of {host}: the account has no such host")
        words = self.in_lab("slcli", "-y", "vs", *how, guests[host])
        done = _finished(words, None)
        if done.returncode != 0:
            raise LabFailed(f"{' '.join(how)} of {host}: {done.stderr.decode(errors='replace').strip()}")

    def wait_whole(self, limit: float = 900, goes_on: Callable[[], None] = lambda: None) -> str:
        """Waits until all nodes are Synced and the store names one of them as the writer; that one's host.

        On a host that boots the engine first starts what ran there, and then what the swarm wants instead:
        so it must hold for some looks. Raises LabFailed, and what `goes_on` raises, which is asked before
        each look.
        """
        end, held = time.monotonic() + limit, 0
        while time.monotonic() < end:
            goes_on()
            try:
                told = self.status(HOSTS[0])
                states = {name: each["state"] for name, each in told["members"].items()}
                held = held + 1 if all(states.get(host) == "synced" for host in HOSTS) else 0
                if held >= LOOKS and told["writer"] in HOSTS:
                    return str(told["writer"])
            except (LabFailed, ValueError, KeyError):
                held = 0
            time.sleep(2)
        raise LabFailed(f"not all of {', '.join(HOSTS)} are Synced within {limit:.0f} s")
