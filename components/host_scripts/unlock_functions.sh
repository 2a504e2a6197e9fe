# shellcheck shell=bash
# SC2034: unlock_remedy is for the texts that come after.
# shellcheck disable=SC2034
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact unlocks_within=1 unlock_remedy=fact
# ---- hosts get what follows ----
keys=()
# swarm_state: what this host is in the swarm; empty while its engine does not say.
swarm_state() { timeout 20 docker info --format '{{.Swarm.LocalNodeState}}' 2>/dev/null || :; }
# known_state: sets $swarm, and waits for it while the engine starts.
known_state() {
  local until=$((SECONDS + 60))
  while swarm=$(swarm_state); [[ ! $swarm ]]; do
    (( SECONDS < until )) || return 0
    sleep 1
  done
}
# read_keys: those on standard input come after those that are known.
read_keys() {
  local given key
  mapfile -t given
  for key in "${given[@]}"; do [[ ! $key ]] || keys+=("$key"); done
}
# unlock: whether one of the keys fits. The engine answers one that fits only once the swarm has a leader, so other
# managers may have to be unlocked meanwhile: then it goes on by itself.
unlock() {
  local key code said
  for key in "${keys[@]}"; do
    code=0
    said=$(printf '%s\n' "$key" | timeout "$unlocks_within" docker swarm unlock 2>&1) || code=$?
    if (( code == 0 || code == 124 )) || [[ $said == *"not locked"* ]]; then return 0; fi
    # An engine that ended in between would say so of every key.
    [[ $said == *"nvalid"* ]] || say "$hostname: ${said##*$'\n'}"
  done
  return 1
}
