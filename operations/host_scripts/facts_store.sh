# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
store=fact
# ---- hosts get what follows ----
# All in one question: each takes a while on a small host. Where, and as whom, is in the environment of the image.
[[ ! ${container[$store]:-} ]] || docker exec -e ETCDCTL_API=3 "${container[$store]}" sh -c '
  at=--command-timeout=10s
  etcdctl $at endpoint health >/dev/null 2>&1 && printf "etcd\thealthy\n"
  clients=$(etcd-member clients 2>/dev/null) || clients="an older image, which lets in anybody"
  printf "etcd\tclients %s\n" "$clients"
  etcdctl $at member list -w json | sed "s/^/etcd\t/"
  # What all members have at the same revision must be the same. They are not asked in the same moment.
  now=$(etcdctl $at get majority -w json | sed -n "s/.*\"revision\":\([0-9]*\).*/\1/p")
  for back in 0 8; do
    revision=$(( ${now:-0} / 8 * 8 - back ))
    [ "$revision" -le 0 ] || etcdctl $at endpoint hashkv "--rev=$revision" -w json | sed "s/^/content\t$revision /"
  done'
