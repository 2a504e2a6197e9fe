"""How the docker resources reach the swarm: through any manager's engine, over SSH or with TLS.

Owns: the Docker provider. Leaves to others: the files that the `ssh` program reads (ssh_files.py), which
manager it is (manager_choice.py, engine_choice.py), everything that is made with the provider.

Over SSH the provider has one host, and it is none: `any-manager` in the SSH configuration, behind which
whoever answers is chosen for each connection, also when `refresh` and `destroy` do not run this program.

With TLS its host is the address of a manager, chosen in each run: the one of before while that will do.
Another one, as another way, is a change of the provider in place, and none of what is made with it. Where the
choice has to wait for what a preview does not do (certificates that are yet to be signed, engines that are
yet to listen), the preview is given the way of before: without any, Pulumi would ask nobody about docker
resources, and show all of them as changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi
import pulumi_docker as docker

from components import engine_choice
from components.any_manager import AnyManager
from components.cluster_host import ClusterHost
from components.engine_choice import NobodyLetsUsIn, Shown
from components.engine_tls import ACCESS, EngineTls
from components.ssh_files import ALIAS


@dataclass(frozen=True)
class ByTls:
    """The engines' API with TLS.

    Attributes:
        engines: which listen, and who is let in.
        managers: in the order in which they are asked.
        listening: depend on these to find all of them listening, and the way there open.
        last: outputs of the last complete run.
    """

    engines: EngineTls
    managers: Sequence[ClusterHost]
    listening: Sequence[pulumi.Resource]
    last: Mapping[str, Any]


@dataclass(frozen=True)
class DockerHostAccessArgs:
    """The way to the swarm's engines.

    Attributes:
        manager: any of them.
        goes_with: the server with which all of it goes; None where it is taken apart piece by piece.
        after: what must be there before anything is made with the provider.
        tls: None for SSH.
    """

    manager: AnyManager
    goes_with: pulumi.Resource | None
    after: Sequence[pulumi.Resource]
    tls: ByTls | None = None


class DockerHostAccess(pulumi.ComponentResource):
    """The provider of all docker resources.

    Attributes:
        provider: for `ResourceOptions.provider`.
        host: that it asks; None where `ssh` chooses one for each connection.
    """

    host: pulumi.Output[str] | None

    def __init__(
        self, name: str, args: DockerHostAccessArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("swarm-galera:docker_host_access:DockerHostAccess", name, None, opts)
        way: Mapping[str, Any] = {"host": f"ssh://{ALIAS}"}
        after, self.host = list(args.after), None
        if args.tls is not None:
            way = by_tls(args.tls, after)
            after, self.host = [*after, *args.tls.listening], way["host"]
        self.provider = docker.Provider(
            f"{name}-provider",
            ssh_opts=args.manager.options,
            **way,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after, deleted_with=args.goes_with),
        )
        self.register_outputs({})


def by_tls(tls: ByTls, after: Sequence[pulumi.Resource]) -> dict[str, pulumi.Output[Any]]:
    """The provider's arguments.

    Args:
        after: what must be there, besides the engines that listen, before one is chosen.
    """
    client = tls.engines.client
    shown = (client.ca_certificate, client.certificate, client.private_key)
    addresses = {each.hostname: tls.engines.listeners[each.hostname].address for each in tls.managers}
    there = [pulumi.Output.from_input(each.urn) for each in (*after, *tls.listening)]
    ids = [each.id for each in (*after, *tls.listening) if isinstance(each, pulumi.CustomResource)]
    known = pulumi.Output.all(pulumi.Output.all(*shown), pulumi.Output.all(**addresses), *there, *ids)
    before = engine_choice.address_of((tls.last.get(ACCESS) or {}).get("host"))
    chosen: pulumi.Output[list[str]] = known.apply(
        # Awaited by `apply`, of which its types don't know what comes out.
        lambda told: cast("list[str]", _chosen(told[0], told[1], before))
    )
    way = _known_or(pulumi.Output.secret(chosen), _of_before(tls.last))
    # Which one it is, is no secret.
    return {
        "host": pulumi.Output.unsecret(way.apply(lambda each: each[0])),
        "ca_material": pulumi.Output.unsecret(way.apply(lambda each: each[1])),
        "cert_material": pulumi.Output.unsecret(way.apply(lambda each: each[2])),
        # A secret where there is one.
        "key_material": way.apply(lambda each: each[3]),
    }


async def _chosen(shown: Sequence[str], managers: Mapping[str, str], before: str) -> list[str]:
    """Ask the managers' engines, beside all else that the program does. Raises RunError."""
    known, loop = Shown(*shown), asyncio.get_running_loop()

    def ask(address: str) -> engine_choice.Said:
        return engine_choice.asked(address, known)

    def say(text: str) -> None:
        loop.call_soon_threadsafe(pulumi.log.info, text)

    try:
        found = await asyncio.to_thread(engine_choice.choose, managers, before, ask, say)
    except NobodyLetsUsIn as error:
        raise pulumi.RunError(str(error)) from None
    return [engine_choice.url(found), *shown]


def _of_before(last: Mapping[str, Any]) -> pulumi.Output[Any]:
    """The way of the last complete run, as host, authority, certificate and key."""
    told = last.get(ACCESS) or {}
    if not told.get("host"):
        return pulumi.Output.from_input([f"ssh://{ALIAS}", None, None, None])
    return pulumi.Output.secret(
        [told["host"], told["caCertificate"], told["certificate"], told["privateKey"]]
    )


def _known_or(value: pulumi.Output[Any], otherwise: pulumi.Output[Any]) -> pulumi.Output[Any]:
    """`value`; while it is not known, which is so in previews only, `otherwise`."""

    async def pick() -> pulumi.Output[Any]:
        return value if await value.is_known() else otherwise

    return pulumi.Output.from_input(pick())
