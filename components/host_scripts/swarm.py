"""Forming the swarm: init, join, a node's role and labels.

Owns: what is run on which host and what counts as done already.
Leaves to others: which hosts and labels (components/swarm.py), leaving (host_scripts/swarm_leaving.py).

`start` and `join` run on the host itself; `describe_node` runs on the first manager.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from components.host_scripts.shell import assign
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
Role = Literal["manager", "worker"]


def start(hostname: str, pool: str | None = None) -> str:
    """Shell text for the first manager.

    Standard input: its private address; in the second line those of all other hosts, which may be missing.
    Where one of them is a manager already, no second swarm is started beside that one's.

    Standard output is JSON: `cluster`, `node` (ids), `manager`, `worker` (join tokens: keep it secret).

    Args:
        pool: where a new swarm takes its ingress network and overlays without a subnet from, each a /24.
    """
    text = _START
    if pool:
        text = text.replace(_INIT, f"{_INIT} --default-addr-pool {pool} --default-addr-pool-mask-length 24")
        text = f"{text}\n{assign(pool=pool)}\n{_SAME_POOL}"
    return f"{assign(hostname=hostname, port=PORT, heartbeat=HEARTBEAT)}\n{text}"


_INIT = "docker swarm init"
_SAME_POOL = r"""
pools=$(docker info --format '{{.Swarm.Cluster.DefaultAddrPool}}')
[[ " ${pools//[][]/ } " == *" $pool "* ]] || say "engine.swarmPool counts when a swarm is started; this one \
keeps $pools"
""".strip()


_START = r"""
read -r address
read -ra others || :
IFS='|' read -r state control known < <(
  docker info --format '{{.Swarm.LocalNodeState}}|{{.Swarm.ControlAvailable}}|{{.Swarm.NodeAddr}}')
case $state in
  inactive)
    # Only managers listen on this port. A host that is off, or not there yet, is none: it could not vote.
    managers=$(for other in "${others[@]}"; do
      { timeout 5 bash -c ': <>"/dev/tcp/$0/$1"' "$other" "$port" 2>/dev/null && echo "$other" || :; } &
    done; wait)
    [[ ! $managers ]] || fail "$hostname is in no swarm, but a manager of one answers on \
${managers//$'\n'/, }: a second swarm would cut its services off. Remedy: make $hostname a manager of that \
swarm by hand, then repeat; docs/operations.md says how ('The first manager is gone for good')"
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
    return f"{assign(hostname=hostname, port=PORT, news_within=NEWS_WITHIN)}\n{_JOIN}"


_JOIN = r"""
read -r token address first
format='{{.Swarm.LocalNodeState}}|{{.Swarm.NodeID}}|{{range .Swarm.RemoteManagers}}{{.Addr}} {{end}}'
look() {
  IFS='|' read -r state node remotes < <(docker info --format "$format")
}
# established: an engine that cannot take part now (`error`, `locked`) holds what makes it a manager.
established() {
  local root
  root=$(docker info --format '{{.DockerRootDir}}')
  [[ $state == locked ]] || compgen -G "$root/swarm/raft/*" >/dev/null
}
look
deadline=$((SECONDS + news_within)) told=$SECONDS
while [[ $state == active && " $remotes " != *" $first:$port "* ]]; do
  (( SECONDS < deadline )) || fail "$hostname belongs to another swarm (managers: $remotes). \
Remedy: if that is of no use, run 'docker swarm leave --force' on it, then repeat"
  if (( SECONDS - told >= 10 )); then say "$hostname does not know the manager $first yet"; told=$SECONDS; fi
  sleep 1
  look
done
deadline=$((SECONDS + 300)) told=$SECONDS said=''
until [[ $state == active ]]; do
  (( SECONDS < deadline )) || fail "$hostname could not join the swarm of $first in 5 minutes\
${said:+ ($said)}. Remedy: check that $first:$port answers it over the private network \
(servers.firewall), then repeat"
  if (( SECONDS - told >= 10 )); then say "joining $first${said:+: $said}"; told=$SECONDS; fi
  case $state in
    pending) sleep 1 ;;  # the engine goes on trying in the background
    inactive)
      if ! said=$(docker swarm join --token "$token" --advertise-addr "$address" \
        --listen-addr "$address:$port" --data-path-addr "$address" "$first:$port" 2>&1 >/dev/null); then
        case $said in
          *"alid join token"*|*"does not match fingerprint"*)
            fail "the swarm of $first does not take the stack's join token: it was rotated ($said). \
Remedy: have it read again by pulumi up --replace '**swarm-started', then repeat" ;;
        esac
        sleep 2
      fi ;;
    *)
      if established; then
        fail "$hostname is a manager of a swarm already, and its engine cannot take part now ($state: \
$(docker info --format '{{.Swarm.Error}}')). Remedy: correct that (journalctl -u docker); only if the host \
is to be given up, run 'docker swarm leave --force' on it: its vote is then lost"
      fi
      docker swarm leave --force >/dev/null 2>&1 || : ;;  # a former try ended half-way
  esac
  look
done
printf '%s\n' "$node"
""".strip()


