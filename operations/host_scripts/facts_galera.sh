# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
service=fact query=fact records=fact
# ---- hosts get what follows ----
# Both in one question: each takes a while on a small host.
[[ ! ${container[$service]:-} ]] || docker exec -u 0 -i "${container[$service]}" sh -c '
  mariadb --skip-ssl -NB | sed "s/^/galera\t/"
  [ ! "$1" ] || galera-node status --json 2>/dev/null </dev/null | sed "s/^/status\t/"' \
  sh "$records" <<<"$query"
