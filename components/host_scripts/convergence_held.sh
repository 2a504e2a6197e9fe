# shellcheck shell=bash
# SC2016: $name is the template's.
# shellcheck disable=SC2016
# shellcheck source=convergence_wait.sh
. convergence_wait.sh
ports=(fact fact) held=1
# ---- hosts get what follows ----
declare -A held_since=()
# Whether another service of the swarm has one of the ports of $node: the scheduler waits for it without an end.
# For a moment it may be this service's own former task.
port_held() {
  [[ $error == *'host-mode port already in use'* ]] || return 0
  [[ -v "held_since[$id]" ]] || held_since[$id]=$SECONDS
  (( SECONDS - held_since[$id] >= held )) || return 0
  local format='{{$name := .Spec.Name}}{{with .Spec.EndpointSpec}}{{range .Ports}}'
  format+='{{if eq .PublishMode "host"}}{{$name}} {{.PublishedPort}}{{"\n"}}{{end}}{{end}}{{end}}'
  local other port found=''
  while read -r other port; do
    [[ $other && $other != "$service" && " ${ports[*]} " == *" $port "* ]] || continue
    found+=", $port by $other"
  done < <(docker service ls -q | xargs -r docker service inspect --format "$format")
  [[ $found ]] || return 0
  give_up "A port of $node that $service needs is held by another service of the swarm (${found#, })." \
    "give $service another port in the settings, or have the other service end (docker service rm), then repeat"
}
