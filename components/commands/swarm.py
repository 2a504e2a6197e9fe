"""Forming the swarm: init, join, a node's role and labels, and leaving in an order that keeps the quorum.

Owns: what is run on which host and what counts as done already.
Leaves to others: which hosts and labels (components/swarm.py).

`start` and `join` run on the host itself; `describe_node` and `remove_node` run on the first manager, so that
also a dead host can be removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from components.commands.shell import assign

PORT = 2377
HEARTBEAT = 20
"""Seconds between a node's signs of life; after three without one the swarm gives up its tasks. With the
default of 5, hosts that are short of CPU for a quarter of a minute have their databases stopped, all at once,
and a global service gains nothing by being given up sooner: its tasks belong to their node."""
LONELY_FOR = 45
"""Seconds without a leader, and without any other manager ever known, until the first one goes on alone."""
Role = Literal["manager", "worker"]


def start(hostname: str) -> str:
    """Shell text for the first manager. Standard input: its private address.

    Standard output is JSON: `cluster`, `node` (ids), `manager`, `worker` (join tokens: keep it secret).
    """
    return f"{assign(hostname=hostname, port=PORT, heartbeat=HEARTBEAT)}\n{_START}"


_START = r"""
read -r address
IFS='|' read -r state control known < <(
  docker info --format '{{.Swarm.LocalNodeState}}|{{.Swarm.ControlAvailable}}|{{.Swarm.NodeAddr}}')
case $state in
  inactive)
    docker swarm init --advertise-addr "$address" --listen-addr "$address:$port" --data-path-addr "$address" \
      --dispatcher-heartbeat "${heartbeat}s" >/dev/null \
      || fail "$hostname could not start a swarm on $address:$port (see above)"
    say "swarm started on $address" ;;
  active)
    [[ $control == true ]] || fail "$hostname is only a worker of some swarm already. \
Remedy: if that is of no use, run 'docker swarm leave' on it, then repeat"
    [[ $known == "$address" ]] || fail "$hostname leads a swarm on $known, not on its private address \
$address. Remedy: if that is of no use, run 'docker swarm leave --force' on it, then repeat" ;;
  *)
    fail "the swarm of $hostname is '$state'. \
Remedy: see 'docker info' and 'journalctl -u docker' on the host" ;;
esac
read -r cluster node beats < <(docker info --format \
  '{{.Swarm.Cluster.ID}} {{.Swarm.NodeID}} {{.Swarm.Cluster.Spec.Dispatcher.HeartbeatPeriod}}')
if [[ $beats != "${heartbeat}s" && $beats != "${heartbeat}000000000" ]]; then
  docker swarm update --dispatcher-heartbeat "${heartbeat}s" >/dev/null
fi
manager=$(docker swarm join-token -q manager)
worker=$(docker swarm join-token -q worker)
printf '{"cluster":"%s","node":"%s","manager":"%s","worker":"%s"}\n' "$cluster" "$node" "$manager" "$worker"
""".strip()


def join(hostname: str) -> str:
    """Shell text for a further host. Standard input: a token, its address, the first manager's address.

    Hosts join side by side, so they join as workers: that takes no vote. `describe_node` promotes.

    Standard output is the node's id. A token never stands in the script, only on its standard input.
    """
    return f"{assign(hostname=hostname, port=PORT)}\n{_JOIN}"


_JOIN = r"""
read -r token address first
format='{{.Swarm.LocalNodeState}}|{{.Swarm.NodeID}}|{{range .Swarm.RemoteManagers}}{{.Addr}} {{end}}'
look() {
  IFS='|' read -r state node remotes < <(docker info --format "$format")
}
look
if [[ $state == active && " $remotes " != *" $first:$port "* ]]; then
  fail "$hostname belongs to another swarm (managers: $remotes). \
Remedy: if that is of no use, run 'docker swarm leave --force' on it, then repeat"
fi
deadline=$((SECONDS + 300)) told=$SECONDS
until [[ $state == active ]]; do
  (( SECONDS < deadline )) || fail "$hostname could not join the swarm of $first in 5 minutes (see above). \
Remedy: check that $first:$port answers it over the private network (servers.firewall), then repeat"
  if [[ $state == pending ]]; then
    # The engine goes on trying in the background.
    if (( SECONDS - told >= 10 )); then say "joining $first"; told=$SECONDS; fi
    sleep 1
  else
    [[ $state == inactive ]] || docker swarm leave --force >/dev/null 2>&1 || :
    docker swarm join --token "$token" --advertise-addr "$address" --listen-addr "$address:$port" \
      --data-path-addr "$address" "$first:$port" >/dev/null || sleep 2
  fi
  look
