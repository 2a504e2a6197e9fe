# shellcheck shell=bash
# shellcheck source=engine_start.sh
. engine_start.sh
hostname=fact state=fact manager=1 ask=1 patience=1 others_within=1 down_within=1
# ---- hosts get what follows ----
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
  mapfile -t ids < <(docker ps -q@those@)
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
