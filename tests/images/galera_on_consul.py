"""Galera's nodes with Consul as their store: an agent on each node's host, which is the container's gateway.

Owned here: what is different from `galera_site`, whose stories run on both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.image_containers import Container, run
from tests.images import consul_site
from tests.images.consul_site import Authority, add_consul, client_secrets, member_secrets
from tests.images.galera_site import SIZE, GaleraSite


class GaleraOnConsul(GaleraSite):
    """`consul-1` … and `galera-1` …, added but not started."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        super().__init__(roots)
        self.authority, numbers = Authority(), range(1, SIZE + 1)
        self.member_secrets = member_secrets(self.authority, [consul_site.address(n) for n in numbers])
        self.client_secrets = client_secrets(self.authority, self.authority.client())

    def store_members(self) -> list[Container]:
        return [self.containers[f"consul-{number}"] for number in range(1, SIZE + 1)]

    def start_store(self, without: Iterable[int] = ()) -> None:
        numbers = range(1, SIZE + 1)
        members = [add_consul(self, n, self.member_secrets, numbers, SIZE) for n in numbers]
        for member in members:
            member.start()
        consul_site.formed(members)
        for number in without:
            self.put(f"forgotten/galera-{number}", "")

    def add_galera(self, number: int, initdb: Mapping[str, str] | None = None) -> Container:
        container = super().add_galera(number, initdb)
        container.env = {**container.env, "STORE": "consul://gateway:8501"}
        for name, text in self.client_secrets.items():
            (container.here / "secrets" / name).write_text(text)
        host = consul_site.address(number)
        run("ip", "-n", container.namespace, "route", "add", "default", "via", host)
        return container

    def put(self, key: str, value: str) -> None:
        place = f"/v1/kv/swarm-galera/galera/{key}"
        assert consul_site.ask(self.store_members()[0], place, "PUT", value) == (200, True)

    def end_right_to_bootstrap(self) -> None:
        member = self.store_members()[0]
        [right] = consul_site.ask(member, "/v1/kv/swarm-galera/galera/bootstrap")[1]
        assert consul_site.ask(member, f"/v1/session/destroy/{right['Session']}", "PUT") == (200, True)
