# shellcheck shell=bash
# shellcheck source=host_agent.sh
. host_agent.sh
resolv_conf=fact former=fact dropin=fact
# ---- hosts get what follows ----
if [[ -e $former ]]; then
  text=''
  if agent_first; then text=$(with_agent "$(<"$former")"); fi
  mv -f "$former" "$resolv_conf"
  [[ ! $text ]] || write_file "$resolv_conf" "$text"
fi
if [[ -e $dropin ]]; then
  rm -f "$dropin"
  systemctl restart systemd-resolved.service
fi
