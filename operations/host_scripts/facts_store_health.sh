# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
store=fact
# ---- hosts get what follows ----
if [[ ${container[$store]:-} ]] && docker exec -e ETCDCTL_API=3 "${container[$store]}" \
  etcdctl --command-timeout=10s endpoint health >/dev/null 2>&1; then
  printf 'etcd\thealthy\n'
fi
