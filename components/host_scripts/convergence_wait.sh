# shellcheck shell=bash
# SC2034: `network` is for convergence_virtual_ip.sh, which comes behind this one.
# shellcheck disable=SC2034
# shellcheck source=prologue.sh
. prologue.sh
service=fact wanted=1 network=fact patience=1 most=1 taken=1 begins=1 hopeless=fact
# ---- hosts get what follows ----
give_up() {
  say "the last lines of $service:"
  docker service logs --tail 40 --no-trunc "$service" >&2 || :
  docker service ps --no-trunc --format '{{.Node}}: {{.CurrentState}} {{.Error}}' "$service" >&2 || :
  local remedy='correct the cause (the log and the tasks are above), then repeat: what is done stays done'
  fail "$1 Remedy: ${2:-$remedy}"
}
# STATE|MESSAGE of the last update; "begun" until the engine has looked at it, "none" if there never was one.
format='{{with .UpdateStatus}}{{.State}}|{{.Message}}{{else}}'
format+='{{if .PreviousSpec}}begun{{else}}none{{end}}|{{end}}'
port_taken=':([0-9]+)(: bind: address already in use| failed: port is already allocated)'
declare -A failed=() failures=() clashes=()
first=1 paused_before='' moved='' told='' told_at=$((SECONDS - 60)) update='' message=''
since=$SECONDS deadline=$((SECONDS + patience)) began=$(date +%s)
while :; do
  # Before the tasks: should the update end in between, they are seen as it left them.
  [[ $update == none ]] || IFS='|' read -r update message < <(
    docker service inspect --format "$format" "$service") || update=unknown
  if [[ $update != paused ]]; then paused_before=''; elif (( first )); then paused_before=1; fi
  running=0 runs='' summary=''
  while IFS='|' read -r id node desired state error; do
    case $state in
      Failed*|Rejected*|Complete*)
        if [[ ! -v "failed[$id]" ]]; then
          failed[$id]=1
          # What failed before this wait may have been mended meanwhile.
          (( ! first )) || continue
          say "$service on $node: ${state%% *}: ${error:-no reason given}"
          failures[$node]=$(( ${failures[$node]:-0} + 1 ))
          if [[ $error =~ $port_taken ]]; then
            clashes[$node]=$(( ${clashes[$node]:-0} + 1 ))
            (( clashes[$node] < taken )) || give_up \
              "Port ${BASH_REMATCH[1]} of $node, which $service needs, is taken by another program." \
              "see on $node who has it: ss -lntup 'sport = :${BASH_REMATCH[1]}'; end that, then repeat"
          fi
        fi
        (( ${failures[$node]:-0} < most )) || give_up "$service failed $most times on $node." ;;# @pending@
      *)
        [[ $desired == Running || $desired == Ready ]] || continue
        [[ $state != Running* ]] || running=$((running + 1)) runs+=" $id"
        summary+=", ${node:-no node} ${state%% *}${error:+: $error}" ;;
    esac
  done < <(docker service ps --no-trunc \
    --format '{{.ID}}|{{.Node}}|{{.DesiredState}}|{{.CurrentState}}|{{.Error}}' "$service")
  first=0
  case $update in
    none|completed) (( running < wanted )) || break ;;
    begun) (( running < wanted || SECONDS - since < begins )) || break ;;
    paused)
      if [[ ! $paused_before ]]; then
        give_up "The update of $service has stopped at its first failure: $message." \
          "correct the cause (the log and the tasks are above), then repeat: once all nodes run, it goes on"
      elif (( running >= wanted )); then
        say "$service: an earlier update was paused ($message); all nodes run, so it goes on"
        docker service update --detach "$service" >/dev/null
        paused_before='' since=$SECONDS
        continue
      fi ;;
    rollback_*) give_up "$service was rolled back: what runs is not what the settings say ($message)." \
      "correct the cause; then 'pulumi refresh', so that the state says what runs, and repeat" ;;
  esac
  if [[ $runs != "$moved" ]]; then moved=$runs deadline=$((SECONDS + patience)); fi
  (( SECONDS < deadline )) || give_up "$service runs on $running of $wanted nodes and nothing moves any more."
  if [[ $summary != "$told" ]] || (( SECONDS - told_at >= 10 )); then
    what=running
    [[ $update != updating ]] || what='running, update in progress'
    say "$service: $running of $wanted $what${summary:+ (${summary#, })}"
    told=$summary told_at=$SECONDS
    if [[ $hopeless && $update == none ]]; then
      word=''
      read -r word < <(
        docker service logs --raw --since "$began" "$service" 2>/dev/null | grep -m 1 -F "$hopeless") || :
      [[ ! $word ]] || give_up "$word."
    fi
  fi
  sleep 2
done
