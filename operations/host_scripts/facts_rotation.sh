# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
store=fact service=fact ages=fact
# ---- hosts get what follows ----
[[ ! ${container[$store]:-} ]] || docker exec -u 0 "${container[$store]}" sh -c 'cat /run/secrets/*.crt' | tell shown
[[ ! ${container[$service]:-} ]] \
  || docker exec -u 0 -i "${container[$service]}" mariadb --skip-ssl -NB <<<"$ages" | tell age
