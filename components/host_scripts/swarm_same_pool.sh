# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
pool=fact
# ---- hosts get what follows ----
pools=$(docker info --format '{{.Swarm.Cluster.DefaultAddrPool}}')
[[ " ${pools//[][]/ } " == *" $pool "* ]] || say "engine.swarmPool counts when a swarm is started; this one \
keeps $pools"
