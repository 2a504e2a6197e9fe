# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact resolv_conf=fact leases=fact hooks=fact
# ---- hosts get what follows ----
# Debian's dhclient leaves no word of its own in the file that it writes, so one would take that for a file of nobody's.
read -r _ first < <(grep -m 1 -E '^nameserver[[:blank:]]' "$resolv_conf" || :) || :
if [[ $first != 127.0.0.1 && $(readlink -f "$resolv_conf" || :) == "$resolv_conf" ]] &&
  pidof dhclient >/dev/null && grep -qs 'option domain-name-servers' "$leases"/*.lease* &&
  ! grep -rqs make_resolv_conf "$hooks"; then
  fail "$hostname: dhclient writes $resolv_conf, anew with each lease: that Consul is asked first would be gone after \
a reboot. Remedy: in /etc/dhcp/dhclient.conf 'prepend domain-name-servers 127.0.0.1;', in $resolv_conf the line \
'nameserver 127.0.0.1' before the others, then repeat"
fi
