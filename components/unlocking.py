"""A manager that a run has rebooted or reloaded gets the unlock key from another manager.

Owns: the step, which runs on the machine that runs Pulumi. Leaves to others: engines that a script restarts
(host_scripts/autolock.py), managers that are locked before a run begins (operations/unlock/locked.py).

The key goes from one manager to the other through a pipe, and so it is in no input, no file and no list of
processes. A majority is up while hosts are interrupted, for that is done in turn. The hosts are reached by
their names in the SSH files (ssh_files.py) as they are: they can't be waited for, because they are written
when all hosts are known, and hosts wait for one another's turn.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import pulumi
from pulumi_command import local

from components.cluster_host import ClusterHost
from components.host_scripts.autolock import REMEDY, STATE, TAKE_KEY, TELL_KEY
from components.host_scripts.shell import assign, sudo_unless_root

TRIES = 60
"""Looks at an engine that is starting, two seconds apart."""
UNREACHED = 3
"""Tries of SSH, which takes up to 20 seconds to give up: the steps before this one have just used it."""
_TEXT = r"""
case "${XDG_STATE_HOME:-}" in /*) base=$XDG_STATE_HOME ;; *) base=$HOME/.local/state ;; esac
config="${SWARM_GALERA_SSH:-$base/swarm-galera/ssh}/$folder/config"
say() { printf '%s\n' "$*" >&2; }
on() { ssh -F "$config" -o ConnectTimeout=20 "$@"; }
if [ ! -r "$config" ]; then
  say "there are no SSH files here, so nobody looks whether $hostname is locked"
  exit 0
fi
tries=0 unreached=0
while :; do
  code=0
  found=$(on "$hostname" "$ask" </dev/null) || code=$?
  case $found in
    locked) break ;;
    active | inactive | error) exit 0 ;;
  esac
  if [ "$code" -eq 255 ]; then
    unreached=$((unreached + 1))
    if [ "$unreached" -ge "$most_unreached" ]; then
      say "$hostname does not answer, so nobody looks whether it is locked"
      exit 0
    fi
  fi
  tries=$((tries + 1))
  # Whether it comes at all is the next step's business.
  [ "$tries" -lt "$most" ] || exit 0
  [ $((tries % 5)) -ne 0 ] || say "waiting for the engine of $hostname"
  sleep 2
done
for other in $others; do
  on "$other" "$tell" </dev/null 2>/dev/null | on "$hostname" "$take" >/dev/null 2>&1 || :
  found=$(on "$hostname" "$ask" </dev/null) || found=none
  if [ "$found" != locked ]; then
    say "$hostname was locked; the key that $other has told unlocks it"
    exit 0
  fi
done
say "error: $hostname is locked, and no other manager tells the unlock key. $remedy"
exit 1
""".strip()


def script(hostname: str, others: Sequence[str], folder: str) -> str:
    """The step's text, for any POSIX shell.

    Args:
        others: names of the other managers.
        folder: of the stack's SSH files.
    """
    facts = assign(
        hostname=hostname,
        others=" ".join(others),
        folder=folder,
        most=TRIES,
        most_unreached=UNREACHED,
        ask=sudo_unless_root(STATE),
        tell=sudo_unless_root(TELL_KEY),
        take=sudo_unless_root(TAKE_KEY),
        remedy=REMEDY,
    )
    return f"{facts}\n{_TEXT}\n"


def unlocked(
    name: str, server: ClusterHost, others: Sequence[str], opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """The step, which runs again after each change that has interrupted the host."""
    folder = f"{pulumi.get_project()}-{pulumi.get_stack()}"
    # One short line, because the plugin quotes it in every error.
    line = f'step={shlex.quote(name)}; eval "$(cat)"'
    return local.Command(
        name,
        create=line,
        update=line,
        stdin=script(server.hostname, others, folder),
        triggers=[server.reboots],
        add_previous_output_in_env=False,
        opts=opts,
    )
