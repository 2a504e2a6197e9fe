"""What a host must be before anything is installed: itself, reachable, free of the overlay's subnet.

Owns: the host's name, sshd's limits, the check of the hosts' networks against the overlay's.
Leaves to others: packages, disk, engine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from components.host_scripts.shell import assign


def name_and_limits(
    hostname: str,
    sshd_dropin: str = "/etc/ssh/sshd_config.d/10-swarm-galera.conf",
    kernel_hostname: str = "/proc/sys/kernel/hostname",
) -> str:
    """Shell text that gives the host its short name and lets sshd serve many sessions at a time.

    The swarm, etcd and Galera know a host by this name, and some of SoftLayer's images set the full one.
    Every Docker resource of the stack opens SSH sessions on the first manager, more than sshd's default of
    ten unauthenticated ones.
    """
    limits = "# Written by swarm-galera: its Docker resources connect side by side.\nMaxStartups 100:30:300\n"
    limits += "MaxSessions 100"
    return f"""
{assign(hostname=hostname, sshd_dropin=sshd_dropin, limits=limits, kernel_hostname=kernel_hostname)}
if [[ $(<"$kernel_hostname") != "$hostname" ]]; then
  hostnamectl set-hostname "$hostname"
  say "named the host $hostname"
fi
if [[ -d ${{sshd_dropin%/*}} ]]; then
  changed=0
  write_file "$sshd_dropin" "$limits"
  (( ! changed )) || systemctl reload ssh.service 2>/dev/null || systemctl reload sshd.service
fi
"""


def refuse_overlap(subnet: str, hostname: str) -> str:
    """Shell text that fails when the host itself is in the overlay's subnet, or routes part of it elsewhere.

    Containers would then reach the overlay instead of the host's neighbours. Wide routes through a gateway
    do not count: SoftLayer's hosts route the whole of 10.0.0.0/8 to the private network, and an overlay may
    well be a corner of it that the account does not use. The engine's own networks do not count either:
    they may be this very overlay on a second run.
    """
    network = ipaddress.IPv4Network(subnet)
    return f"""
{assign(subnet=subnet, hostname=hostname)}
first={int(network.network_address)} last={int(network.broadcast_address)} overlay_length={network.prefixlen}
while read -r destination rest; do
  [[ $destination =~ ^([0-9]+)\\.([0-9]+)\\.([0-9]+)\\.([0-9]+)(/([0-9]+))?$ ]] || continue
  [[ " $rest " != *" dev docker"* ]] || continue
  length=${{BASH_REMATCH[6]:-32}}
  [[ " $rest " != *" via "* ]] || (( length >= overlay_length )) || continue
  from=$(( BASH_REMATCH[1] << 24 | BASH_REMATCH[2] << 16 | BASH_REMATCH[3] << 8 | BASH_REMATCH[4] ))
  size=$(( 1 << (32 - length) ))
  if (( from <= last && from + size - 1 >= first )); then
    fail "network.subnet $subnet overlaps $destination, which $hostname reaches by '$rest'. \\
Remedy: set network.subnet to a private network that no host routes, like 10.200.0.0/24 or 172.30.0.0/24"
  fi
done < <(ip -4 route show)
"""


def refuse_engine_overlap(networks: Mapping[str, str], hostname: str) -> str:
    """Shell text of a function `refuse_engine_overlap`, which fails when the host routes a network that its
    engine would take. Which routes count is as for the overlay's subnet.

    Args:
        networks: to the setting that moves them.
    """
    taken = [(ipaddress.IPv4Network(network), setting) for network, setting in networks.items()]
    lines = " ".join(
        f"{network}={int(network.network_address)}={int(network.broadcast_address)}={setting}"
        for network, setting in taken
    )
    return f"""
refuse_engine_overlap() {{
  local entry network first last setting destination rest length from size
  local {assign(hostname=hostname)}
  while read -r destination rest; do
    [[ $destination =~ ^([0-9]+)\\.([0-9]+)\\.([0-9]+)\\.([0-9]+)(/([0-9]+))?$ ]] || continue
    [[ " $rest " != *" dev docker"* ]] || continue
    length=${{BASH_REMATCH[6]:-32}}
    from=$(( BASH_REMATCH[1] << 24 | BASH_REMATCH[2] << 16 | BASH_REMATCH[3] << 8 | BASH_REMATCH[4] ))
    size=$(( 1 << (32 - length) ))
    for entry in {lines}; do
      IFS='=' read -r network first last setting <<<"$entry"
      [[ " $rest " != *" via "* ]] || (( length >= ${{network#*/}} )) || continue
      if (( from <= last && from + size - 1 >= first )); then
        fail "the engine's network $network overlaps $destination, which $hostname reaches by '$rest'. \\
Remedy: set $setting to a private network that no host routes, like 172.28.0.0/16"
      fi
    done
  done < <(ip -4 route show)
}}
""".strip()
