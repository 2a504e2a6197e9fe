# shellcheck shell=bash
# shellcheck source=swarm_leaving.sh
. swarm_leaving.sh
lost=(fact fact)
# ---- hosts get what follows ----
# Who is down costs no vote when it goes, and is missed by each who leaves after it.
state=$(docker info --format '{{.Swarm.LocalNodeState}}')
if [[ $state == inactive ]]; then exit 0; fi
nodes=$(docker node ls --format '{{.ID}}|{{.Hostname}}|{{.Status}}') || fail "the swarm does not say which nodes it \
has (see above). Remedy: bring a majority of the managers back, then repeat"
while IFS='|' read -r node name status; do
  [[ " ${lost[*]} " == *" $name "* ]] || continue
  if [[ $status == Ready ]]; then
    say "$name does not answer here, but the swarm hears it: it leaves as those that answer do"
    continue
  fi
  drop "$node" "$name"
  say "$name is down, and no node of the swarm any more"
done <<<"$nodes"
