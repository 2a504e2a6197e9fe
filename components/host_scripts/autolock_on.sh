# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
# ---- hosts get what follows ----
# locks: true or false. Without a leader, what the engine says of that is made up, and it says no id.
locks() {
  docker info --format \
    '{{with .Swarm.Cluster}}{{if .ID}}{{.Spec.EncryptionConfig.AutoLockManagers}}{{end}}{{end}}'
}
if [[ $(locks) != true ]]; then
  tries=0
  # What it prints on standard output has the key. Another change of the swarm in between makes the engine refuse ours.
  until said=$(docker swarm update --autolock=true 2>&1 >/dev/null); do
    tries=$((tries + 1))
    (( tries < 10 )) || fail "the swarm does not turn autolock on: $said. Remedy: bring a majority of the managers \
back ('verify' says what is amiss), then repeat"
    sleep 2
  done
  say "managers whose engine starts are locked from now on"
fi
