"""What is asked of the swarm before an overlay network is replaced.

Owns: refusing while services of others are attached. Leaves to others: the network (the docker resource),
single containers that somebody attached by hand: the engine then refuses to remove the network.
"""

from __future__ import annotations

from collections.abc import Sequence

from components.commands.shell import assign

LABEL = "swarm-galera.encrypted"
"""On the network: `true` or `false`."""


def free_of_others(name: str, subnet: str, encrypted: bool, own: Sequence[str]) -> str:
    """Shell text, for a manager, that fails if the stack's network differs and serves others than `own`.

    To run before anything is taken down: a network cannot be changed, only removed and made again, and the
    engine removes none that a service uses.
    """
    wanted = f"{name} {subnet} {str(encrypted).lower()}"
    return f"{assign(label=LABEL, wanted=wanted, own=own)}\n{_REFUSE}"


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
