# shellcheck shell=bash
# shellcheck source=host_agent.sh
. host_agent.sh
agent_dropin=fact
# ---- hosts get what follows ----
if [[ ! -L $resolv_conf ]] && agent_first; then
  write_file "$resolv_conf" "$(without_agent "$(<"$resolv_conf")")"
fi
if [[ -e $agent_dropin ]]; then
  rm -f "$agent_dropin"
  systemctl restart systemd-resolved.service
fi
