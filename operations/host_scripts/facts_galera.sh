# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
service=fact query=fact
# ---- hosts get what follows ----
if [[ ${container[$service]:-} ]]; then
  docker exec -u 0 -i "${container[$service]}" mariadb --skip-ssl -NB <<<"$query" | tell galera
  docker exec "${container[$service]}" galera-node status --json 2>/dev/null | tell status
fi
