# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
service=fact
# ---- hosts get what follows ----
container=$(docker ps -q -f "label=com.docker.swarm.service.name=$service" -f status=running | head -n 1)
[[ $container ]] || fail "no container of $service runs on this manager. Remedy: see 'docker service ps \
$service', then repeat"
docker exec "$container" etcd-member secure >&2 || fail "$service still takes clients that are no users; \
nothing is interrupted. Remedy: correct the cause (above), then repeat"
