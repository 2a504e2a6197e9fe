# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
# ---- hosts get what follows ----
IFS='|' read -r driver swarm node trouble <&"$info"
printf 'driver\t%s\nswarm\t%s\nnode\t%s\ntrouble\t%s\n' "$driver" "$swarm" "$node" "$trouble"
