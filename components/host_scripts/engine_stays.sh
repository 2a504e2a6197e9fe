# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
replicated=(fact fact)
# ---- hosts get what follows ----
# stays: of the containers on standard input, those that come back to this host. A task of a service with replicas
# may come back on any.
stays() {
  local id service label=com.docker.swarm.service.name
  while read -r id; do
    service=$(docker inspect --format "{{index .Config.Labels \"$label\"}}" "$id" 2>/dev/null) || continue
    [[ " ${replicated[*]} " == *" ${service:-none} "* ]] || printf '%s\n' "$id"
  done
}
