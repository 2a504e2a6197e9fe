# shellcheck shell=bash
# SC2016: what is in single quotes is for the container.
# shellcheck disable=SC2016
# shellcheck source=client_container.sh
. client_container.sh
connections=1 hopeless=1
# ---- hosts get what follows ----
# One line a connection: `node`, its name and its address, or `failed` and the client's last line.
in_client 'in_vain=0
  for ((n = 0; n < $1 && in_vain < $2; n++)); do
    if said=$(connect -NB --connect-timeout=10 \
      --execute="SELECT @@wsrep_node_name, @@wsrep_node_address" 2>&1); then
      printf "node\t%s\n" "${said##*$'"'\n'"'}"
      in_vain=0
    else
      printf "failed\t%s\n" "${said##*$'"'\n'"'}"
      in_vain=$((in_vain + 1))
    fi
  done' "$connections" "$hopeless"
