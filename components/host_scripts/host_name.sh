# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact sshd_dropin=fact limits=fact kernel_hostname=fact
# ---- hosts get what follows ----
if [[ $(<"$kernel_hostname") != "$hostname" ]]; then
  hostnamectl set-hostname "$hostname"
  say "named the host $hostname"
fi
if [[ -d ${sshd_dropin%/*} ]]; then
  changed=0
  write_file "$sshd_dropin" "$limits"
  (( ! changed )) || systemctl reload ssh.service 2>/dev/null || systemctl reload sshd.service
fi
