"""The job as people do it today, one step after another: `python -m bench.by_hand`, inside a lab.

Owns: which steps there are, what each one really waits for, and doing them in sequence.
Leaves to others: the servers in the account and the way to them (by_hand_servers.py), what is run on a host
(components/host_scripts: the very text that `pulumi up` runs), the services (by_hand_services.py), the
comparison (deploy.py).

It makes no security groups, which `pulumi up` does, and fetches images when the services first need them.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import SoftLayer
import yaml

import settings as stack_settings
from bench import by_hand_services as lines
from bench.by_hand_secrets import drawn
from bench.by_hand_servers import ByHandFailed, Servers
from components import etcd, galera
from components.cluster_hosts import engine_config
from components.host_scripts import convergence, disk, engine, host, packages, swarm
from components.softlayer.client import connect, find_credentials
from settings import Settings
from settings.planned import DATA_LABEL, PlannedHost


@dataclass(frozen=True)
class Step:
    """One thing somebody does and waits for.

    Attributes:
        name: unique. stage: as in the bench's table. host: where; empty for the account.
        after: names of the steps that this one really waits for, whatever the order in which it is done.
        run: does it, and returns when it is done.
    """

    name: str
    stage: str
    host: str
    after: tuple[str, ...]
    run: Callable[[], None]


class Job:
    """One run. What a step finds out is kept for the later ones.

    Args:
        settings: of the stack. client: the SDK's. folder: for the SSH key and the known hosts; 0700.
    """

    def __init__(self, settings: Settings, client: SoftLayer.BaseClient, folder: Path) -> None:
        self.settings = settings
        self.servers = Servers(settings, client, folder)
        self._nodes: dict[str, str] = {}
        self._tokens: dict[str, str] = {}
        self._drawn: dict[str, str] = {}

    def steps(self) -> list[Step]:
        """All steps in the order in which they are done."""
        hosts = self.settings.servers.hostnames
        made = [Step("ssh key", "servers", "", (), self.servers.add_key)]
        for name in hosts:
            order, ready = self._on(self.servers.order, name), self._on(self.servers.wait_for, name)
            made.append(Step(f"order {name}", "servers", name, ("ssh key",), order))
            made.append(Step(f"wait for {name}", "servers", name, (f"order {name}",), ready))
        for name in hosts:
            there = (f"wait for {name}",)
            made.append(Step(f"disk of {name}", "hosts", name, there, self._on(self._disk, name)))
            made.append(Step(f"packages of {name}", "hosts", name, there, self._on(self._packages, name)))
            prepared = (f"disk of {name}", f"packages of {name}")
            made.append(Step(f"engine of {name}", "hosts", name, prepared, self._on(self._engine, name)))
        return [*made, *self._swarm_steps(hosts), *self._service_steps(hosts[0])]

    def _swarm_steps(self, hosts: Sequence[str]) -> list[Step]:
        first = hosts[0]
        made = [Step("swarm init", "swarm", first, (f"engine of {first}",), self._init)]
        for before, name in pairwise(hosts):
            # A swarm takes one new vote at a time: a manager joins when the one before it has.
            in_turn = before != first and self._role(name) == "manager"
            after = (f"join {before}" if in_turn else "swarm init", f"engine of {name}")
            made.append(Step(f"join {name}", "swarm", name, after, self._on(self._join, name)))
        for name in hosts:
            joined = ("swarm init",) if name == first else (f"join {name}",)
            made.append(Step(f"labels of {name}", "swarm", first, joined, self._on(self._describe, name)))
        return made

    def _service_steps(self, first: str) -> list[Step]:
        managers = self.settings.servers.manager_names
        joined = tuple(f"labels of {name}" for name in self.settings.servers.hostnames)
        made = [
            Step("overlay network", "network", first, ("swarm init",), self._network),
            Step("etcd secrets", "etcd", first, ("swarm init",), self._etcd_secrets),
            Step("etcd service", "etcd", first, ("overlay network", "etcd secrets"), self._etcd_service),
            Step("etcd runs", "etcd", first, ("etcd service", *joined), self._etcd_runs),
            Step("galera secrets", "galera", first, ("etcd secrets",), self._galera_secrets),
            Step(
                "galera service", "galera", first, ("overlay network", "galera secrets"), self._galera_service
            ),
        ]
        for name in managers:
            after = ("galera service", f"labels of {name}")
            made.append(Step(f"galera on {name}", "galera", first, after, self._on(self._galera_node, name)))
        # A cluster begins when all its nodes are there: one of them might hold data.
        beginning = ("etcd runs", *(f"galera on {name}" for name in managers))
        made.append(Step("galera runs", "galera", first, beginning, self._galera_runs))
        return made

    @staticmethod
    def _on(work: Callable[..., None], *given: Any) -> Callable[[], None]:
        return lambda: work(*given)

    # --- hosts -------------------------------------------------------------------------------------------

    def _disk(self, name: str) -> None:
        self.servers.script(name, packages.install(["storage"], name), disk.prepare(name))

    def _packages(self, name: str) -> None:
        self.servers.script(
            name,
            host.refuse_overlap(self.settings.network.subnet, name),
            host.name_and_limits(name),
            engine.bind_to_disk(),
            packages.install(["engine"], name),
        )

    def _engine(self, name: str) -> None:
        self.servers.script(name, engine.configure(name, engine_config(self.settings, self._planned(name))))

    # --- the swarm ---------------------------------------------------------------------------------------

    @property
    def _first(self) -> str:
        return self.settings.servers.hostnames[0]

    def _init(self) -> None:
        said = self.servers.script(
            self._first, swarm.start(self._first), given=f"{self.servers.private[self._first]}\n"
        )
        facts: dict[str, str] = json.loads(said)
        self._tokens = {"manager": facts["manager"], "worker": facts["worker"]}
        self._nodes[self._first] = facts["node"]

    def _join(self, name: str) -> None:
        token = self._tokens[self._role(name)]
        given = f"{token} {self.servers.private[name]} {self.servers.private[self._first]}\n"
        self._nodes[name] = self.servers.script(name, swarm.join(name), given=given)

    def _describe(self, name: str) -> None:
        labels = {"datacenter": self.settings.servers.datacenter}
        text = swarm.describe_node(name, self._role(name), labels)
        self.servers.script(self._first, text, given=f"{self._nodes[name]}\n")

    def _planned(self, name: str) -> PlannedHost:
        return next(host for host in self.settings.servers.planned if host.name == name)

    def _role(self, name: str) -> swarm.Role:
        return "manager" if name in self.settings.servers.manager_names else "worker"

    # --- services ----------------------------------------------------------------------------------------

    def _network(self) -> None:
        self.servers.script(self._first, lines.network(self.settings))

    def _etcd_secrets(self) -> None:
        addresses = [self.servers.private[name] for name in self.settings.servers.manager_names]
        self._drawn = drawn(addresses)
        for name in etcd.spec(self.settings).secrets:
            self.servers.command(self._first, lines.secret(name), self._drawn[name])

    def _etcd_service(self) -> None:
        addresses = {name: self.servers.private[name] for name in self.settings.servers.manager_names}
        env = {"ETCD_INITIAL_CLUSTER": etcd.initial_cluster(addresses), "CLUSTER_TOKEN": "by-hand"}
        self.servers.script(
            self._first, lines.service(etcd.spec(self.settings), self.settings.network.name, env)
        )

    def _etcd_runs(self) -> None:
        managers = len(self.settings.servers.manager_names)
        text = convergence.service_running(etcd.SERVICE, managers, self.settings.network.name)
        self.servers.script(self._first, text)

    def _galera_secrets(self) -> None:
        spec = galera.spec(self.settings)
        for name in spec.secrets:
            self.servers.command(self._first, lines.secret(name), self._drawn[name])
        for file in spec.configs:
            self.servers.command(self._first, lines.config(file.name), str(file.content))

    def _galera_service(self) -> None:
        env = {"STORE": etcd.Etcd.url}
        self.servers.script(
            self._first, lines.service(galera.spec(self.settings), self.settings.network.name, env)
        )

    def _galera_node(self, name: str) -> None:
        command = f"docker node update --label-add {DATA_LABEL}=true {self._nodes[name]} >/dev/null"
        self.servers.script(self._first, command)

    def _galera_runs(self) -> None:
        """Wait until the cluster has all its nodes: Primary, Synced."""
        nodes = len(self.settings.servers.manager_names)
        self.servers.script(
            self._first,
            convergence.service_running(galera.SERVICE, nodes, self.settings.network.name),
            convergence.galera_formed(galera.SERVICE, nodes),
        )

    def services(self) -> dict[str, Any]:
        """What the engine made of the service definitions."""
        names = (etcd.SERVICE, galera.SERVICE)
        said = self.servers.script(self._first, f"docker service inspect {' '.join(names)}")
        return {service["Spec"]["Name"]: service["Spec"] for service in json.loads(said)}


def carry_out(steps: Sequence[Step], say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Do one step after another; each with the seconds it took. Raises what a step raises."""
    done = []
    for step in steps:
        say(f"{step.name} …")
        begin = time.perf_counter()
        step.run()
        seconds = time.perf_counter() - begin
        say(f"{step.name}: {seconds:.1f} s")
        done.append(
            {
                "name": step.name,
                "stage": step.stage,
                "host": step.host,
                "after": step.after,
                "seconds": seconds,
            }
        )
    return done


