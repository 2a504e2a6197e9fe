# shellcheck shell=bash
# SC2016: what is expanded is so in the container.
# shellcheck disable=SC2016
# shellcheck source=facts_in_consul.sh
. facts_in_consul.sh
store=fact
# ---- hosts get what follows ----
# What a token may not read it may not write either. Nothing is written.
[[ ! ${container[$store]:-} ]] || in_consul '
  may() {
    said=$(consul kv get $2 "$3" 2>&1)
    case $said in
      *"ermission denied"*) echo "$1 denied" ;;
      *"No key exists"*) echo "$1 allowed" ;;
      *) echo "$1 ${said%%
*}" ;;
    esac
  }
  may nobody "" swarm-galera/verify
  may consumer -token-file=/run/secrets/consul-consumer-token swarm-galera/verify
  may galera -token-file=/run/secrets/store-token swarm-galera/verify
  may galera-elsewhere -token-file=/run/secrets/store-token verify' | tell right
