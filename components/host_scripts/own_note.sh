# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
notes=fact daemon_json=fact
# ---- hosts get what follows ----
# whose_engine: prints `kept` of one that was there before the program, `brought` of one that it has installed, nothing
# where there is none. While a stack has the host, that is as noted. Of a former stack's it is only what still has the
# configuration that the program left: since then somebody may have removed it, or made it an engine of his own.
whose_engine() {
  local noted=''
  [[ ! -r $notes/engine ]] || noted=$(<"$notes/engine")
  if [[ ! -e $notes/stack ]]; then
    if ! type -P dockerd >/dev/null; then
      noted=''
    elif [[ $noted != brought ]] || { [[ -r $notes/daemon.json ]] \
      && [[ ! -r $daemon_json || $(<"$notes/daemon.json") != "$(<"$daemon_json")" ]]; }; then
      noted=kept
    fi
  fi
  printf '%s' "$noted"
}
