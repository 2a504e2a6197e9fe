# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
service=fact query=fact
# ---- hosts get what follows ----
[[ ! ${container[$service]:-} ]] ||
  docker exec -u 0 -i "${container[$service]}" mariadb --skip-ssl -NB <<<"$query" | tell galera
