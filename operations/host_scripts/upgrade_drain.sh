# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/swarm_leaving.sh
. swarm_leaving.sh
hostname=fact availability=fact label=fact ends_within=1 required=fact
# ---- hosts get what follows ----
nodes=$(docker node ls --format '{{.ID}}|{{.Hostname}}|{{.Status}}|{{.Availability}}') || fail "the swarm does not say \
which nodes it has. Remedy: bring a majority of the managers back, then repeat"
# ended NODE: waits until none of its containers runs; what is installed would restart or kill them.
ended() {
  local states until=$((SECONDS + ends_within))
  while :; do
    if states=$(docker node ps --format '{{.CurrentState}}' "$1") && [[ $states != *Running* ]]; then return 0; fi
    (( SECONDS < until )) || fail "$hostname has not stopped its containers. Nothing was installed. Remedy: see \
there what does not end ('docker ps'), then repeat"
    sleep 2
  done
}
found=''
while IFS='|' read -r id name status before <&3; do
  [[ $name == "$hostname" && $status == Ready ]] || continue
  found=1
  if [[ $availability == drain ]]; then
    # The next call sees by it whom this one has drained. Whom a person has drained stays so.
    [[ $before == Drain ]] || docker node update --label-add "$label=true" "$id" >/dev/null
    stop_containers "$id" "$hostname"
    ended "$id"
  elif [[ $(docker node inspect --format "{{index .Spec.Labels \"$label\"}}" "$id") == true ]]; then
    docker node update --availability "$availability" --label-rm "$label" "$id" >/dev/null
  elif [[ $required ]]; then
    docker node update --availability "$availability" "$id" >/dev/null
  fi
done 3<<<"$nodes"
[[ $found ]] || fail "the swarm has no node $hostname that is ready"
