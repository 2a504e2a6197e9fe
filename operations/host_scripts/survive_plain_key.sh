# shellcheck shell=bash
# shellcheck source=survive_functions.sh
. survive_functions.sh
# ---- hosts get what follows ----
file=$(docker info --format '{{.DockerRootDir}}')/swarm/certificates/swarm-node.key
umask 077
cat >"$file.new"
mv -f "$file.new" "$file"
# Also an engine that is not locked: one that was given the key while there is no leader takes no other word about its
# swarm until it ends, and does not end by itself.
timeout 30 systemctl stop docker.service || systemctl kill --kill-who=main --signal=KILL docker.service
systemctl start docker.service
outcome 'done'
