# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
motd_file=fact motd=fact
# ---- hosts get what follows ----
write_file "$motd_file" "$motd"
