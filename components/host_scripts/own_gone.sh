# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact notes=fact sshd_dropin=fact state=fact ends_within=1 grace=1 leaves_within=1
# ---- hosts get what follows ----
# services: ids of containers that the swarm has started here.
services() { docker ps --quiet --filter label=com.docker.swarm.service.name; }
leave_swarm() {
  local deadline said ids
  # Services that Pulumi has removed end by themselves; a database writes out its buffer pool.
  deadline=$((SECONDS + ends_within))
  while [[ $(services) ]] && (( SECONDS < deadline )); do sleep 2; done
  mapfile -t ids < <(services)
  if (( ${#ids[@]} )); then
    say "$hostname: stopping ${#ids[@]} containers of services"
    docker stop -t "$grace" "${ids[@]}" >/dev/null || :
  fi
  said=$(docker swarm leave --force 2>&1) || :
  deadline=$((SECONDS + leaves_within))
  until [[ $(docker info --format '{{.Swarm.LocalNodeState}}' 2>/dev/null) == inactive ]]; do
    (( SECONDS < deadline )) || fail "$hostname has not left the swarm: $said. Remedy: see 'journalctl -u docker' on \
it, then repeat"
    sleep 1
  done
  docker network rm docker_gwbridge >/dev/null 2>&1 || :
  say "$hostname has left the swarm"
}
if type -P docker >/dev/null; then
  if swarm=$(docker info --format '{{.Swarm.LocalNodeState}}' 2>/dev/null); then
    [[ $swarm == inactive ]] || leave_swarm
  else
    say "the engine of $hostname does not answer: once it runs again, 'docker swarm leave --force' there"
  fi
fi
if [[ -e $sshd_dropin ]]; then
  rm -f "$sshd_dropin"
  systemctl reload ssh.service 2>/dev/null || systemctl reload sshd.service || :
fi
if [[ -r $notes/in-docker ]]; then
  while IFS= read -r user; do
    gpasswd --delete "$user" docker >/dev/null 2>&1 || :
  done <"$notes/in-docker"
fi
# Whose the engine is stays known: with it stay its packages, its configuration and its data.
rm -rf "$notes/stack" "$notes/in-docker" "$state"
say "$hostname is as it was, but for the packages, the engine, its disk and its data"
