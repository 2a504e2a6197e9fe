# shellcheck shell=bash
# SC2015: meant so: whatever of the two does not hold, the networks are looked at.
# shellcheck disable=SC2015
# shellcheck source=engine_start.sh
. engine_start.sh
# shellcheck source=host_engine_overlap.sh
. host_engine_overlap.sh
hostname=fact config=fact dropin_text=fact daemon_json=fact dropin=fact wants=fact state=fact
# ---- hosts get what follows ----
# Before the engine takes networks: once its bridges are there, the host's neighbours are out of reach.
[[ -e $daemon_json && $(<"$daemon_json") == "$config" ]] && systemctl -q is-active docker.service \
  || refuse_engine_overlap
changed=0
write_file "$dropin" "$dropin_text"
reload=$changed changed=0
write_file "$daemon_json" "$config"
[[ -e $wants ]] || systemctl -q enable docker.service
if ! systemctl -q is-active docker.service; then
  # Also for the units of packages that were installed without a word to systemd.
  systemctl daemon-reload
  start_engine start
  say "engine started"
elif (( reload || changed )); then
  (( ! reload )) || systemctl daemon-reload
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
read -r driver version < <(docker info --format '{{.Driver}} {{.ServerVersion}}') \
  || fail "the engine of $hostname does not answer. Remedy: see 'journalctl -u docker' on the host"
[[ $driver == btrfs ]] || fail "the engine of $hostname stores with '$driver' instead of btrfs. \
Remedy: see 'journalctl -u docker' on the host"
printf '%s\n' "$version"
