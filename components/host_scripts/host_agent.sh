# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
resolv_conf=fact agent_note=fact
# ---- hosts get what follows ----
# agent_first: whether resolv.conf has Consul on this host before its other servers, by our hand.
agent_first() { [[ -f $resolv_conf && $(<"$resolv_conf") == *"$agent_note"* ]]; }
# with_agent TEXT, without_agent TEXT: that of a resolv.conf, with Consul first and without it.
with_agent() {
  local line put=''
  while IFS= read -r line; do
    if [[ ! $put && $line == nameserver[[:blank:]]* ]]; then
      printf '%s\nnameserver 127.0.0.1\n' "$agent_note"
      put=1
    fi
    printf '%s\n' "$line"
  done <<<"$1"
  [[ $put ]] || printf '%s\nnameserver 127.0.0.1\n' "$agent_note"
}
without_agent() {
  local line noted=''
  while IFS= read -r line; do
    if [[ $line == "$agent_note" ]]; then noted=1; continue; fi
    [[ $noted && $line == 'nameserver 127.0.0.1' ]] || printf '%s\n' "$line"
    noted=''
  done <<<"$1"
}
