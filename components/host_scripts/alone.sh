# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
step=1
# ---- hosts get what follows ----
[[ -d @folder@ ]] || mkdir -p @folder@
exec {step}>@folder@/@name@.lock
flock -n "$step" || patiently "waiting for an earlier run of this step" flock "$step"
