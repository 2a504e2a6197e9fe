# shellcheck shell=bash
# SC2016: what is in single quotes is for the container.
# shellcheck disable=SC2016
# shellcheck source=client_container.sh
. client_container.sh
sql=fact
# ---- hosts get what follows ----
in_client 'connect --database="$user" --connect-timeout=20 --execute="$1"' "$sql"
