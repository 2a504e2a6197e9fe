# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact volumes=(fact fact) patience=1
# ---- hosts get what follows ----
IFS= read -r looked
if [[ $looked != clear ]]; then printf '%s\n' "$looked"; exit 0; fi
# users VOLUME: names of the containers that have it, of services and of others, running or ended.
users() {
  docker ps --all --filter "volume=$1" \
    --format '{{.Names}}|{{.Status}}|{{.Label "com.docker.swarm.service.name"}}'
}
there=$(docker volume ls --quiet)
for volume in "${volumes[@]}"; do
  [[ $'\n'$there$'\n' == *$'\n'$volume$'\n'* ]] || continue
  deadline=$((SECONDS + patience)) told=$SECONDS
  while :; do
    waiting='' others=''
    while IFS='|' read -r name status service; do
      if [[ $name && ! $service ]]; then others+=" $name"
      elif [[ $status == Up* ]]; then waiting+=" $name"
      # The swarm keeps ended ones as the service's history, and there is no service any more.
      elif [[ $name ]]; then docker rm "$name" >/dev/null 2>&1 || waiting+=" $name"; fi
    done < <(users "$volume")
    [[ ! $others ]] || fail "the volume $volume of $hostname is to be removed, and other containers have it:\
$others. Remedy: remove these (docker rm --force), or keepData: true, then repeat"
    [[ $waiting ]] || break
    (( SECONDS < deadline )) || fail "the volume $volume of $hostname was not removed: containers of a service \
that is gone still have it:$waiting. Remedy: see 'docker ps -a' there, end them, then repeat"
    if (( SECONDS - told >= 10 )); then say "$hostname waits for containers to end:$waiting"; told=$SECONDS; fi
    sleep 2
  done
  docker volume rm "$volume" >/dev/null || fail "the volume $volume of $hostname was not removed (see above)"
  say "$hostname: removed the volume $volume"
done
echo clear
