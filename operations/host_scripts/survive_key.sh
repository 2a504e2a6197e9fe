# shellcheck shell=bash
# shellcheck source=survive_functions.sh
. survive_functions.sh
# ---- hosts get what follows ----
key=$(docker info --format '{{.DockerRootDir}}')/swarm/certificates/swarm-node.key
grep -q ENCRYPTED "$key" 2>/dev/null || outcome nothing
outcome locked
