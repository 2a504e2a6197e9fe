"""What must hold of the application: all its containers run, and every host's port leads to one.

Owns: the questions, and the checks made of the answers. Nothing is known of what an application is but that
it speaks HTTP.
Leaves to others: connections to hosts (remote_hosts.py), the database (galera.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from components.host_scripts.shell import assign, body
from operations.checks.check import Check
from operations.outputs import Application, Host, Outputs
from operations.remote_hosts import SCRIPTS, Answer

ROUNDS = 2
"""How often each host's port is asked for each container: the ingress network takes them in turn."""
MOST = 12
"""Requests through one host, however many containers there are."""
PATIENCE = 20
"""Seconds for one answer; on hosts short of CPU a first page takes some."""
_ASK = body("application_client", SCRIPTS)


@dataclass(frozen=True)
class Task:
    """One container that is meant to run: on which host (none yet: empty), how it is, and its error."""

    host: str
    state: str
    error: str


def tasks(application: Application) -> str:
    """Shell text for a manager: prints the containers that are meant to run."""
    template = "{{.Node}}|{{.CurrentState}}|{{.Error}}"
    return (
        f"{assign(service=application.service, template=template)}\n"
        'docker service ps --no-trunc --filter desired-state=running --format "$template" "$service"'
    )


def ask(application: Application, host: Host) -> str:
    """Shell text for a host: asks for its front page through its own published port, several times."""
    asked = min(ROUNDS * application.replicas, MOST)
    facts = assign(address=host.private_ip, port=application.port, asked=asked, patience=PATIENCE)
    return f"{facts}\n{_ASK}"


def of_application(
    outputs: Outputs, application: Application, listed: Answer, answers: Mapping[str, Answer]
) -> list[Check]:
    """Its containers, and the port of each host.

    Args:
        listed: answer to `tasks`.
        answers: to `ask`, by the host's name.
    """
    return [
        _all_run(application, listed),
        *(
            _answers(host, application, answers.get(host.name, Answer(error="not asked")))
            for host in outputs.hosts
        ),
    ]


def parse_tasks(text: str) -> list[Task]:
    """What `tasks` printed."""
    lines = [line.split("|", 2) for line in text.splitlines()]
    return [Task(*map(str.strip, words)) for words in lines if len(words) == 3]


def _all_run(application: Application, listed: Answer) -> Check:
    found = parse_tasks(listed.text)
    running = Counter(task.host for task in found if task.state.startswith("Running"))
    others = [task for task in found if not task.state.startswith("Running")]
    ok = not listed.error and running.total() == application.replicas and not others
    told = [f"{count} on {host}" for host, count in sorted(running.items())]
    told += sorted(
        {" ".join((task.host or "no host", _word(task.state), task.error)).strip() for task in others}
    )
    return Check(
        "cluster",
        f"all {application.replicas} containers of {application.service} run",
        ok,
        listed.error or ", ".join(told) or "none runs",
        remedy=""
        if ok
        else f"on a manager, `docker service ps --no-trunc {application.service}` says why, and "
        f"`docker service logs {application.service}` what they said",
    )


def _word(state: str) -> str:
    """`Preparing 5 seconds ago` is `Preparing`."""
    return state.partition(" ")[0]


def _answers(host: Host, application: Application, answer: Answer) -> Check:
    lines = [line.split("\t", 1) for line in answer.text.splitlines() if "\t" in line]
    said = Counter(_status(words) if kind == "answer" else words for kind, words in lines)
    ok = bool(said) and not answer.error and all(re.fullmatch(r"HTTP [1-4]\d\d", word) for word in said)
    found = ", ".join(
        word if count == said.total() else f"{word} ({count} of {said.total()})"
        for word, count in said.most_common()
    )
    return Check(
        host.name,
        f"{application.service} answers on port {application.port}",
        ok,
        answer.error or found or "no answer",
        remedy=""
        if ok
        else f"an answer of 500 and above: `docker service logs {application.service}` on a manager; "
        "none at all: no container runs, or the ingress network does not reach it (ports 7946 and 4789 "
        "between the hosts)",
    )


def _status(line: str) -> str:
    """`HTTP/1.1 302 Found` is `HTTP 302`."""
    found = re.match(r"HTTP/\d(?:\.\d)? (\d{3})\b", line)
    return f"HTTP {found[1]}" if found else f"no HTTP: {line[:60]!r}"
