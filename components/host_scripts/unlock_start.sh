# shellcheck shell=bash
# shellcheck source=engine_start.sh
. engine_start.sh
# shellcheck source=unlock_functions.sh
. unlock_functions.sh
hostname=fact required=fact unlock_remedy=fact
# ---- hosts get what follows ----
eval "plainly_$(declare -f start_engine)"
start_engine() {
  local swarm held=''
  # One that is down would be started by the question, through its socket.
  if systemctl -q is-active docker.service; then
    held=$(timeout 20 docker swarm unlock-key -q 2>/dev/null) || held=''
  fi
  plainly_start_engine "$1"
  known_state
  [[ $swarm == locked ]] || return 0
  [[ $held != SWMKEY-* ]] || keys+=("$held")
  [[ $held == SWMKEY-* ]] || read_keys
  if unlock; then
    say "$hostname is unlocked"
  elif [[ $required ]]; then
    fail "$hostname is locked since its engine has started, and there is no unlock key for it here. $unlock_remedy"
  else
    say "$hostname is locked since its engine has started"
  fi
}
