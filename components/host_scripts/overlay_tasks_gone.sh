# shellcheck shell=bash
# SC2086: ids are meant to be split into words.
# shellcheck disable=SC2086
# shellcheck source=prologue.sh
. prologue.sh
patience=1
# ---- hosts get what follows ----
deadline=$((SECONDS + patience)) told=''
while :; do
  up=$(docker node ls --format '{{if ne .Status "Down"}}{{.ID}}{{end}}')
  left=''
  while IFS='|' read -r node desired state; do
    [[ $desired != Remove ]] || left+=", $node $state"
  done < <([[ ! $up ]] || docker node ps --format '{{.Node}}|{{.DesiredState}}|{{.CurrentState}}' $up)
  [[ $left ]] || break
  (( SECONDS < deadline )) || fail "tasks of removed services do not end:${left#,}. \
Remedy: see 'docker ps' on these hosts and end them, then repeat"
  [[ $left == "$told" ]] || say "waiting for tasks of removed services to end:${left#,}"
  told=$left
  sleep 2
done
