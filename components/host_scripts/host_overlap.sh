# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
subnet=fact hostname=fact first=1 last=1 overlay_length=1
# ---- hosts get what follows ----
while read -r destination rest; do
  [[ $destination =~ ^([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+)(/([0-9]+))?$ ]] || continue
  [[ " $rest " != *" dev docker"* ]] || continue
  length=${BASH_REMATCH[6]:-32}
  [[ " $rest " != *" via "* ]] || (( length >= overlay_length )) || continue
  from=$(( BASH_REMATCH[1] << 24 | BASH_REMATCH[2] << 16 | BASH_REMATCH[3] << 8 | BASH_REMATCH[4] ))
  size=$(( 1 << (32 - length) ))
  if (( from <= last && from + size - 1 >= first )); then
    fail "network.subnet $subnet overlaps $destination, which $hostname reaches by '$rest'. \
Remedy: set network.subnet to a private network that no host routes, like 10.200.0.0/24 or 172.30.0.0/24"
  fi
done < <(ip -4 route show)
