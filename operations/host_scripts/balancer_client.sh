# shellcheck shell=bash
# SC2016: what is in single quotes is for the container.
# shellcheck disable=SC2016
# shellcheck source=client_container.sh
. client_container.sh
addresses=(fact fact) asked=(fact fact) sql=fact
# ---- hosts get what follows ----
# All hosts at a time, each port one after the other.
in_client '
  sql=$1 ports=$2; shift 2
  for host; do
    for port in $ports; do
      if said=$(connect --connect-timeout=10 -NB --execute="$sql" 2>&1); then printf "%s\t%s\t%s\n" "$host" "$port" "$said"
      else printf "%s\t%s\terror\t%s\n" "$host" "$port" "${said//$'"'\n'"'/ }"; fi
    done &
  done
  wait' "$sql" "${asked[*]}" "${addresses[@]}"
