# shellcheck shell=bash
# SC2034: what is set here is read by account_made.sh.
# shellcheck disable=SC2034
# shellcheck source=account.sh
. account.sh
user=fact hash=fact
# ---- hosts get what follows ----
IFS= read -r former || :
[[ $former =~ ^\*[0-9A-F]{40}$ ]] || fail "no former password came for $user. Remedy: this is a bug, please report it"
# The server asks for the first.
way="IDENTIFIED VIA mysql_native_password USING '$hash' OR mysql_native_password USING '$former'"
