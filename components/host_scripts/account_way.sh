# shellcheck shell=bash
# SC2034: what is set here is read by account_made.sh.
# shellcheck disable=SC2034
# shellcheck source=account.sh
. account.sh
user=fact hash=fact
# ---- hosts get what follows ----
way="IDENTIFIED VIA mysql_native_password USING '$hash'"
