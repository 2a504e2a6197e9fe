# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact patience=1 leaves_within=1
# ---- hosts get what follows ----
IFS= read -r looked
if [[ $looked != clear ]]; then printf '%s\n' "$looked"; exit 0; fi
state=$(docker info --format '{{.Swarm.LocalNodeState}}')
if [[ $state != inactive ]]; then
  deadline=$((SECONDS + patience)) told=$SECONDS
  while :; do
    running=$(docker ps --filter label=com.docker.swarm.service.name \
      --format '{{.Label "com.docker.swarm.service.name"}}')
    [[ $running ]] || break
    (( SECONDS < deadline )) || fail "containers of services still run on $hostname: ${running//$'\n'/ }. It \
was left in the swarm. Remedy: see 'docker ps' there and end them, then repeat"
    if (( SECONDS - told >= 10 )); then
      say "$hostname waits for containers to end: ${running//$'\n'/ }"
      told=$SECONDS
    fi
    sleep 2
  done
  # By force: it is the last one, or one that the others have let go already.
  said=$(docker swarm leave --force 2>&1) || say "$hostname: $said"
  deadline=$((SECONDS + leaves_within))
  while state=$(docker info --format '{{.Swarm.LocalNodeState}}') && [[ $state != inactive ]]; do
    (( SECONDS < deadline )) || fail "$hostname has not left the swarm ($state): $said. Remedy: see \
'journalctl -u docker' on it, then repeat"
    sleep 1
  done
  say "$hostname has left the swarm"
fi
# The engine makes it again with the next swarm. One that somebody's container uses stays.
docker network rm docker_gwbridge >/dev/null 2>&1 || :
echo clear
