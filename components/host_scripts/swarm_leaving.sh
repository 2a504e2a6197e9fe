# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
voting=(fact fact) listing=(fact fact) patience=1
# ---- hosts get what follows ----
# look_at NODE: sets state, role and vote (its reachability as a manager). Ends with 1 when there is no such
# node, with 2 when the swarm does not say.
look_at() {
  local answer format='{{.Status.State}}|{{.Spec.Role}}|{{with .ManagerStatus}}{{.Reachability}}{{end}}'
  state='' role='' vote=''
  if answer=$(docker node inspect --format "$format" "$1" 2>/dev/null); then
    IFS='|' read -r state role vote <<<"$answer"
    return 0
  fi
  trouble=$(docker node inspect "$1" 2>&1 >/dev/null) || :
  [[ $trouble != *"o such node"* && $trouble != *"not found"* ]] || return 1
  return 2
}

# there NODE: whether there is such a node. A swarm that does not say is no swarm without it.
there() {
  local code trouble='' until=$((SECONDS + patience))
  while :; do
    code=0
    look_at "$1" || code=$?
    (( code == 2 )) || return "$code"
    (( SECONDS < until )) || fail "the swarm does not say which nodes it has (${trouble:-no reason given}). \
Remedy: bring a majority of the managers back, then repeat"
    sleep 1
  done
}

# costs_majority NODE: whether it has a vote without which the other managers could decide nothing.
costs_majority() {
  local id vote mine='' others=0 answer=0
  while IFS='|' read -r id vote; do
    if [[ $id == "$1" ]]; then
      mine=$vote
    else
      others=$((others + 1))
      [[ $vote == Unreachable ]] || answer=$((answer + 1))
    fi
  done < <(docker node ls --filter role=manager --format '{{.ID}}|{{.ManagerStatus}}')
  [[ $mine ]] && (( others && answer * 2 <= others ))
}

# keep_majority NODE HOST: fails for one without whose vote the others could decide nothing, as long as it is whole.
# An engine may just be restarting.
keep_majority() {
  local until=$((SECONDS + patience))
  while costs_majority "$1"; do
    (( SECONDS < until )) || fail "$2 keeps its place in the swarm: managers are down, and without its vote the \
others could decide nothing any more. Nothing of it was stopped. Remedy: bring the managers back that are down \
('docker node ls' on a manager), or take these out first, which costs no vote; then repeat"
    sleep 2
  done
}

# forgotten HOST 'SERVICE COMMAND…': whether the service's container on this host has taken HOST off its list.
forgotten() {
  local service words container deadline=$((SECONDS + patience))
  read -ra words <<<"$2"
  service=${words[0]} said=''
  while docker service inspect "$service" >/dev/null 2>&1; do
    container=$(docker ps -q -f "label=com.docker.swarm.service.name=$service" -f status=running | head -n 1)
    if [[ ! $container ]]; then
      said="no container of it runs on ${HOSTNAME%%.*}"
    elif said=$(docker exec "$container" "${words[@]:1}" "$1" 2>&1); then
      say "$service: $said"
      return 0
    elif [[ $said == *"$1 is not a member"* ]]; then
      return 0
    fi
    (( SECONDS < deadline )) || return 1
    sleep 2
  done
}

# give_up_votes HOST, leave_lists HOST: what the host takes part in, before and after its containers stop.
give_up_votes() {
  local each said
  for each in "${voting[@]}"; do
    forgotten "$1" "$each" || fail "${each%% *} does not let $1 go: $said. \
Remedy: bring ${each%% *} back to health, then repeat"
  done
}
leave_lists() {
  local each said
  for each in "${listing[@]}"; do
    forgotten "$1" "$each" || say "${each%% *} still counts on $1: $said. \
Once it is well again, run '${each#* } $1' in a container of it"
  done
}

# stop_containers NODE HOST: a node that answers is drained, so that a database on it ends in order.
stop_containers() {
  local state role vote trouble deadline told
  there "$1" && [[ $state == ready ]] || return 0
  docker node update --availability drain "$1" >/dev/null || :
  deadline=$((SECONDS + 90)) told=$SECONDS
  while [[ $(docker node ps --format '{{.CurrentState}}' "$1" 2>/dev/null) == *Running* ]]; do
    (( SECONDS < deadline )) || { say "$2 did not stop its containers in 90 s"; break; }
    if (( SECONDS - told >= 10 )); then say "$2 is stopping its containers"; told=$SECONDS; fi
    sleep 1
  done
}

# drop NODE HOST: its vote in the swarm, then the node.
drop() {
  local state role vote trouble said='' deadline=$((SECONDS + patience))
  while there "$1" && [[ $role == manager || $vote ]]; do
    if [[ $role == manager ]] && said=$(docker node demote "$1" 2>&1 >/dev/null); then continue; fi
    (( SECONDS < deadline )) || fail "$2 could not be demoted (${said:-it still votes}): without a majority \
of managers the swarm takes no change. Remedy: bring the other managers back, then repeat"
    sleep 1
  done
  while there "$1" && ! said=$(docker node rm --force "$1" 2>&1 >/dev/null); do
    (( SECONDS < deadline )) || fail "$2 could not be removed from the swarm: $said. Remedy: repeat"
    sleep 1
  done
}

# leave NODE HOST: all of it.
leave() {
  local state role vote trouble
  there "$1" || { say "$2 is no longer in the swarm"; return 0; }
  keep_majority "$1" "$2"
  give_up_votes "$2"
  stop_containers "$1" "$2"
  leave_lists "$2"
  drop "$1" "$2"
  say "$2 has left the swarm"
}
