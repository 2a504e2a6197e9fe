"""The Docker engine's configuration and its start, on its own disk only.

Owns: daemon.json, the unit's drop-in, and when the engine may be restarted.
Leaves to others: packages, disk, swarm.

live-restore stays off: swarm mode refuses it. So a restart of the engine stops the host's containers, and
`configure` never restarts an engine that runs some: it leaves a note, and `restart_if_needed`, which the
program runs on one host after the other, brings the new configuration into effect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.commands.disk import MOUNT_POINT
from components.commands.shell import assign

DROPIN = f"""# Written by swarm-galera: the engine's data belongs on its own disk.
[Unit]
RequiresMountsFor={MOUNT_POINT}
ConditionPathIsMountPoint={MOUNT_POINT}
"""


@dataclass(frozen=True)
class Places:
    """Where things are on the host; other values are for tests."""

    daemon_json: str = "/etc/docker/daemon.json"
    dropin: str = "/etc/systemd/system/docker.service.d/10-disk.conf"
    wants: str = "/etc/systemd/system/multi-user.target.wants/docker.service"
    state: str = "/run/swarm-galera"


def daemon_json(
    labels: Mapping[str, str],
    dns: Sequence[str] = (),
    registry_mirrors: Sequence[str] = (),
    insecure_registries: Sequence[str] = (),
) -> str:
    """The engine's configuration as JSON; equal settings give equal text.

    Logs are kept as 10 files of 10 MB for each container.
    """
    config: dict[str, object] = {
        "storage-driver": "btrfs",
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "10"},
        "labels": [f"{key}={value}" for key, value in sorted(labels.items())],
    }
    if dns:
        config["dns"] = list(dns)
    if registry_mirrors:
        config["registry-mirrors"] = list(registry_mirrors)
    if insecure_registries:
        config["insecure-registries"] = list(insecure_registries)
    return json.dumps(config, indent=2, sort_keys=True)


def bind_to_disk(places: Places | None = None) -> str:
    """Shell text for before the packages: the engine does not start while its disk is not mounted."""
    at = places or Places()
    return f"write_file {at.dropin} {_quoted(DROPIN.rstrip())}"


def configure(hostname: str, config: str, places: Places | None = None) -> str:
    """Shell text that writes `config` and leaves the engine running; prints the engine's version."""
    at = places or Places()
    variables = assign(
        hostname=hostname,
        config=config,
        dropin_text=DROPIN.rstrip(),
        daemon_json=at.daemon_json,
        dropin=at.dropin,
        wants=at.wants,
        state=at.state,
    )
    return f"{variables}\n{_START}\n{_CONFIGURE}"


def restart_if_needed(hostname: str, places: Places | None = None) -> str:
    """Shell text that restarts the engine if `configure` left a note, and waits for its containers.

    Run on one host after the other: each waits until the host's tasks are up and healthy again.
    """
    at = places or Places()
    return f"{assign(hostname=hostname, state=at.state)}\n{_START}\n{_RESTART}"


_START = r"""
start_engine() {
  systemctl "$1" docker.service || {
    journalctl -u docker.service -n 20 --no-pager -o cat >&2 || :
    fail "the engine of $hostname does not start (its last words are above). \
Remedy: correct what it complains of (settings under engine:), then repeat"
  }
}
""".strip()

_CONFIGURE = r"""
changed=0
write_file "$dropin" "$dropin_text"
reload=$changed changed=0
write_file "$daemon_json" "$config"
[[ -e $wants ]] || systemctl -q enable docker.service
if ! systemctl -q is-active docker.service; then
  # Also for the units of packages that were installed without a word to systemd.
  systemctl daemon-reload
  start_engine start
  say "engine started"
elif (( reload || changed )); then
  (( ! reload )) || systemctl daemon-reload
  if [[ $(docker ps -q) ]]; then
    [[ -d $state ]] || mkdir -p "$state"
    : >"$state/engine.restart"
    systemctl reload docker.service
    say "configuration written; this host's turn to restart its engine comes later"
  else
    start_engine restart
    say "engine restarted"
  fi
fi
read -r driver version < <(docker info --format '{{.Driver}} {{.ServerVersion}}') \
  || fail "the engine of $hostname does not answer. Remedy: see 'journalctl -u docker' on the host"
[[ $driver == btrfs ]] || fail "the engine of $hostname stores with '$driver' instead of btrfs. \
Remedy: see 'journalctl -u docker' on the host"
printf '%s\n' "$version"
""".strip()

_RESTART = r"""
if [[ -e $state/engine.restart ]]; then
  before=$(docker ps -q | grep -c . || :)
  say "restarting the engine and its $before containers"
  start_engine restart
  rm -f "$state/engine.restart"
  deadline=$((SECONDS + 900)) told=$SECONDS
  while :; do
    up=0 total=0
    while read -r status; do
      total=$((total + 1))
      [[ $status != Up* || $status == *"(health: starting)"* || $status == *unhealthy* ]] || up=$((up + 1))
    done < <(docker ps --format '{{.Status}}')
    (( up < before )) || break
    (( SECONDS < deadline )) || fail "only $up of $before containers of $hostname came back in 15 minutes. \
Remedy: see 'docker ps -a' on the host; no further host was restarted"
    if (( SECONDS - told >= 10 )); then say "$up of $before containers are back"; told=$SECONDS; fi
    sleep 2
  done
fi
""".strip()


def _quoted(text: str) -> str:
    return assign(x=text).removeprefix("x=")
