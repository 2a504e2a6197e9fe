# shellcheck shell=bash
# SC2015: meant so: whatever of the two does not hold, the networks are looked at.
# shellcheck disable=SC2015
# shellcheck source=engine_start.sh
. engine_start.sh
# shellcheck source=host_engine_overlap.sh
. host_engine_overlap.sh
hostname=fact config=fact daemon_json=fact wants=fact state=fact notes=fact drivers=(fact fact)
# ---- hosts get what follows ----
kept=''
[[ ! -e $notes/engine || $(<"$notes/engine") != kept ]] || kept=1
if [[ $kept ]]; then
  systemctl -q is-active docker.service || fail "the engine of $hostname was there before this program and does \
not run. It is not started, because it is not this program's. Remedy: see 'journalctl -u docker' on the host, \
start it, then repeat"
else
  [[ -e $daemon_json && $(<"$daemon_json") == "$config" ]] && systemctl -q is-active docker.service \
    || refuse_engine_overlap
  changed=0
  write_file "$daemon_json" "$config"
  # By this a later stack knows it again (own_note.sh).
  [[ -d $notes ]] || mkdir -p "$notes"
  cp "$daemon_json" "$notes/daemon.json"
  [[ -e $wants ]] || systemctl -q enable docker.service
  if ! systemctl -q is-active docker.service; then
    # Also for the units of packages that were installed without a word to systemd.
    systemctl daemon-reload
    start_engine start
    say "engine started"
  elif (( changed )); then
    if [[ $(docker ps -q) ]]; then
      [[ -d $state ]] || mkdir -p "$state"
      : >"$state/engine.restart"
      systemctl reload docker.service
      say "configuration written; this host's turn to restart its engine comes later"
    else
      start_engine restart
      say "engine restarted"
    fi
  fi
fi
IFS='|' read -r driver version at < <(docker info --format '{{.Driver}}|{{.ServerVersion}}|{{.DockerRootDir}}') \
  || fail "the engine of $hostname does not answer. Remedy: see 'journalctl -u docker' on the host"
[[ " ${drivers[*]} " == *" $driver "* ]] || fail "the engine of $hostname stores with '$driver', which is for \
trials only or gone from newer engines. Remedy: have $at on a file system that bears overlay2 (ext4, or xfs with \
ftype=1), or name a disk of its own in servers.hosts (disk), then repeat"
say "$hostname: the engine stores with $driver on $(findmnt -n -o FSTYPE --target "$at" || echo an unknown file system), \
in $at${kept:+; it was there before and keeps its own configuration}"
printf '%s\n' "$version"
