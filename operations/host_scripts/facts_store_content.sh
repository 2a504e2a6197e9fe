# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
store=fact
# ---- hosts get what follows ----
# What all members have at the same revision must be the same. They are not asked in the same moment.
[[ ! ${container[$store]:-} ]] || docker exec -e ETCDCTL_API=3 "${container[$store]}" sh -c '
  at=--command-timeout=10s
  now=$(etcdctl $at get majority -w json | sed -n "s/.*\"revision\":\([0-9]*\).*/\1/p")
  for back in 0 8; do
    revision=$(( ${now:-0} / 8 * 8 - back ))
    [ "$revision" -le 0 ] || etcdctl $at endpoint hashkv "--rev=$revision" -w json | sed "s/^/$revision /"
  done' | tell content
