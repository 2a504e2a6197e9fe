# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
service=fact
# ---- hosts get what follows ----
[[ ! ${container[$service]:-} ]] ||
  docker exec "${container[$service]}" galera-node status --json 2>/dev/null | tell status
