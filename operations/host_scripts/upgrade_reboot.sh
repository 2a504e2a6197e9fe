# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
boot=fact
# ---- hosts get what follows ----
# Once: a repeated call finds the host booted already.
if [[ $(</proc/sys/kernel/random/boot_id) == "$boot" ]]; then
  nohup sh -c 'sleep 1; systemctl reboot' >/dev/null 2>&1 </dev/null &
fi
