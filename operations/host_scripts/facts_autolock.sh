# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
# ---- hosts get what follows ----
# Without a leader, whatever it says of that is made up, and it has no id.
docker info --format \
  '{{with .Swarm.Cluster}}{{if .ID}}{{.Spec.EncryptionConfig.AutoLockManagers}}{{end}}{{end}}' | tell autolock
# Not the key itself: that it is the same is all that is asked. And by a pipe, which is in no list of processes.
unlock_key=$(timeout 20 docker swarm unlock-key -q 2>/dev/null)
if [[ $unlock_key == SWMKEY-* ]]; then
  read -r digest _ < <(printf '%s' "$unlock_key" | sha256sum)
  printf 'unlock_digest\t%s\n' "$digest"
fi
