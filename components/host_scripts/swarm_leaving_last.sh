# shellcheck shell=bash
# shellcheck source=swarm_leaving.sh
. swarm_leaving.sh
# ---- hosts get what follows ----
# is_asked HOST: whether it is the manager that runs this.
is_asked() {
  [[ ${HOSTNAME%%.*} == "$1" ]] || return 1
  say "$1 stays in the swarm until it leaves by itself: it is the manager that is asked"
}
# leaves_last NODE HOST: whether the host must leave the swarm by itself, which all do that stay when the stack
# goes: nobody takes out who is asked, and without its vote whoever is left could decide nothing.
leaves_last() {
  ! is_asked "$2" || return 0
  costs_majority "$1" || return 1
  say "$2 stays in the swarm until it leaves by itself: without its vote the others have no majority"
}
