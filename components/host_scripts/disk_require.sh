# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact filesystems=fact
# ---- hosts get what follows ----
if [[ $(<"$filesystems")$'\n' != *[[:space:]]btrfs$'\n'* ]] && ! modprobe -q btrfs; then
  fail "the kernel of $hostname ($(</proc/sys/kernel/osrelease)) has no btrfs, in which the engine keeps its \
data (those of RHEL, CentOS, Rocky and Alma have none). \
Remedy: use an image whose kernel has it, like servers.os: DEBIAN_LATEST or UBUNTU_LATEST"
fi
