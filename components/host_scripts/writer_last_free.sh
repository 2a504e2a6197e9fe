# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
service=fact label=fact
# ---- hosts get what follows ----
held=$(docker node ls --filter "node.label=$label=$service" --format '{{.ID}}|{{.Hostname}}')
if [[ $held ]]; then
  IFS='|' read -r node name <<<"$held"
  state=$(docker service ps --filter "node=$name" --filter desired-state=running --format '{{.CurrentState}}' \
    "$service" | head -n 1)
  # On a paused node the engine starts nothing again: it would be waited for in vain.
  if [[ $state != Running* ]]; then
    say "$service: $name was held back, and nothing of it runs there (${state:-no task}): it is let go"
    docker node update --availability active --label-rm "$label" "$node" >/dev/null
  fi
fi