def load_settings(file: Path) -> Settings:
    """The settings of a stack's file. Raises SettingsError, OSError."""
    config = yaml.safe_load(file.read_text(encoding="utf-8"))["config"]
    prefix = f"{stack_settings.PROJECT}:"
    return stack_settings.parse(
        {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the whole job, write what it took, take all away; 1 when something failed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.by_hand", description=(__doc__ or "").split(":")[0]
    )
    parser.add_argument("settings", type=Path, help="a stack's file")
    parser.add_argument("result", type=Path, help="where the durations go (JSON)")
    options = parser.parse_args(arguments)
    settings = load_settings(options.settings)

    class Endpoint:
        """The stack's endpoint, beside the environment's credentials."""

        def get(self, key: str) -> str | None:
            return settings.endpoint if key == "swarm-galera:endpoint" else None

    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # not without its folder
    begin = time.perf_counter()

    def say(text: str) -> None:
        print(f"[{time.perf_counter() - begin:6.1f} s] {text}", flush=True)

    with tempfile.TemporaryDirectory(prefix="swarm-galera-by-hand-") as folder:
        job = Job(settings, connect(find_credentials(Endpoint())), Path(folder))
        try:
            steps = carry_out(job.steps(), say)
            seconds = time.perf_counter() - begin
            services = job.services()
            say("taking everything away …")
            job.servers.take_away()
            say("everything is gone")
        except (ByHandFailed, SoftLayer.SoftLayerError, subprocess.CalledProcessError) as error:
            print(f"Error: {error}", file=sys.stderr)
            return 1
    result = {"seconds": seconds, "steps": steps, "services": services}
    options.result.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
