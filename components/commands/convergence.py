"""Waiting on the first manager until a service really runs everywhere, and saying why when it does not.

Owns: what counts as running, the lines of progress, giving up with the failing tasks' own words, the
service's virtual IP.
Leaves to others: creating services (the docker resources) and what a healthy container is (its image).

A task whose image has a health check is "Running" only once the check has passed, so that tasks need not be
asked one by one.
"""

from __future__ import annotations

from components.commands.shell import assign

GIVE_UP_AFTER_FAILURES = 6
"""Tasks of a service that failed on one node before waiting any longer is pointless."""


def service_running(service: str, nodes: int, network: str, minutes: int = 15) -> str:
    """Shell text that waits until `service` runs on `nodes` nodes; prints its virtual IP on `network`.

    Args:
        service: name of a global service.
        nodes: how many nodes it belongs on.
        network: name of the overlay network whose virtual IP is wanted.
        minutes: how long a cluster that makes no progress is waited for; every further node starts it anew.
    """
    variables = assign(
        service=service, wanted=nodes, network=network, patience=minutes * 60, most=GIVE_UP_AFTER_FAILURES
    )
    return f"{variables}\n{_WAIT}\n{_VIRTUAL_IP}"


def galera_formed(service: str, size: int, minutes: int = 15) -> str:
    """Shell text that waits until the local node sees `size` nodes in one Primary component.

    To run after `service_running`, which prints; this prints nothing. The container's root is the server's
    root over its socket: no password is needed.
    """
    variables = assign(service=service, size=size, patience=minutes * 60)
    return f"{variables}\n{_FORMED}"


_WAIT = r"""
give_up() {
  say "the last lines of $service:"
  docker service logs --tail 40 --no-trunc "$service" >&2 || :
  docker service ps --no-trunc --format '{{.Node}}: {{.CurrentState}} {{.Error}}' "$service" >&2 || :
  fail "$1 Remedy: correct the cause (the log and the tasks are above), then repeat: what is done stays done"
}
declare -A failed=() failures=()
best=0 told='' told_at=$((SECONDS - 60)) deadline=$((SECONDS + patience))
while :; do
  running=0 summary=''
  while IFS='|' read -r id node desired state error; do
    case $state in
      Failed*|Rejected*)
        if [[ ! -v "failed[$id]" ]]; then
          failed[$id]=1 failures[$node]=$(( ${failures[$node]:-0} + 1 ))
          say "$service on $node: ${state%% *}: ${error:-no reason given}"
        fi
        (( failures[$node] < most )) || give_up "$service failed $most times on $node." ;;
      *)
        [[ $desired == Running || $desired == Ready ]] || continue
        [[ $state != Running* ]] || running=$((running + 1))
        summary+=", ${node:-no node} ${state%% *}${error:+: $error}" ;;
    esac
  done < <(docker service ps --no-trunc \
    --format '{{.ID}}|{{.Node}}|{{.DesiredState}}|{{.CurrentState}}|{{.Error}}' "$service")
  (( running < wanted )) || break
  if (( running > best )); then best=$running deadline=$((SECONDS + patience)); fi
  (( SECONDS < deadline )) || give_up "$service runs on $running of $wanted nodes and nothing moves any more."
  if [[ $summary != "$told" ]] || (( SECONDS - told_at >= 10 )); then
    say "$service: $running of $wanted running${summary:+ (${summary#, })}"
    told=$summary told_at=$SECONDS
  fi
  sleep 2
done
""".strip()

_VIRTUAL_IP = r"""
id=$(docker network inspect --format '{{.Id}}' "$network")
vip=''
for pair in $(docker service inspect --format \
  '{{range .Endpoint.VirtualIPs}}{{.NetworkID}}={{.Addr}} {{end}}' "$service"); do
  [[ $pair != "$id="* ]] || vip=${pair#*=}
done
[[ $vip ]] || fail "$service has no virtual IP on the network $network. \
Remedy: see 'docker service inspect $service' on a manager"
say "$service: $running of $wanted running, virtual IP ${vip%/*}"
printf '%s\n' "${vip%/*}"
""".strip()

_FORMED = r"""
query="SHOW GLOBAL STATUS WHERE Variable_name IN
  ('wsrep_cluster_size', 'wsrep_cluster_status', 'wsrep_local_state_comment')"
deadline=$((SECONDS + patience)) told=''
while :; do
  declare -A status=()
  container=$(docker ps -q -f "label=com.docker.swarm.service.name=$service" -f status=running | head -n 1)
  while IFS=$'\t' read -r name value; do status[$name]=$value; done < <(
    [[ ! $container ]] || docker exec -u 0 -i "$container" mariadb -NB 2>&1 <<<"$query")
  seen="${status[wsrep_cluster_size]:-no} nodes, ${status[wsrep_cluster_status]:-no answer}"
  seen+=", ${status[wsrep_local_state_comment]:-unknown}"
  [[ $seen != "$size nodes, Primary, Synced" ]] || break
  (( SECONDS < deadline )) || give_up "The cluster has not formed: this node sees $seen, not $size nodes."
  [[ $seen == "$told" ]] || say "$service: $seen"
  told=$seen
  sleep 2
done
say "$service: one cluster of $size nodes, all synced"
""".strip()
