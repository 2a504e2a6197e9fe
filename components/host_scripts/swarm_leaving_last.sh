# shellcheck shell=bash
# shellcheck source=swarm_leaving.sh
. swarm_leaving.sh
# ---- hosts get what follows ----
# leaves_last NODE HOST: whether the host must leave the swarm by itself, which all do that stay when the stack
# goes: nobody takes out who is asked, and without its vote whoever is left could decide nothing.
leaves_last() {
  local id vote votes=0 others=0 answer=0 why=''
  if [[ ${HOSTNAME%%.*} == "$2" ]]; then
    why='it is the manager that is asked'
  else
    while IFS='|' read -r id vote; do
      if [[ $id == "$1" ]]; then
        votes=1
      else
        others=$((others + 1))
        [[ $vote == Unreachable ]] || answer=$((answer + 1))
      fi
    done < <(docker node ls --filter role=manager --format '{{.ID}}|{{.ManagerStatus}}')
    (( votes == 0 || answer * 2 > others )) || why='without its vote the others have no majority'
  fi
  [[ $why ]] || return 1
  say "$2 stays in the swarm until it leaves by itself: $why"
}
