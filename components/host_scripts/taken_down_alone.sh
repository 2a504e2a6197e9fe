# shellcheck shell=bash
# SC2086: ids are meant to be split into words.
# shellcheck disable=SC2086
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact patience=1
# ---- hosts get what follows ----
# They have started with their engine, and the swarm that would end them is gone.
running=$(docker ps --filter label=com.docker.swarm.service.name --quiet)
if [[ $running ]]; then
  say "$hostname was down while its swarm was taken down: ending the containers that came back with it"
  docker stop --time "$patience" $running >/dev/null || say "$hostname: not all of them ended (see above)"
fi
