# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact
# ---- hosts get what follows ----
start_engine() {
  systemctl "$1" docker.service || {
    journalctl -u docker.service -n 20 --no-pager -o cat >&2 || :
    fail "the engine of $hostname does not start (its last words are above). \
Remedy: correct what it complains of (settings under engine:), then repeat"
  }
}
