# shellcheck shell=bash
# shellcheck source=unlock_functions.sh
. unlock_functions.sh
hostname=fact swarm=fact
# ---- hosts get what follows ----
read_keys
known_state
if [[ $swarm == locked ]]; then
  unlock || fail "none of the ${#keys[@]} unlock keys in the stack's state fits"
  known_state
fi
printf '%s\n' "$swarm"
