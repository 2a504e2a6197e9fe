# shellcheck shell=bash
# shellcheck source=restore_scratch.sh
. restore_scratch.sh
# ---- hosts get what follows ----
restored=$(scratch)
printf 'result=%s\n' "$restored"
