"""The Docker engine's configuration and its start, on its own disk only.

Owns: daemon.json, the unit's drop-in, and when the engine may be restarted.
Leaves to others: packages, disk, swarm.

live-restore stays off: swarm mode refuses it. So a restart of the engine stops the host's containers, and
`configure` never restarts an engine that runs some: it leaves a note, and `settle`, which the program runs
on one host after the other, brings the new configuration into effect and waits until the host is back.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.host_scripts import host
from components.host_scripts.disk import MOUNT_POINT
from components.host_scripts.shell import assign

DEFAULT_BRIDGE = "172.17.0.0/16"
"""The engine's own default bridge, docker0."""
DEFAULT_POOL = "172.18.0.0/16"
"""The first of the engine's own pools, in which docker_gwbridge is."""
POOL_SIZE = 24
"""Prefix of the networks that are taken out of a pool."""
PATIENCE = 900
"""Seconds until a host that is not back is an error; the next run goes on waiting for it."""

OTHERS_WITHIN = 300
"""Seconds for the other hosts to be well before this one is interrupted."""
DOWN_WITHIN = 45
"""Seconds for one of them that is down: the swarm has waited for its signs of life already."""

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
    bridge: str | None = None,
    address_pools: Sequence[str] = (),
) -> str:
    """The engine's configuration as JSON; equal settings give equal text.

    Logs are kept as 10 files of 10 MB for each container.

    Args:
        bridge: the network of the engine's default bridge.
        address_pools: where the engine takes other networks of the host from, each a /24.
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
    if bridge:
        network = ipaddress.IPv4Network(bridge)
        config["bip"] = f"{network.network_address + 1}/{network.prefixlen}"
    if address_pools:
        config["default-address-pools"] = [{"base": pool, "size": POOL_SIZE} for pool in address_pools]
    return json.dumps(config, indent=2, sort_keys=True)


def networks(config: str) -> dict[str, str]:
    """The networks that an engine with this daemon.json takes on its host, by the setting that moves them."""
    known = json.loads(config)
    bridge = str(ipaddress.IPv4Interface(known["bip"]).network) if "bip" in known else DEFAULT_BRIDGE
    pools = [pool["base"] for pool in known.get("default-address-pools", ())] or [DEFAULT_POOL]
    return {bridge: "engine.bridge"} | dict.fromkeys(pools, "engine.addressPools")


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
    return f"{variables}\n{_START}\n{host.refuse_engine_overlap(networks(config), hostname)}\n{_CONFIGURE}"


def settle(hostname: str, *, manager: bool, ask: bool = True, places: Places | None = None) -> str:
    """Shell text that restarts the engine if `configure` left a note, and waits until the host is back.

    Before the restart the swarm is asked whether the other hosts are well: all nodes Ready, all managers
    reachable, every global service running on all its nodes. They are waited for, `OTHERS_WITHIN` seconds.

    Back is a host with as many healthy containers as before, and with a healthy one of each global service of
    which it has any, dead ones included: so etcd and Galera are there again after a reboot or a reload of the
    server. Galera's is healthy when its node is Synced. Run on one host after the other.

    Reads from standard input how often the server has been interrupted. If it was, the swarm is asked, too,
    which services have had tasks here: it takes dead containers away before it makes new ones.

    Args:
        manager: whether the host may be asked which services there are; a worker's may have moved elsewhere.
        ask: ask for the others; False for whoever has done so in another way, because this engine can't say.
    """
    at = places or Places()
    variables = assign(
        hostname=hostname,
        state=at.state,
        manager=int(manager),
        ask=int(ask),
        patience=PATIENCE,
        others_within=OTHERS_WITHIN,
        down_within=DOWN_WITHIN,
    )
    return f"{variables}\n{_START}\n{_SETTLE}"


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
# Before the engine takes networks: once its bridges are there, the host's neighbours are out of reach.
[[ -e $daemon_json && $(<"$daemon_json") == "$config" ]] && systemctl -q is-active docker.service \
  || refuse_engine_overlap
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

_SETTLE = r"""
IFS= read -r interruptions || :
before=0
# others: sets $unwell to what is amiss with the other hosts, as the swarm sees it; empty if nothing is.
# $patient is how long to wait for them.
others() {
  local list id host status vote name running
  unwell='' patient=$others_within
  list=$(docker node ls --format '{{.Self}}|{{.Hostname}}|{{.Status}}|{{.ManagerStatus}}' 2>&1) \
    || { unwell="the swarm does not answer: $list"; return 0; }
  while IFS='|' read -r id host status vote; do
    if [[ $host && $id != true && ( $status != Ready || $vote == Unreachable ) ]]; then
      unwell+="${unwell:+, }$host is $status${vote:+ and $vote}"
      patient=$down_within
    fi
  done <<<"$list"
  [[ ! $unwell ]] || return 0
  list=$(docker service ls --filter mode=global --format '{{.Name}}|{{.Replicas}}' 2>&1) \
    || { unwell="the swarm does not answer: $list"; return 0; }
  while IFS='|' read -r name running; do
    running=${running%% *}
    [[ ! $name || ${running%/*} == "${running#*/}" ]] || unwell+="${unwell:+, }$name runs on $running nodes"
  done <<<"$list"
}
if [[ -e $state/engine.restart ]] && (( manager && ask )); then
  since=$SECONDS told=$SECONDS
  while others; [[ $unwell ]]; do
    (( SECONDS - since < patient )) || fail "the engine of $hostname is not restarted with its new \
configuration, because the other hosts are not well ($unwell). Remedy: bring them back ('verify' names what \
is amiss), then repeat; no host was interrupted"
    if (( SECONDS - told >= 10 )); then
      say "$hostname waits for the others before it restarts its engine: $unwell"
      told=$SECONDS
    fi
    sleep 2
  done
fi
if [[ -e $state/engine.restart ]]; then
  # What has ended but is listed as running will not be back.
  mapfile -t ids < <(docker ps -q)
  (( ! ${#ids[@]} )) || before=$(docker inspect --format '{{.State.Running}}' "${ids[@]}" | grep -c true || :)
  say "restarting the engine and its $before containers"
  start_engine restart
  rm -f "$state/engine.restart"
fi
# look: sets $up to the number of healthy containers, $waiting to what is not back yet.
look() {
  local found service status names task
  local -A here=()
  up=0 waiting=''
  found=$(docker ps -a --format '{{.Label "com.docker.swarm.service.name"}}|{{.Status}}' 2>&1) \
    || { waiting=" the engine"; return 0; }
  while IFS='|' read -r service status; do
    if [[ $status == Up* && $status != *"(health: starting)"* && $status != *unhealthy* ]]; then
      up=$((up + 1))
      [[ ! $service ]] || here[$service]=healthy
    elif [[ $service ]]; then
      here[$service]=${here[$service]:-}
    fi
  done <<<"$found"
  (( manager )) || return 0
  if (( ${interruptions:-0} )); then
    found=$(docker info --format '{{.Swarm.LocalNodeState}}' 2>&1) || { waiting=" the engine"; return 0; }
    if [[ $found != inactive ]]; then
      found=$(docker node ps self --format '{{.Name}}' 2>&1) || { waiting=" the swarm"; return 0; }
      while read -r task; do
        service=${task##*[ _]} service=${service%%.*}
        [[ ! $service ]] || here[$service]=${here[$service]:-}
      done <<<"$found"
    fi
  fi
  for service in "${!here[@]}"; do [[ ${here[$service]} ]] || waiting+=" $service"; done
  [[ $waiting ]] || return 0
  names=$(docker service ls --filter mode=global --format '{{.Name}}' 2>&1) \
    || { waiting=" the swarm"; return 0; }
  found=$waiting waiting=''
  for service in $found; do
    [[ $'\n'$names$'\n' != *$'\n'$service$'\n'* ]] || waiting+=" $service"
  done
}
deadline=$((SECONDS + patience)) told=$SECONDS
while :; do
  look
  [[ $waiting ]] || (( up < before )) || break
  (( SECONDS < deadline )) || fail "$hostname is not back after $((patience / 60)) minutes \
($up of at least $before containers healthy${waiting:+; not yet:$waiting}). Remedy: see 'docker ps -a' and \
'docker service ps' on it, correct the cause, then repeat; no further host was interrupted"
  if (( SECONDS - told >= 10 )); then
    say "$hostname: $up containers are healthy${waiting:+, waiting for$waiting}"
    told=$SECONDS
  fi
  sleep 2
done
""".strip()


def _quoted(text: str) -> str:
    return assign(x=text).removeprefix("x=")
