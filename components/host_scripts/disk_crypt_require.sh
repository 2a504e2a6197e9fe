# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact
# ---- hosts get what follows ----
for module in dm_crypt xts; do
  modprobe -q "$module" || [[ -d /sys/module/$module ]] || fail "the kernel of $hostname \
($(</proc/sys/kernel/osrelease)) has no $module, without which no disk can be encrypted. Remedy: use an image whose \
kernel has it, or leave out servers.encryptedDisk"
done
