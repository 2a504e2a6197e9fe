# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
# ---- hosts get what follows ----
# locks: true or false. Without a leader, what the engine says of that is made up, and it says no id.
locks() {
  docker info --format \
    '{{with .Swarm.Cluster}}{{if .ID}}{{.Spec.EncryptionConfig.AutoLockManagers}}{{end}}{{end}}'
}
if [[ $(docker info --format '{{.Swarm.LocalNodeState}}') != inactive && $(locks) != false ]]; then
  tries=0
  until said=$(docker swarm update --autolock=false 2>&1 >/dev/null); do
    tries=$((tries + 1))
    (( tries < 10 )) || fail "the swarm does not turn autolock off: $said. Remedy: bring a majority of the managers \
back ('verify' says what is amiss), then repeat"
    sleep 2
  done
  say "managers whose engine starts are not locked any more"
fi
