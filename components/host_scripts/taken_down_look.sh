# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
own=fact network_label=fact mark=fact swarm_stays=fact
# ---- hosts get what follows ----
IFS='|' read -r state control < <(docker info --format '{{.Swarm.LocalNodeState}}|{{.Swarm.ControlAvailable}}')
if [[ $state == inactive ]]; then echo clear; exit 0; fi
[[ $control == true ]] || fail "this host is no manager of its swarm ($state), so nobody can say what the swarm \
still has. Remedy: make it one again (docker node promote, on another manager), then repeat"
services=$(docker service ls --format '{{.Name}}') || fail "the swarm does not say which services it has (see \
above). Remedy: bring a majority of the managers back, then repeat"
ours=$(docker service ls --filter "label=$own" --format '{{.Name}}')
found=${ours//$'\n'/ }
if [[ ! $swarm_stays ]]; then
  others=''
  for each in $services; do
    [[ $'\n'$ours$'\n' == *$'\n'$each$'\n'* ]] || others+=" $each"
  done
  [[ ! $others ]] || fail "the swarm also runs what is not this stack's:$others. Nothing was removed. Remedy: \
remove these first (docker service rm, or their own project's destroy), or deployUpTo: swarm"
  nodes=$(docker node ls --quiet)
  marked=$(docker node ls --quiet --filter "node.label=$mark=true")
  others=''
  for each in $nodes; do
    [[ $'\n'$marked$'\n' == *$'\n'$each$'\n'* ]] || others+=" $(docker node inspect --format \
      '{{.Description.Hostname}}' "$each")"
  done
  [[ ! $others ]] || fail "hosts that are not this stack's are in the swarm:$others. Nothing was removed. \
Remedy: have them leave it (docker swarm leave there, docker node rm here), or deployUpTo: swarm"
  others=''
  for kind in network secret config; do
    filter=$own
    [[ $kind != network ]] || filter=$network_label
    named=$(docker "$kind" ls --filter "label=$filter" --format '{{.Name}}')
    [[ ! $named ]] || found+=" ${named//$'\n'/ }"
    # They live in the swarm alone, and nobody can read a secret back. A network is made again.
    [[ $kind != network ]] || continue
    for each in $(docker "$kind" ls --format '{{.Name}}'); do
      [[ $'\n'$named$'\n' == *$'\n'$each$'\n'* ]] || others+=" $kind $each"
    done
  done
  [[ ! $others ]] || fail "the swarm also has what is not this stack's, and would take it along:$others. Nothing was \
removed. Remedy: remove these first (docker secret rm, docker config rm, or their own project's destroy), or deployUpTo: \
swarm"
  many=$(wc -w <<<"$nodes")
  (( many < 2 )) || found+=" $many nodes"
fi
found=${found# }
if [[ $found ]]; then printf 'pending %s\n' "$found"; else echo clear; fi
