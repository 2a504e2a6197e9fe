"""What every script for a host begins with, and the few words the scripts share.

Owns: strictness, messages, progress, writing a file only when it differs, repeated tries.
Leaves to others: what is done (the other modules here) and how it gets to the host (components).

The scripts run under bash, as root, over one SSH session each. On slow hosts a fork costs more than anything
else, so they prefer bash's own means. Results go to standard output, which ends in the state; messages and
progress go to standard error.
"""

from __future__ import annotations

import shlex

PROLOGUE = r"""
set -euo pipefail
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
umask 022

say() { printf '%s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# patiently WHAT COMMAND…: its output goes to a log; every 10 s a line of progress; the log's end if it fails.
patiently() {
  local what=$1 log status=1 waited=0 last done code; shift
  log=$(mktemp)
  exec {done}< <({ "$@" >"$log" 2>&1 </dev/null && echo 0; } || echo $?)
  while :; do
    code=0
    read -r -t 10 -u "$done" status || code=$?
    (( code > 128 )) || break
    waited=$((waited + 10))
    last=$(tail -n 1 "$log")
    say "$what: $waited s${last:+, ${last::100}}"
  done
  exec {done}<&-
  if [[ $status != 0 ]]; then tail -n 20 "$log" >&2; fi
  rm -f "$log"
  return "${status:-1}"
}

# write_file PATH TEXT: sets changed=1 if the file did not hold exactly that text.
changed=0
write_file() {
  if [[ -f $1 && $(<"$1") == "$2" ]]; then return 0; fi
  [[ -d ${1%/*} ]] || mkdir -p "${1%/*}"
  printf '%s\n' "$2" >"$1.new"
  mv -f "$1.new" "$1"
  changed=1
}
""".strip()


def alone(step: str, folder: str = "/run/swarm-galera") -> str:
    """Shell text that waits until no earlier run of this step goes on: an interrupted `up` may leave one."""
    return f"""
[[ -d {folder} ]] || mkdir -p {folder}
exec {{step}}>{folder}/{step}.lock
flock -n "$step" || patiently "waiting for an earlier run of this step" flock "$step"
"""


def script(*parts: str) -> str:
    """One script: the prologue, then `parts` in order."""
    return "\n\n".join([PROLOGUE, *(part.strip() for part in parts)]) + "\n"


def assign(**values: object) -> str:
    """Shell assignments, quoted; a list or tuple becomes an array."""
    lines = []
    for name, value in values.items():
        if isinstance(value, list | tuple):
            lines.append(f"{name}=({' '.join(shlex.quote(str(item)) for item in value)})")
        else:
            lines.append(f"{name}={shlex.quote(str(value))}")
    return "\n".join(lines)
