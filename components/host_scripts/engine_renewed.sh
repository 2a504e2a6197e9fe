# shellcheck shell=bash
# shellcheck source=engine_start.sh
. engine_start.sh
hostname=fact state=fact
# ---- hosts get what follows ----
note_restart() {
  [[ -d $state ]] || mkdir -p "$state"
  : >"$state/engine.restart"
}
# renew_engine WHAT: if a restart was noted, has the unit's files read, and restarts an engine without containers.
# One that runs some is restarted in its turn; one that does not run starts later.
renew_engine() {
  [[ -e $state/engine.restart ]] || return 0
  systemctl daemon-reload
  if ! systemctl -q is-active docker.service; then
    rm -f "$state/engine.restart"
  elif [[ $(docker ps -q) ]]; then
    say "$hostname: $1, once its turn to restart its engine has come"
  else
    start_engine restart
    rm -f "$state/engine.restart"
    say "$hostname: $1; its engine was restarted"
  fi
}
