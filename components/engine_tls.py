"""The engines' API with TLS (`engine.access: tls`): the authority, and the certificates of both ends.

Owns: where each engine listens, which names its certificate bears, what outputs say of it, whether a stack
had it. Leaves to others: signing (engine_certificate.py, client_certificate.py), what is done on hosts
(host_scripts/engine_tls.py), which manager docker resources go to (engine_choice.py).

Another generation (`galera.tls.generation`, for the database's certificates and these) is another authority:
each engine and whoever has the clients' certificate trust both, and show the former's word, until there is
yet another. The authorities of the store have no generation, and are replaced by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.client_certificate import ClientCertificate
from components.cluster_host import ClusterHost
from components.engine_certificate import EngineCertificate
from components.host_scripts import engine_tls as script
from components.peer_authority import PeerAuthority
from settings import Settings, SettingsError
from settings.own_hosts import is_address
from settings.planned import PlannedHost
from settings.ports import ENGINE_PORT

CLIENT = "swarm-galera"
"""As what clients show themselves: the common name in their certificate."""
OUTPUT, ACCESS = "engine", "dockerAccess"
"""Outputs: how the engines are reached; and with which certificate, a secret."""


@dataclass(frozen=True)
class Listener:
    """An engine that listens.

    Attributes:
        address: of the host, on `ENGINE_PORT`.
        certificate: that it shows.
    """

    address: pulumi.Output[str]
    certificate: EngineCertificate

    def values(self) -> pulumi.Output[str]:
        """For the step on the host; secret."""
        shown = self.certificate
        known = (self.address, shown.ca_certificate, shown.certificate, shown.private_key)
        return pulumi.Output.secret(pulumi.Output.all(*known).apply(lambda each: script.values(*each)))

    def fingerprint(self) -> pulumi.Output[str]:
        """Another one when the engine has to start anew for it."""
        shown = self.certificate
        known = pulumi.Output.all(self.address, shown.ca_certificate, shown.certificate)
        return known.apply(lambda each: hashlib.sha256("\n".join(each).encode()).hexdigest()[:12])


class EngineTls(pulumi.ComponentResource):
    """All engines' certificates, and the one that lets in.

    Attributes:
        listeners: by host name.
        client: its certificate, key, and whom it trusts.
    """

    listeners: Mapping[str, Listener]
    client: ClientCertificate

    def __init__(
        self,
        name: str,
        hosts: Sequence[tuple[ClusterHost, PlannedHost]],
        generation: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("swarm-galera:engine_tls:EngineTls", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._generation = generation
        self._authority = PeerAuthority(f"{name}-authority", child, generation=generation)
        self.listeners = {server.hostname: self._listener(server, host, child) for server, host in hosts}
        self.client = ClientCertificate(
            f"{name}-client-certificate", CLIENT, self._authority, child, user=True
        )
        self.register_outputs({})

    def _listener(self, server: ClusterHost, host: PlannedHost, child: pulumi.ResourceOptions) -> Listener:
        address = listens_at(server, host)
        names: list[pulumi.Input[str]] = [address, *names_of(host)]
        certificate = EngineCertificate(
            f"{server.hostname}-engine-certificate", names, self._authority, child
        )
        return Listener(address, certificate)

    def as_output(self) -> dict[str, object]:
        """How the engines are reached."""
        return {
            "access": "tls",
            "port": ENGINE_PORT,
            "addresses": {name: listener.address for name, listener in self.listeners.items()},
            "caCertificate": self._authority.certificate,
            "generation": self._generation,
        }

    def access_as_output(self, host: pulumi.Input[str] | None) -> pulumi.Output[dict[str, object]]:
        """What lets a client in. Args: host: the engine that docker resources go to, if there are any."""
        known: dict[str, pulumi.Input[Any]] = {
            "caCertificate": self.client.ca_certificate,
            "certificate": self.client.certificate,
            "privateKey": self.client.private_key,
            **({} if host is None else {"host": host}),
        }
        return pulumi.Output.secret(known)


def listens_at(server: ClusterHost, host: PlannedHost) -> pulumi.Output[str]:
    """The address that SSH goes to; the private one of a host of one's own that SSH knows by a name."""
    if host.own is not None and not is_address(host.own.reached_at):
        return server.private_ip
    return server.address


def names_of(host: PlannedHost) -> list[str]:
    """The names by which a client may know an engine besides its address."""
    names = [host.name]
    if host.ordered is not None:
        names.append(f"{host.name}.{host.ordered.domain}")
    elif host.own is not None and not is_address(host.own.reached_at):
        names.append(host.own.reached_at)
    return names


def wanted(
    settings: Settings, hosts: Sequence[tuple[ClusterHost, PlannedHost]], opts: pulumi.ResourceOptions
) -> EngineTls | None:
    """None where the settings have none."""
    if settings.engine.access != "tls":
        return None
    return EngineTls("engines", hosts, settings.galera.tls.generation, opts)


def refuse_to_leave(settings: Settings, last: Mapping[str, Any]) -> None:
    """Raises SettingsError where the listeners would go before what is removed through them.

    Pulumi deletes last, and by the provider in the state. While there is a swarm, that is declared anew.

    Args:
        last: outputs of the last complete run.
    """
    asked = (last.get(ACCESS) or {}).get("host")
    if asked and settings.engine.access != "tls" and not settings.deploys("swarm"):
        raise SettingsError(
            [
                "swarm-galera:engine.access: the engines' listeners would go before services and network, "
                "which are removed through them (deployUpTo). Remedy: leave engine.access: tls in this run, "
                "and set it to ssh in the next"
            ]
        )


def ended(settings: Settings, last: Mapping[str, Any], urns: Callable[[], Collection[str]]) -> bool:
    """Whether the stack has or had engines that listen, and is to have none.

    Args:
        last: outputs of the last complete run. Without any there may be no state when a run is previewed, and
            pulumi dies when it is asked for that.
        urns: of all that is in the state: that run may have been followed by one that was broken off.
    """
    if settings.engine.access == "tls" or (not last and pulumi.runtime.is_dry_run()):
        return False
    return bool(last.get(OUTPUT)) or any(urn.endswith("::engines-authority") for urn in urns())


def shown(tls: EngineTls | None, listened: bool, host: pulumi.Input[str] | None) -> dict[str, Any]:
    """The outputs; none of a stack that never had it, and of one that had only that it has no more: by that
    later runs know what to look for on its hosts.
    """
    if tls is not None:
        return {OUTPUT: tls.as_output(), ACCESS: tls.access_as_output(host)}
    return {OUTPUT: {"access": "ssh"}} if listened else {}
