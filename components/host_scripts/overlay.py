"""What is asked of the swarm before an overlay network is replaced.

Owns: refusing while services of others are attached; whether the network then is as wanted; waiting for the
last tasks of services that were removed. Leaves to others: the network (the docker resource), single
containers that somebody attached by hand: the engine then refuses to remove the network.
"""

from __future__ import annotations

from collections.abc import Sequence

from components.host_scripts.shell import assign

LABEL = "swarm-galera.encrypted"
"""On the network: `true` or `false`."""


def free_of_others(name: str, subnet: str, encrypted: bool, own: Sequence[str]) -> str:
    """Shell text, for a manager, that fails if the stack's network differs and serves others than `own`.

    To run before anything is taken down: a network cannot be changed, only removed and made again, and the
    engine removes none that a service uses.
    """
    wanted = f"{name} {subnet} {str(encrypted).lower()}"
    return f"{assign(label=LABEL, wanted=wanted, own=own)}\n{_REFUSE}"


def as_wanted(name: str, subnet: str) -> str:
    """Shell text, for a manager, that fails if the network has another subnet.

    The network's trigger is compared with the one that the last run has left. A state from before there was
    one has none: then a change of the subnet is not seen.
    """
    return f"{assign(name=name, subnet=subnet)}\n{_AS_WANTED}"


_AS_WANTED = r"""
found=$(docker network inspect --format '{{range .IPAM.Config}}{{.Subnet}}{{end}}' "$name")
[[ $found == "$subnet" ]] || fail "the network $name has the subnet $found, not $subnet. The state of this \
stack is of an earlier version and did not tell that the subnet changes. No service was changed. Remedy: \
leave network.subnet as it was, $found; or take one that is neither, whose change is seen"
""".strip()


def tasks_gone(minutes: int = 10) -> str:
    """Shell text, for a manager, that waits until no task of a removed service is left on a node that is up.

    The docker plugin waits for containers of its own host at most. But the engine removes no network that a
    task is still attached to, and a service that is made anew must not meet its predecessor in the volume.
    """
    return f"{assign(patience=minutes * 60)}\n{_GONE}"


_GONE = r"""
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
""".strip()

_REFUSE = r"""
facts="{{.Name}} {{range .IPAM.Config}}{{.Subnet}}{{end}} {{index .Labels \"$label\"}}"
networks=$(docker network ls --no-trunc --quiet --filter "label=$label")
for id in $networks; do
  found=$(docker network inspect --format "$facts" "$id")
  [[ $found != "$wanted" ]] || continue
  services=$(docker service ls --quiet)
  [[ $services ]] || continue
  # One line a service: its name and its networks.
  attached=$(docker service inspect \
    --format '{{.Spec.Name}}{{range .Spec.TaskTemplate.Networks}} {{.Target}}{{end}}' $services)
  others=''
  while read -r service targets; do
    [[ " $targets " == *" $id "* || " $targets " == *" ${found%% *} "* ]] || continue
    [[ " ${own[*]} " == *" $service "* ]] || others+=" $service"
  done <<<"$attached"
  [[ ! $others ]] || fail "the network ${found%% *} has to be replaced by ($wanted), but serves:$others. \
Nothing was changed. Remedy: take these off it (docker service update --network-rm ${found%% *} SERVICE) \
until this is done, or leave the settings under network as they were"
done
""".strip()
