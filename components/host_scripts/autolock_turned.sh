# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
# ---- hosts get what follows ----
# locks: true or false. Without a leader, what the engine says of that is made up, and it says no id.
locks() {
  docker info --format \
    '{{with .Swarm.Cluster}}{{if .ID}}{{.Spec.EncryptionConfig.AutoLockManagers}}{{end}}{{end}}'
}
# turn_autolock OPTION on|off. What docker prints on standard output has the key. Another change of the
# swarm in between makes the engine refuse ours.
turn_autolock() {
  local tries=0 said
  until said=$(docker swarm update "$1" 2>&1 >/dev/null); do
    tries=$((tries + 1))
    (( tries < 10 )) || fail "the swarm does not turn autolock $2: $said. Remedy: bring a majority of the managers \
back ('verify' says what is amiss), then repeat"
    sleep 2
  done
}