def describe_node(
    hostname: str, role: Role, labels: Mapping[str, str], memberships: Sequence[Membership] = ()
) -> str:
    """Shell text for the first manager: wait for the node, give it its role and labels.

    Ends for a manager only when it takes part in the decisions: the program promotes one after the other,
    because a swarm that grows from one manager to two has no majority until the second one answers. Should
    that one break off in just this moment, the first is left with a member it does not know and no leader
    for ever; then, and only then, it is told to go on alone, which keeps all that the swarm holds.

    A replaced host comes back under its name as another node. Its former self still has its vote, so that
    goes first: nodes of this name that are down are demoted and removed, never one that answers.

    A manager that becomes a worker is taken off the lists of `memberships`, like one that leaves.

    Standard input is the node's id. Labels are set, never removed: give all that may change every time.
    """
    every = {**labels, MARK: "true"}
    options = ["--role", role, "--availability", "active"]
    options += [
        option for key, value in sorted(every.items()) for option in ("--label-add", f"{key}={value}")
    ]
    variables = assign(hostname=hostname, wanted=role, options=options, port=PORT, lonely_for=LONELY_FOR)
    return f"{functions(memberships)}\n{variables}\n{_DESCRIBE}"


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
  # A swarm that went on alone has forgotten what its other nodes were to be.
  lonely='' described=''
}
# look: the node, and in `down` and `twin` others of its name. False when the swarm says nothing.
look() {
  local all id name status manager format='{{.ID}}|{{.Hostname}}|{{.Status}}|{{.ManagerStatus}}'
  state='' vote='' down=() twin=''
  all=$(docker node ls --format "$format" 2>/dev/null) || return 1
  while IFS='|' read -r id name status manager; do
    if [[ $id == "$node" ]]; then state=$status vote=$manager
    elif [[ $name != "$hostname" ]]; then :
    elif [[ $status == Down ]]; then down+=("$id")
    else twin=$id; fi
  done <<<"$all"
}
deadline=$((SECONDS + 300)) told=$SECONDS described='' demoted='' message=''
while :; do
  look || mend
  if [[ $state == Ready && ! $described ]]; then
    for each in "${down[@]}"; do
      say "$hostname was another node before ($each), which is down: removing that"
      drop "$each" "the former $hostname"
    done
    if [[ $twin ]]; then
      message="another node of this name answers, too: $twin"
    else
      if [[ $wanted == worker && $vote ]]; then give_up_votes "$hostname"; demoted=1; fi
      # Another change of the node in between makes the engine refuse ours: then we look again.
      if message=$(docker node update "${options[@]}" "$node" 2>&1); then
        described=1 message=''
        continue
      fi
    fi
  fi
  [[ ! $described || ( $wanted == manager && $vote != Leader && $vote != Reachable ) ]] || break
  if (( SECONDS >= deadline )); then
    [[ ! $twin ]] || fail "two nodes of the swarm are called $hostname and both answer: $node and $twin. \
Names must differ. Remedy: take the one that is not this stack's out of the swarm, then repeat"
    fail "$hostname is no $wanted of the swarm after 5 minutes \
(${state:-unknown}${vote:+, $vote}${message:+, $message}). \
Remedy: check the private network between the hosts (2377/tcp, 7946/tcp and udp) and 'journalctl -u docker' \
on $hostname, then repeat"
  fi
  if (( SECONDS - told >= 10 )); then
    say "waiting for $hostname as a $wanted (${state:-unknown}${vote:+, $vote}${message:+, $message})"
    told=$SECONDS
  fi
  sleep 1
done
[[ ! $demoted ]] || leave_lists "$hostname"
""".strip()
