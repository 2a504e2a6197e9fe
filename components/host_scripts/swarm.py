"""Forming the swarm: init, join, a node's role and labels.

Owns: what is run on which host and what counts as done already.
Leaves to others: which hosts and labels (components/swarm.py), leaving (host_scripts/swarm_leaving.py).

`join` runs on the host itself; `start` and `describe_node` run on any manager.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise, takewhile
from types import MappingProxyType
from typing import Literal

from components.host_scripts.shell import HERE, assign, body, words
from components.host_scripts.swarm_leaving import MARK, Membership, functions

PORT = 2377
HEARTBEAT = 20
"""Seconds between a node's signs of life; after three without one the swarm gives up its tasks. With the
default of 5, hosts that are short of CPU for a quarter of a minute have their databases stopped, all at once,
and a global service gains nothing by being given up sooner: its tasks belong to their node."""
NEWS_WITHIN = 60
"""Seconds in which a node hears of a manager that has just come; until then it is no stranger's."""
LONELY_FOR = 45
"""Seconds without a leader, and without any other manager ever known, until the first one goes on alone."""
LEAVES = "swarm-galera.leaves"
"""Node label, `true` on a host whose node of the database is to go, until nobody counts on it any more."""
Role = Literal["manager", "worker"]


def start(hostname: str, pool: str | None = None) -> str:
    """Shell text for any manager: the swarm's tokens, and the swarm, if there is none.

    Standard input: the managers as NAME=PRIVATE-ADDRESS; in the second line the addresses of all other hosts,
    which may be missing. Only `hostname` starts a swarm, and not where another of them is a manager already.

    Standard output is JSON: `cluster`, `node` (ids), `manager`, `worker` (join tokens: keep it secret).

    Args:
        hostname: of the first manager, on which a new swarm begins.
        pool: where a new swarm takes its ingress network and overlays without a subnet from, each a /24.
    """
    options = ["--default-addr-pool", pool, "--default-addr-pool-mask-length", 24] if pool else []
    text = body("swarm_start", pool=f" {words(options)}" if options else "")
    if pool:
        text = f"{text}\n{assign(pool=pool)}\n{_SAME_POOL}"
    return f"{HERE}\n{assign(first=hostname, port=PORT, heartbeat=HEARTBEAT)}\n{text}"


_SAME_POOL = body("swarm_same_pool")


def tokens(*, rotate: bool) -> str:
    """Shell text for any manager: both join tokens, others if `rotate`.

    Standard output is JSON: `manager`, `worker`; keep it secret. Run twice, it rotates twice, which harms
    nobody.
    """
    return f"{assign(rotate='yes' if rotate else '')}\n{_TOKENS}"


_TOKENS = body("swarm_tokens")


def join(hostname: str) -> str:
    """Shell text for a host. Standard input: a token, its private address, the swarm's id; in the second line
    the managers' addresses, its own among them if it is one: it joins by whichever of the others answers.

    Hosts join side by side, so they join as workers: that takes no vote. `describe_node` promotes.

    Standard output is the node's id. A token never stands in the script, only on its standard input.
    """
    return f"{assign(hostname=hostname, port=PORT, news_within=NEWS_WITHIN)}\n{_JOIN}"


_JOIN = body("swarm_join")


def describe_node(
    hostname: str,
    role: Role,
    labels: Mapping[str, str],
    memberships: Sequence[Membership] = (),
    *,
    autolock: bool = False,
    bore: str | None = None,
    gone: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Shell text for any manager: wait for the node, give it its role and labels.

    Ends for a manager only when it takes part in the decisions: the program promotes one after the other,
    because a swarm that grows from one manager to two has no majority until the second one answers. Should
    that one break off in just this moment, the first is left with a member it does not know and no leader
    for ever; then, and only then, it is told to go on alone, which keeps all that the swarm holds. Not where
    `autolock` counts: the engine answers that by forgetting that it was in a swarm (moby/moby#36852).

    A replaced host comes back under its name as another node. Its former self still has its vote, so that
    goes first: nodes of this name that are down are demoted and removed, never one that answers.

    A manager that becomes a worker is taken off the lists of `memberships`, like one that leaves. So is, off
    those without votes, a node that loses the label `bore`, which brings these services to it.

    Standard input is the node's id. A label of the node that is neither in `labels` nor in `gone` stays.

    Args:
        autolock: the swarm has it, or will have.
        bore: a label that may have been `true` on this node, and is to be no longer.
        gone: labels that go, unless they have another value by now (`labels_gone`).
    """
    every = {**labels, MARK: "true"}
    options = ["--role", role, "--availability", "active"]
    options += [
        option for key, value in sorted(every.items()) for option in ("--label-add", f"{key}={value}")
    ]
    variables = assign(hostname=hostname, wanted=role, options=options, port=PORT, lonely_for=LONELY_FOR)
    noted = "\n      note_data" if bore else ""
    text = body("swarm_describe", locks=_LOCKS if autolock else "", noted=noted)
    if autolock:
        text = f"{_LOCKED_KEY}\n{text}"
    if bore:
        keeping = [f"{each.service} {each.forget}" for each in memberships if not each.votes]
        text = f"{assign(label=bore, leaves=LEAVES, keeping=keeping)}\n{_DATA_LEAVES}\n{text}\ndata_left"
    if gone:
        former = assign(former_labels=[f"{key}={value}" for key, value in sorted(gone.items())])
        text = f"{former}\n{_LABELS_GONE}\n{text}\nlabels_gone"
    return f"{functions(memberships)}\n{variables}\n{text}"


_LOCKS = " || $(key_is_locked) == yes"
_DATA_LEAVES = body("swarm_data_leaves")
_LOCKED_KEY = body("swarm_locked_key")
_LABELS_GONE = body("swarm_labels_gone")


def labels_gone(
    before: str, wanted: Mapping[str, str], step: Callable[[Mapping[str, str]], str]
) -> Mapping[str, str]:
    """Labels for `describe_node` to take away: those that its run before has set, and that nobody wants now.

    What it has taken away already it names again, as long as nothing else is said: another text would be run
    for nothing. Once something else is, it is forgotten; a person may have set it since.

    Args:
        before: the script that ran last, as the state has it; empty for none.
        wanted: the labels of the node.
        step: the script that would take these labels away.
    """
    known = {*wanted, MARK}
    options = _array(before, "options")
    added = [word for option, word in pairwise(options) if option == "--label-add"]
    if gone := _without(added, known):
        return gone
    taken = _without(_array(before, "former_labels"), known)
    return taken if taken and before.startswith(step(taken)) else {}


def _without(labels: Sequence[str], known: set[str]) -> dict[str, str]:
    pairs = (label.partition("=") for label in labels)
    return {key: value for key, _, value in pairs if key not in known}


def _array(text: str, name: str) -> list[str]:
    """The words that `assign` has made an array of."""
    found = re.search(rf"^{name}=\(", text, re.MULTILINE)
    if found is None:
        return []
    lexer = shlex.shlex(text[found.end() :], posix=True, punctuation_chars="()")
    lexer.whitespace_split, lexer.commenters = True, ""
    return list(takewhile(lambda word: word != ")", lexer))
