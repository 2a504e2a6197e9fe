# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
store=fact
# ---- hosts get what follows ----
[[ ! ${container[$store]:-} ]] || docker exec -e ETCDCTL_API=3 "${container[$store]}" sh -c '
  at="--endpoints=http://127.0.0.1:2379 --command-timeout=10s"
  etcdctl $at endpoint health >/dev/null 2>&1 && echo healthy
  etcdctl $at member list -w json' | tell etcd
