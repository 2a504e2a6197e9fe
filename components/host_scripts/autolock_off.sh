# shellcheck shell=bash
# shellcheck source=autolock_turned.sh
. autolock_turned.sh
# ---- hosts get what follows ----
if [[ $(docker info --format '{{.Swarm.LocalNodeState}}') != inactive && $(locks) != false ]]; then
  turn_autolock --autolock=false off
  say "managers whose engine starts are not locked any more"
fi
