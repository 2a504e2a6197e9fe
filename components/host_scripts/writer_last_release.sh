# shellcheck shell=bash
# shellcheck source=convergence_wait.sh
. convergence_wait.sh
label=fact
# ---- hosts get what follows ----
held=$(docker node ls --filter "node.label=$label=$service" --format '{{.ID}}|{{.Hostname}}')
if [[ $held ]]; then
  IFS='|' read -r node name <<<"$held"
  # task: the present one on that node, and whether it runs.
  task() {
    docker service ps --no-trunc --filter "node=$name" --filter desired-state=running \
      --format '{{.ID}}|{{.CurrentState}}|{{.Error}}' "$service" | head -n 1
  }
  IFS='|' read -r before _ _ < <(task) || before=''
  docker node update --availability active --label-rm "$label" "$node" >/dev/null
  if [[ $update == completed ]]; then
    say "$service: the others are changed; now $name, whose node hands the writes over before it stops"
    now=$before state='' error='' since=$SECONDS deadline=$((SECONDS + patience)) told_at=$SECONDS
    # changed: a task that is as the service says already, because its change was taken back, is not replaced.
    changed() {
      [[ $now && $state == Running* ]] && { [[ $now != "$before" ]] || (( SECONDS - since >= begins )); }
    }
    until changed; do
      (( SECONDS < deadline )) || give_up "$service on $name is not back after its change (${state:-no task}${error:+: $error})."
      if (( SECONDS - told_at >= 10 )); then
        say "$service: $name, the last one: ${state:-no task}${error:+: $error}"
        told_at=$SECONDS
      fi
      sleep 2
      IFS='|' read -r now state error < <(task) || now=''
    done
  fi
fi
