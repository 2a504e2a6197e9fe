# shellcheck shell=bash
# shellcheck source=swarm_leaving.sh
. swarm_leaving.sh
keep=(fact fact) mark=fact
# ---- hosts get what follows ----
deadline=$((SECONDS + patience))
until all=$(docker node ls --filter "node.label=$mark=true" --format '{{.ID}}|{{.Hostname}}'); do
  (( SECONDS < deadline )) || fail "the swarm does not say which nodes it has (see above). \
Remedy: bring a majority of the managers back, then repeat"
  sleep 2
done
while IFS='|' read -r id host <&3; do
  if [[ $id && " ${keep[*]} " != *" $host "* ]]; then leave "$id" "$host"; fi
done 3<<<"$all"
