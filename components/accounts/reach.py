"""The way to the database's root: SSH to a host with a node, and there the node's own socket.

From a machine that reaches the hosts by SSH only, and without a password: whoever runs a node comes in over
its socket with all rights, as a person does by `docker exec … mariadb`. (What roles such a person has made,
no other account could take back.) Statements go over standard input, so that none is on a command line.

Owns: which host is asked, what becomes of one that does not answer. Leaves to others: what is asked.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import asyncssh

from components.accounts.quoting import rows
from settings.errors import UserError

CONNECT = 10.0
"""Seconds until a host that does not answer is passed over."""
STATEMENTS = 120.0
"""Seconds that statements may take: a change of a database waits for whoever uses it."""
PATIENCE = 120.0
"""Seconds for which hosts are asked again while no node serves."""
PAUSE = 3.0
FIRST, EVERY = 10.0, 30.0
"""Seconds until the first line of progress, and between two."""
ABSENT = 9
"""The command's exit code on a host without a node that runs."""
PASSING = {1047, 1205, 1213, 1927, 2002, 2006, 2013, 2026}
"""Errors of a node that does not serve now, or of a conflict: another node, or another moment, will do."""
COMMAND = r"""docker=docker; [ "$(id -u)" = 0 ] || docker='sudo -n docker'
node=$($docker ps -q -f label=com.docker.swarm.service.name=SERVICE -f status=running | head -n 1)
[ "$node" ] || exit 9
exec $docker exec -i "$node" mariadb -NB"""


NOT_ITS_ADMIN = 1698
"""Error of who takes back a role that another account has made."""


class AccountsFailed(UserError):
    """What could not be done at the database, why, and the remedy. Carries no secret.

    Attributes:
        number: of the database's error; 0 for none.
    """

    def __init__(self, words: str, number: int = 0) -> None:
        super().__init__(words)
        self.number = number


class NoAnswer(Exception):
    """A host or its node can't be asked now; says why."""


def reach(
    ssh: Mapping[str, Any], galera: Mapping[str, Any], application: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the resources need of a cluster, from its stack's outputs of these names. It has the key: secret.

    Args:
        application: its accounts are seen to by that stack, as are those of `galera`.
    """
    own = (application or {}).get("database") or {}
    return {
        "hosts": [_way(name, ssh) for name in galera["members"]],
        "user": ssh["user"],
        "private_key": ssh.get("privateKey"),
        "service": galera["service"],
        "taken": sorted({galera["database"], *(own[key] for key in ("name", "user") if key in own)}),
    }


def _way(name: str, ssh: Mapping[str, Any]) -> dict[str, Any]:
    """To one host; only of one's own may user and port be others than the stack's."""
    way = {"name": name, "address": ssh["addresses"][name], "host_key": ssh["hostKeys"][name]}
    others = {"user": (ssh.get("users") or {}).get(name), "port": (ssh.get("ports") or {}).get(name)}
    return way | {key: value for key, value in others.items() if value is not None}


class Root:
    """The database's root, on any node that serves."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        """`known`: what `reach` gives."""
        self._known, self._hosts = known, list(known["hosts"])

    def ask(self, *statements: str) -> list[tuple[str, ...]]:
        """Run statements that may be repeated; the rows of all answers. Raises AccountsFailed."""
        # A node that lags behind the others catches up before it answers.
        text = "\n".join(["SET SESSION wsrep_sync_wait = 1;", *statements, ""])
        began, told = time.monotonic(), FIRST - EVERY
        while True:
            reasons = []
            for host in self._hosts:
                try:
                    answer = asyncio.run(self._ask(host, text))
                except NoAnswer as reason:
                    reasons.append(f"{host['name']}: {reason}")
                    continue
                # The next question begins with the one that answers.
                self._hosts = sorted(self._hosts, key=lambda each: each is not host)
                return rows(answer)
            waited = time.monotonic() - began
            if waited > PATIENCE:
                raise AccountsFailed(
                    f"No node of the database can be asked ({'; '.join(reasons)}). Remedy: `verify` of the "
                    "cluster's stack names what is amiss with the database, `up` there and then here renews "
                    "what is known of its hosts; correct it, then repeat"
                )
            if waited - told >= EVERY:
                told = waited
                print(f"the database: no node answers yet ({'; '.join(reasons)})", flush=True)
            time.sleep(PAUSE)

    async def _ask(self, host: Mapping[str, Any], text: str) -> str:
        """Raises NoAnswer, or AccountsFailed for what a node refuses."""
        command = COMMAND.replace("SERVICE", self._known["service"])
        try:
            async with self._connection(host) as connection:
                done = await connection.run(command, input=text, check=False, timeout=STATEMENTS)
        except asyncssh.TimeoutError:
            raise AccountsFailed(
                f"{host['name']}: no end of the statements within {STATEMENTS:.0f} s; somebody may hold what "
                "they are about. Remedy: see SHOW PROCESSLIST there, then repeat"
            ) from None
        except asyncssh.HostKeyNotVerifiable:
            raise NoAnswer("it shows another host key than the cluster's stack has") from None
        except (OSError, asyncssh.Error) as error:
            raise NoAnswer(f"no SSH ({error or type(error).__name__})") from None
        said = str(done.stderr or "").strip()
        if done.exit_status == 0:
            return str(done.stdout or "")
        if done.exit_status == ABSENT:
            raise NoAnswer(f"no container of {self._known['service']} runs there")
        raise refused(host["name"], said)

    def _connection(self, host: Mapping[str, Any]) -> Any:
        key = self._known["private_key"]
        address, _, port = host["address"].partition(":")
        return asyncssh.connect(
            address,
            int(host.get("port") or port or 22),
            username=host.get("user") or self._known["user"],
            client_keys=None if key is None else [asyncssh.import_private_key(key)],
            agent_path=() if key is None else None,
            known_hosts=_pinned(host["host_key"].splitlines()),
            config=None,
            connect_timeout=CONNECT,
            keepalive_interval=15,
        )


def _pinned(keys: Sequence[str]) -> Any:
    return ([asyncssh.import_public_key(keys[0])], [], [])


def refused(host: str, said: str) -> Exception:
    """What a failure means, from a client's or the engine's words."""
    found = re.search(r"ERROR (\d+)", said)
    # A statement's words may have a password's stored form in them.
    words = re.sub(r"\*[0-9A-F]{40}", "*…", " ".join(said.replace("-" * 14, " ").split()))
    words = words or "no word of the reason"
    if found is None or int(found[1]) in PASSING:
        return NoAnswer(words)
    number = int(found[1])
    remedy = ". Remedy: take it back as who has made that role, or drop it" if number == NOT_ITS_ADMIN else ""
    return AccountsFailed(f"{host}: the database refuses: {words}{remedy}", number)
