# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/swarm_leaving.sh
. swarm_leaving.sh
hostname=fact availability=fact
# ---- hosts get what follows ----
nodes=$(docker node ls --format '{{.ID}}|{{.Hostname}}|{{.Status}}') || fail "the swarm does not say which nodes \
it has. Remedy: bring a majority of the managers back, then repeat"
found=''
while IFS='|' read -r id name status <&3; do
  [[ $name == "$hostname" && $status == Ready ]] || continue
  found=1
  if [[ $availability == drain ]]; then
    stop_containers "$id" "$hostname"
  else
    docker node update --availability "$availability" "$id" >/dev/null
  fi
done 3<<<"$nodes"
[[ $found ]] || fail "the swarm has no node $hostname that is ready"
