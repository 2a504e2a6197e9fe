# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
store=fact
# ---- hosts get what follows ----
[[ ! ${container[$store]:-} ]] || docker exec -e ETCDCTL_API=3 "${container[$store]}" sh -c '
  # Where, and as whom, is in the environment of the image.
  at=--command-timeout=10s
  etcdctl $at endpoint health >/dev/null 2>&1 && echo healthy
  echo "clients $(etcd-member clients 2>/dev/null || echo "an older image, which lets in anybody")"
  etcdctl $at member list -w json' | tell etcd
