"""The section `discovery`: etcd by default, Consul where it says so, and every reason to refuse it."""

from __future__ import annotations

from typing import Any

import pytest

from settings import parse
from settings.discovery import CONSUL_PORTS
from tests.unit.settings.test_settings import BALANCER, SITE, config, problems

pytestmark = pytest.mark.unit

CONSUL: dict[str, Any] = {
    "kind": "consul",
    "image": "registry.lab:5000/swarm-galera/consul:1.16.6-2",
    "recursors": ["10.0.80.11", "10.0.80.12"],
}


def consul(**changes: Any) -> dict[str, Any]:
    """Settings with Consul, its section changed."""
    return {"discovery": {**CONSUL, **changes}}


def test_etcd_is_the_store_where_nothing_is_said_and_takes_no_port_of_consuls() -> None:
    found = parse(config()).discovery
    assert (found.kind, found.servers, found.recursors, found.ports) == ("etcd", None, [], {})


@pytest.mark.parametrize(
    ("managers", "given", "servers"),
    [(1, None, 1), (3, None, 3), (5, None, 5), (7, None, 5), (5, 3, 3), (7, 5, 5)],
)
def test_consul_has_a_server_on_each_of_the_first_managers(
    managers: int, given: int | None, servers: int
) -> None:
    found = parse(config(servers={"managers": managers}, **consul(servers=given)))
    assert found.discovery.server_count(managers) == servers
    assert set(found.discovery.ports) == set(CONSUL_PORTS)


def test_consul_asks_the_recursors_and_else_the_hosts_resolvers() -> None:
    hosts = {"resolvers": ["10.0.80.21", "10.0.80.22"]}
    for sections, asked in (
        (consul(), CONSUL["recursors"]),
        ({**consul(), "hosts": hosts}, CONSUL["recursors"]),
        ({**consul(recursors=[]), "hosts": hosts}, hosts["resolvers"]),
    ):
        found = parse(config(**sections))
        assert found.discovery.asked(found.hosts.resolvers) == asked


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("discovery.kind", {"discovery": {"kind": "zookeeper"}}, "'etcd' or 'consul'"),
    ("discovery.servers", consul(servers=4), "3 or 5"),
    ("discovery.servers", consul(servers=1), "3 or 5"),
    ("discovery.servers", consul(servers=5), "5 servers need as many managers, and there are 3"),
    (
        "discovery.servers",
        {**consul(servers=3), "servers": {"managers": 1}},
        "3 servers need as many managers, and there is 1",
    ),
    ("discovery", {"discovery": {"servers": 3}}, "servers belong to Consul, and kind is etcd"),
    ("discovery", {"discovery": {"recursors": ["10.0.80.11"]}}, "recursors belong to Consul"),
    (
        "discovery",
        {"discovery": {"servers": 3, "recursors": ["10.0.80.11"]}},
        "servers and recursors belong to Consul",
    ),
    ("discovery", consul(recursors=["10.0.80.11", "10.0.80.11"]), "names 10.0.80.11 twice"),
    ("discovery", consul(image="registry.lab:5000/etcd:3.4-1"), "image by its name is one of etcd"),
    ("discovery", {"discovery": {"image": CONSUL["image"]}}, "kind is etcd, and image by its name is one of"),
    ("discovery.kind", consul(kind="Consul"), "'etcd' or 'consul'"),
    ("discovery.image", consul(image=None), "should be a valid string"),
    ("discovery.image", consul(image="registry.lab:5000/consul:latest"), "version's tag"),
    ("discovery.servers", consul(servers="3"), "3 or 5"),
    ("discovery.recursors", consul(recursors="10.0.80.11"), "should be a valid list"),
    ("discovery.recursors.0", consul(recursors=["10.0.80.11:53"]), "is no IP address"),
    ("discovery.workers", consul(workers=2), "there is no such setting"),
    ("servers.workers", {**consul(), "servers": {"workers": "two"}}, "should be a valid integer"),
    ("discovery.recursors.0", consul(recursors=["dns.example.com"]), "is no IP address"),
    ("discovery.recursors.0", consul(recursors=["127.0.0.1"]), "at 127.0.0.1 Consul would ask itself"),
    ("discovery.recursors.0", consul(recursors=["0.0.0.0"]), "at 0.0.0.0 Consul would ask itself"),
    ("discovery.recursors.0", consul(recursors=["::1"]), "at ::1 Consul would ask itself"),
    ("discovery.recursors", consul(recursors=[]), "has nobody to ask"),
    (
        "discovery.recursors",
        consul(recursors=["172.18.0.1"]),
        "172.18.0.1 is the host itself, the engine's bridge docker_gwbridge (engine.addressPools)",
    ),
    (
        "hosts.resolvers",
        {**consul(recursors=[]), "hosts": {"resolvers": ["127.0.0.1"]}},
        "127.0.0.1 is the host itself, where Consul would ask itself",
    ),
    (
        "hosts.resolvers",
        {**consul(), "hosts": {"resolvers": ["10.0.80.11", "10.0.80.12", "10.0.80.13"]}},
        "of 3 more the last one never",
    ),
    (
        "discovery.kind",
        {**consul(), "loadBalancer": {**BALANCER, "statsPort": 8501}},
        "8501 is taken on every host by the load balancer (loadBalancer.statsPort), and Consul, its",
    ),
    (
        "discovery.kind",
        {**consul(), "engine": {"options": {"metrics-addr": "0.0.0.0:8300"}}},
        "8300 is taken on every host by the engine (engine.options.metrics-addr)",
    ),
    (
        "application.port",
        {**consul(), "application": {**SITE, "port": 53}},
        "53 is taken on every host by Consul, DNS (discovery.kind)",
    ),
    (
        "servers.publishedPorts",
        {**consul(), "servers": {"publishedPorts": [80, 8300, 53]}},
        "53 (Consul, DNS (discovery.kind)), 8300 (Consul, its servers (discovery.kind)): not for everybody",
    ),
]


@pytest.mark.parametrize(("where", "sections", "said"), BAD)
def test_what_does_not_fit_is_refused_where_it_stands_with_a_remedy(
    where: str, sections: dict[str, Any], said: str
) -> None:
    (problem,) = problems(**sections)
    assert problem.startswith(f"swarm-galera:{where}: "), problem
    assert said in problem
    assert "Remedy: " in problem


@pytest.mark.parametrize(
    ("kind", "image"),
    [
        ("consul", "etcd.example.com:5000/consul:1.16.6-1"),
        ("consul", "registry.lab:5000/store:1"),
        ("consul", "registry.lab:5000/consul-instead-of-etcd:1"),
        ("etcd", "consul.example.com/etcd@sha256:" + "0123456789abcdef" * 4),
    ],
)
def test_an_image_whose_name_does_not_say_the_other_kind_is_taken(kind: str, image: str) -> None:
    more = {"recursors": CONSUL["recursors"]} if kind == "consul" else {}
    assert parse(config(discovery={"kind": kind, "image": image, **more})).discovery.image == image


def test_with_etcd_consuls_ports_are_free_for_others() -> None:
    more = {"application": {**SITE, "port": 53}, "servers": {"publishedPorts": [53]}}
    parse(config(**more, loadBalancer={**BALANCER, "statsPort": 8501}))
