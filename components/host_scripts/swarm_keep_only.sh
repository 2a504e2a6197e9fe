# shellcheck shell=bash
# shellcheck source=swarm_leaving.sh
. swarm_leaving.sh
keep=(fact fact) mark=fact
# ---- hosts get what follows ----
deadline=$((SECONDS + patience))
until all=$(docker node ls --filter "node.label=$mark=true" --format '{{.ID}}|{{.Hostname}}|{{.Status}}'); do
  (( SECONDS < deadline )) || fail "the swarm does not say which nodes it has (see above). \
Remedy: bring a majority of the managers back, then repeat"
  sleep 2
done
# Those that are down first: their votes are none, and count until they are gone.
for first in 1 ''; do
  while IFS='|' read -r id host status <&3; do
    [[ $id && " ${keep[*]} " != *" $host "* ]] || continue
    if [[ $first ]]; then [[ $status == Down ]] || continue
    else [[ $status != Down ]] || continue; fi
    leave "$id" "$host"
  done 3<<<"$all"
done