done
printf '%s\n' "$node"
""".strip()


def describe_node(hostname: str, role: Role, labels: Mapping[str, str]) -> str:
    """Shell text for the first manager: wait for the node, give it its role and labels.

    Ends for a manager only when it takes part in the decisions: the program promotes one after the other,
    because a swarm that grows from one manager to two has no majority until the second one answers. Should
    that one break off in just this moment, the first is left with a member it does not know and no leader
    for ever; then, and only then, it is told to go on alone, which keeps all that the swarm holds.

    Standard input is the node's id. Labels are set, never removed: give all that may change every time.
    """
    options = [
        option for key, value in sorted(labels.items()) for option in ("--label-add", f"{key}={value}")
    ]
    variables = assign(hostname=hostname, role=role, options=options, port=PORT, lonely_for=LONELY_FOR)
    return f"{variables}\n{_DESCRIBE}"


_DESCRIBE = r"""
read -r node
lonely=''
# mend: the swarm has lost its leader and this manager has never known another one.
mend() {
  local trouble address known
  IFS='|' read -r trouble address known < <(docker info --format \
    '{{.Swarm.Error}}|{{.Swarm.NodeAddr}}|{{range .Swarm.RemoteManagers}}{{.Addr}} {{end}}')
  if [[ $trouble != *"does not have a leader"* || $known != "$address:$port " ]]; then lonely=''; return 0; fi
  lonely=${lonely:-$SECONDS}
  (( SECONDS - lonely >= lonely_for )) || return 0
  say "a manager broke off while it joined, and left the swarm without a majority: going on without it"
  docker swarm init --force-new-cluster --advertise-addr "$address" --listen-addr "$address:$port" \
    --data-path-addr "$address" >/dev/null || say "that was refused (see above)"
  lonely=''
}
look() {
  IFS='|' read -r state now reach < <(docker node inspect --format \
    '{{.Status.State}}|{{.Spec.Role}}|{{with .ManagerStatus}}{{.Reachability}}{{end}}' "$node" 2>/dev/null)
}
deadline=$((SECONDS + 300)) told=$SECONDS described='' message='' state='' now='' reach=''
while :; do
  look || mend
  # A swarm that went on alone has forgotten what its other nodes were to be.
  [[ ! $described || ! $now || $now == "$role" ]] || described=''
  if [[ $state == ready && ! $described ]]; then
    # Another change of the node in between makes the engine refuse ours: then we look again.
    if message=$(docker node update --role "$role" --availability active "${options[@]}" "$node" 2>&1); then
      described=1 message=''
      continue
    fi
  fi
  [[ ! $described || ( $role == manager && $reach != reachable ) ]] || break
  (( SECONDS < deadline )) || fail "$hostname is no $role of the swarm after 5 minutes \
(${state:-unknown}${reach:+, $reach}${message:+, $message}). \
Remedy: check the private network between the hosts (2377/tcp, 7946/tcp and udp) and 'journalctl -u docker' \
on $hostname, then repeat"
  if (( SECONDS - told >= 10 )); then
    say "waiting for $hostname as a $role (${state:-unknown}${reach:+, $reach}${message:+, $message})"
    told=$SECONDS
  fi
  sleep 1
done
""".strip()


def remove_node(hostname: str) -> str:
    """Shell text for the first manager: take a node out, its containers first, then its vote.

    Standard input is the node's id. Does nothing for a node that is gone. A node that answers is drained, so
    that a database on it shuts down in order; one that does not is removed at once.
    """
    return f"{assign(hostname=hostname)}\n{_REMOVE}"


_REMOVE = r"""
read -r node
look() {
  IFS='|' read -r state role reach < <(docker node inspect --format \
    '{{.Status.State}}|{{.Spec.Role}}|{{with .ManagerStatus}}{{.Reachability}}{{end}}' "$node" 2>/dev/null)
}
look || { say "$hostname is no longer in the swarm"; exit 0; }
if [[ $state == ready ]]; then
  docker node update --availability drain "$node" >/dev/null || :
  deadline=$((SECONDS + 90)) told=$SECONDS
  while [[ $(docker node ps --format '{{.CurrentState}}' "$node" 2>/dev/null) == *Running* ]]; do
    (( SECONDS < deadline )) || { say "$hostname did not stop its containers in 90 s"; break; }
    if (( SECONDS - told >= 10 )); then say "$hostname is stopping its containers"; told=$SECONDS; fi
    sleep 1
  done
fi
if [[ $role == manager ]]; then
  docker node demote "$node" >/dev/null || fail "$hostname could not be demoted (see above): without a \
majority of managers the swarm takes no change. Remedy: bring the other managers back, then repeat"
  deadline=$((SECONDS + 60))
  while look && [[ $reach ]]; do
    (( SECONDS < deadline )) || fail "$hostname still votes a minute after it was demoted. Remedy: repeat"
    sleep 1
  done
fi
docker node rm --force "$node" >/dev/null
say "$hostname has left the swarm"
""".strip()
