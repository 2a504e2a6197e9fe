# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
store=fact
# ---- hosts get what follows ----
[[ ! ${container[$store]:-} ]] || docker exec -e ETCDCTL_API=3 "${container[$store]}" \
  etcdctl --command-timeout=10s endpoint health >/dev/null 2>&1 && printf 'etcd\thealthy\n'
