"""A host of one's own in the state: its host key pinned, noted on it whose it is, and what is done when it
goes.

Owns: the resource and its provider. Leaves to others: the look before it (look.py), the scripts
(host_scripts/own.py), all else that is done on the host.

It is the first resource of a host, so Pulumi deletes it last: what is then still of the program on the host
is taken away, and the host itself stays. One that does not answer any more is given up, and said so: it may
be gone for good, and nothing of the cluster depends on it. So is one in whose place another one answers, by
its host key: a machine that was installed anew, or that has got the address.

One that answers and does not let the key in is not given up by itself. Mostly the key is what is missing, an
SSH agent's for example, and the host still has all that was brought. The error says how to let it in, and how
to give the host up: no setting could, as it is in none any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, fields
from typing import Any

import asyncssh
import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from components.host_scripts import own
from components.own_hosts.way import AnotherKey, NotLetIn, Refused, Unreachable, Way, session
from components.softlayer.progress import say
from settings.errors import UserError

PATIENCE = 3
"""Tries, each of `way.CONNECT_TIMEOUT`, until a host that goes counts as gone already."""
TAKEN_WITHIN = 1200.0
"""Seconds for a host to be rid of what was brought: a database may write out its buffer pool."""


@dataclass(frozen=True)
class TakenInArgs:
    """A host of one's own.

    Attributes:
        owner: `StackIdentity.owner`.
        hostname, address: its name and its private address.
        ssh_host, port, user: how SSH reaches it.
        private_key: secret; None where the SSH agent has it.
        given: the host key that the settings give; None to pin the one that was seen.
        seen: the one that the look has seen; empty if the host did not answer.
        gone: shell text that takes away what was brought.
    """

    owner: pulumi.Input[str]
    hostname: str
    address: str
    ssh_host: str
    port: int
    user: str
    private_key: pulumi.Input[str | None]
    given: str | None
    seen: str
    gone: str


class TakenInProvider(ResourceProvider):
    """Takes a host in, and lets it go."""

    serialize_as_secret_always = False

    AGAIN = frozenset({"owner", "hostname", "address", "ssh_host", "port", "user", "given"})
    """What the host must be told of; the key that is pinned changes only with the one that is given."""
    RECORDED = frozenset({"private_key", "gone"})
    """What is only needed when it goes."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Note on the host whose it is. Raises UserError with a remedy."""
        return CreateResult(f"own-{props['hostname']}", self._taken_in(props, str(props["seen"] or "")))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Nothing replaces it: all that is on the host depends on it."""
        return DiffResult(changes=bool(self._changed(olds, news, self.AGAIN | self.RECORDED)))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Another way to the host, or another machine of its name."""
        if not self.tells(olds, news):
            return UpdateResult({**news, "host_key": olds["host_key"], "private_ip": olds["private_ip"]})
        given = bool(self._changed(olds, news, frozenset({"given"}))) and news.get("given")
        return UpdateResult(self._taken_in(news, str((given and news["seen"]) or olds["host_key"])))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Take away what was brought; the host stays. Raises UserError, with how to go on without it."""
        name, way = str(props["hostname"]), _way(props, str(props["host_key"]))
        text = f"{own.still_ours(name, str(props['owner']))}\n{props['gone']}"
        why = "does not answer"
        for attempt in range(1, PATIENCE + 1):
            try:
                _through(_run(name, way, text, TAKEN_WITHIN))
                return
            except UserError as failed:
                raise UserError(f"{failed}. {_given_up(name)}") from None
            except NotLetIn:
                raise UserError(
                    f"{name}: {way} does not let this stack's key in any more, so what the program brought "
                    f"is still there. Remedy: {_let_in(way)}, then repeat. {_given_up(name)}"
                ) from None
            except Unreachable:
                say(f"{name} does not answer ({attempt} of {PATIENCE})")
            except AnotherKey:
                why = f"is not what answers at {way.host} (another SSH host key; that one is left alone)"
                break
        say(
            f"{name} {why}, so what the program brought to it stays there. Should it come back: "
            f"`docker swarm leave --force` on it, and rm {own.NOTES}/stack before another stack takes it in."
        )

    @classmethod
    def tells(cls, olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
        """Whether an update has anything to do on the host."""
        return bool(cls._changed(olds, news, cls.AGAIN))

    @staticmethod
    def _changed(olds: Mapping[str, Any], news: Mapping[str, Any], keys: frozenset[str]) -> list[str]:
        # Pulumi makes floats of whole numbers, and leaves out what is not given.
        def same(old: Any, new: Any) -> bool:
            return bool(old == new) or (old in (None, "") and new in (None, ""))

        return [key for key in sorted(keys) if not same(olds.get(key), news.get(key))]

    @staticmethod
    def _taken_in(props: dict[str, Any], host_key: str) -> dict[str, Any]:
        name = str(props["hostname"])
        if not host_key:
            raise UserError(f"{name} did not answer when it was looked at, so nothing was done. Repeat")
        text = own.taken_in(str(props["owner"]), str(props["user"]))
        try:
            _through(_run(name, _way(props, host_key), text, None))
        except (Unreachable, AnotherKey, NotLetIn) as gone:
            raise UserError(f"{name}: {gone}") from None
        return {**props, "host_key": host_key, "private_ip": props["address"]}


def _way(props: dict[str, Any], host_key: str) -> Way:
    key = props.get("private_key") or None
    return Way(str(props["ssh_host"]), int(float(props["port"])), str(props["user"]), key, host_key)


def _let_in(way: Way) -> str:
    """What its owner does. The state has the key that counts, whatever the settings say by now."""
    known = f"~{way.user}/.ssh/authorized_keys there"
    if way.key is None:
        return f"see that the SSH agent here has the key (`ssh-add -l`), and so has {known}"
    return f"add `{asyncssh.import_private_key(way.key).export_public_key().decode().strip()}` to {known}"


def _given_up(name: str) -> str:
    return (
        "If that can't be, or the host is yours no more: `pulumi state delete 'URN'` gives it up, what is "
        "there stays, and later runs go on (`pulumi stack --show-urns` has the URN, which ends in "
        f"::{name}-ready)"
    )


async def _run(name: str, way: Way, text: str, limit: float | None) -> None:
    async with session(way) as there:
        done = await there.run(text, limit)
    for line in str(done.stderr or "").splitlines():
        if done.exit_status == 0:
            say(line)
    if done.exit_status != 0:
        said = " ".join(str(done.stderr or "").split()).removeprefix("error: ")
        raise UserError(f"{name}: {said or f'a script ended with code {done.exit_status}'}")


def _through(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except (Unreachable, AnotherKey, NotLetIn):
        raise
    except Refused as refused:
        raise UserError(str(refused)) from None


class TakenIn(Resource, module="own", name="TakenIn"):
    """A host of one's own that this stack has taken in.

    Attributes:
        host_key: pinned, one OpenSSH line without a comment.
        private_ip: its private address.
        ssh_host: where SSH reaches it.
    """

    host_key: pulumi.Output[str]
    private_ip: pulumi.Output[str]
    ssh_host: pulumi.Output[str]

    def __init__(self, name: str, args: TakenInArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props = {f.name: getattr(args, f.name) for f in fields(args)}
        secret = pulumi.ResourceOptions(additional_secret_outputs=["private_key"])
        super().__init__(
            TakenInProvider(),
            name,
            {**props, "host_key": None, "private_ip": None},
            pulumi.ResourceOptions.merge(secret, opts),
        )
