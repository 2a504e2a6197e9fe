# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
service=fact
# ---- hosts get what follows ----
for container in $(docker ps -q -f "label=com.docker.swarm.service.name=$service") ''; do
  # One that has ended may be listed as running (see above).
  [[ ! $container || $(docker inspect --format '{{.State.Running}}' "$container") != true ]] || break
done
[[ $container ]] || fail "no container of $service runs here"
