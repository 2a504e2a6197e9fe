# shellcheck shell=bash
# SC1010: `done` is a variable here. SC2034: `changed` is for whoever calls write_file.
# shellcheck disable=SC1010,SC2034
# ---- hosts get what follows ----
set -euo pipefail
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
umask 022

say() { printf '%s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# patiently WHAT COMMAND…: its output goes to a log; every 10 s a line of progress; the log's end if it fails.
# Its exit code goes to a file: of what comes through a pipe just as `read` gives up waiting, bash loses a part.
patiently() {
  local what=$1 log waited=0 last done code; shift
  log=$(mktemp)
  exec {done}< <({ "$@" >"$log" 2>&1 </dev/null && echo 0; } >"$log.code" || echo $? >"$log.code")
  while :; do
    code=0
    read -r -t 10 -u "$done" || code=$?
    (( code > 128 )) || break
    waited=$((waited + 10))
    last=$(tail -n 1 "$log")
    say "$what: $waited s${last:+, ${last::100}}"
  done
  exec {done}<&-
  read -r code <"$log.code" || code=1
  if [[ $code != 0 ]]; then tail -n 20 "$log" >&2; fi
  rm -f "$log" "$log.code"
  return "$code"
}

# write_file PATH TEXT: sets changed=1 if the file did not hold exactly that text.
changed=0
write_file() {
  if [[ -f $1 && $(<"$1") == "$2" ]]; then return 0; fi
  [[ -d ${1%/*} ]] || mkdir -p "${1%/*}"
  printf '%s\n' "$2" >"$1.new"
  mv -f "$1.new" "$1"
  changed=1
}
