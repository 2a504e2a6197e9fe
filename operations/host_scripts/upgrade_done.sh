# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
done_file=fact token=fact
# ---- hosts get what follows ----
write_file "$done_file" "$token"
