# shellcheck shell=bash
# shellcheck source=autolock_turned.sh
. autolock_turned.sh
# ---- hosts get what follows ----
if [[ $(locks) != true ]]; then
  turn_autolock --autolock=true on
  say "managers whose engine starts are locked from now on"
fi
