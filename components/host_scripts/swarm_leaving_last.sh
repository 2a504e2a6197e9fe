# shellcheck shell=bash
# shellcheck source=swarm_leaving.sh
. swarm_leaving.sh
# ---- hosts get what follows ----
# leaves_last NODE HOST: whether the host must leave the swarm by itself, which all do that stay when the stack
# goes: nobody takes out who is asked, and without its vote whoever is left could decide nothing.
leaves_last() {
  local why=''
  if [[ ${HOSTNAME%%.*} == "$2" ]]; then why='it is the manager that is asked'
  elif costs_majority "$1"; then why='without its vote the others have no majority'; fi
  [[ $why ]] || return 1
  say "$2 stays in the swarm until it leaves by itself: $why"
}
