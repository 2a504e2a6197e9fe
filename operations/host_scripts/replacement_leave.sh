# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/swarm_leaving.sh
. swarm_leaving.sh
hostname=fact
# ---- hosts get what follows ----
nodes=$(docker node ls --format '{{.ID}}|{{.Hostname}}|{{.Status}}') || fail "the swarm does not say which nodes it has. \
Remedy: bring a majority of the managers back, then repeat"
left=''
while IFS='|' read -r id name _ <&3; do
  [[ $name == "$hostname" ]] || continue
  leave "$id" "$hostname"
  left=1
done 3<<<"$nodes"
# Somebody may have taken out the node alone.
if [[ ! $left ]]; then
  give_up_votes "$hostname"
  leave_lists "$hostname"
  say "$hostname is in the swarm no longer"
fi
