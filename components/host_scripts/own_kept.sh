# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact notes=fact
# ---- hosts get what follows ----
[[ ! -e $notes/engine || $(<"$notes/engine") != kept ]] || fail "the engine of $hostname was there before this \
program, which never reconfigures it, so it does not come to listen for TLS. Remedy: leave engine.access out; or \
remove that engine with its data, and the program installs one"
