"""Waiting on the first manager until a service really runs everywhere, and saying why when it does not.

Owns: what counts as running, when a rolling update is over and whether it went well, the lines of progress,
giving up with the failing tasks' own words, the service's virtual IP.
Leaves to others: creating and changing services (the docker resources), how they are updated
(components/services.py) and what a healthy container is (its image).

A task whose image has a health check is "Running" only once the check has passed, so that tasks need not be
asked one by one.

While a service is updated the old tasks run on, so running tasks alone prove nothing: the engine's own status
of the update does. Every change of a service clears it; the engine sets `updating` when it begins to replace
tasks, and never when none needs replacing; then `completed`, or `paused` after a failure. So an old pause is
never taken for one of the present update, unless nothing was changed since. Then the update goes on as soon
as all nodes run: to go on earlier would take down a second node.
"""

from __future__ import annotations

from components.host_scripts.shell import assign

GIVE_UP_AFTER_FAILURES = 6
"""Tasks of a service that failed on one node before waiting any longer is pointless."""
PORT_TAKEN = 2
"""Tasks that found their port taken on one node before it is somebody else who has it: the first one may have
come upon a predecessor that was about to end."""
BEGINS_WITHIN = 30
"""Seconds after which a changed service is not going to replace any task (an idle swarm takes one or two)."""


def service_running(service: str, nodes: int, network: str, minutes: int = 15, *, hopeless: str = "") -> str:
    """Shell text that waits until `service` runs on `nodes` nodes; prints its virtual IP on `network`.

    Args:
        service: name of a global service.
        nodes: how many nodes it belongs on.
        network: name of the overlay network whose virtual IP is wanted.
        minutes: how long a cluster that makes no progress is waited for; every task that comes to run, or is
            stopped for its successor, starts it anew.
        hopeless: text of a line in the service's log after which a service that has just been made is not
            waited for any longer: that line is shown. While a service is updated, tasks that are about to be
            replaced may say it.
    """
    variables = assign(
        service=service,
        wanted=nodes,
        network=network,
        patience=minutes * 60,
        most=GIVE_UP_AFTER_FAILURES,
        taken=PORT_TAKEN,
        begins=BEGINS_WITHIN,
        hopeless=hopeless,
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
  local remedy='correct the cause (the log and the tasks are above), then repeat: what is done stays done'
  fail "$1 Remedy: ${2:-$remedy}"
}
# STATE|MESSAGE of the last update; "begun" until the engine has looked at it, "none" if there never was one.
format='{{with .UpdateStatus}}{{.State}}|{{.Message}}{{else}}'
format+='{{if .PreviousSpec}}begun{{else}}none{{end}}|{{end}}'
port_taken=':([0-9]+)(: bind: address already in use| failed: port is already allocated)'
declare -A failed=() failures=() clashes=()
first=1 paused_before='' moved='' told='' told_at=$((SECONDS - 60)) update='' message=''
since=$SECONDS deadline=$((SECONDS + patience)) began=$(date +%s)
while :; do
  # Before the tasks: should the update end in between, they are seen as it left them.
  [[ $update == none ]] || IFS='|' read -r update message < <(
    docker service inspect --format "$format" "$service") || update=unknown
  if [[ $update != paused ]]; then paused_before=''; elif (( first )); then paused_before=1; fi
  running=0 runs='' summary=''
  while IFS='|' read -r id node desired state error; do
    case $state in
      Failed*|Rejected*|Complete*)
        if [[ ! -v "failed[$id]" ]]; then
          failed[$id]=1
          # What failed before this wait may have been mended meanwhile.
          (( ! first )) || continue
          say "$service on $node: ${state%% *}: ${error:-no reason given}"
          failures[$node]=$(( ${failures[$node]:-0} + 1 ))
          if [[ $error =~ $port_taken ]]; then
            clashes[$node]=$(( ${clashes[$node]:-0} + 1 ))
            (( clashes[$node] < taken )) || give_up \
              "Port ${BASH_REMATCH[1]} of $node, which $service needs, is taken by another program." \
              "see on $node who has it: ss -lntup 'sport = :${BASH_REMATCH[1]}'; end that, then repeat"
          fi
        fi
        (( ${failures[$node]:-0} < most )) || give_up "$service failed $most times on $node." ;;
      *)
        [[ $desired == Running || $desired == Ready ]] || continue
        [[ $state != Running* ]] || running=$((running + 1)) runs+=" $id"
        summary+=", ${node:-no node} ${state%% *}${error:+: $error}" ;;
    esac
  done < <(docker service ps --no-trunc \
    --format '{{.ID}}|{{.Node}}|{{.DesiredState}}|{{.CurrentState}}|{{.Error}}' "$service")
  first=0
  case $update in
    none|completed) (( running < wanted )) || break ;;
    begun) (( running < wanted || SECONDS - since < begins )) || break ;;
    paused)
      if [[ ! $paused_before ]]; then
        give_up "The update of $service has stopped at its first failure: $message." \
          "correct the cause (the log and the tasks are above), then repeat: once all nodes run, it goes on"
      elif (( running >= wanted )); then
        say "$service: an earlier update was paused ($message); all nodes run, so it goes on"
        docker service update --detach "$service" >/dev/null
        paused_before='' since=$SECONDS
        continue
      fi ;;
    rollback_*) give_up "$service was rolled back: what runs is not what the settings say ($message)." \
      "correct the cause; then 'pulumi refresh', so that the state says what runs, and repeat" ;;
  esac
  if [[ $runs != "$moved" ]]; then moved=$runs deadline=$((SECONDS + patience)); fi
  (( SECONDS < deadline )) || give_up "$service runs on $running of $wanted nodes and nothing moves any more."
  if [[ $summary != "$told" ]] || (( SECONDS - told_at >= 10 )); then
    what=running
    [[ $update != updating ]] || what='running, update in progress'
    say "$service: $running of $wanted $what${summary:+ (${summary#, })}"
    told=$summary told_at=$SECONDS
    if [[ $hopeless && $update == none ]]; then
      word=''
      read -r word < <(
        docker service logs --raw --since "$began" "$service" 2>/dev/null | grep -m 1 -F "$hopeless") || :
      [[ ! $word ]] || give_up "$word."
    fi
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
