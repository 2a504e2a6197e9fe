# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
service=fact label=fact
# ---- hosts get what follows ----
held=$(docker node ls --filter "node.label=$label=$service" --format '{{.ID}}|{{.Hostname}}|{{.Availability}}')
if [[ $held ]]; then
  IFS='|' read -r node name availability <<<"$held"
  if [[ $availability == Pause ]]; then
    say "$service: $name is the last to be changed, as in the run before"
    exit 0
  fi
  # A person has let it go, and the label has stayed.
  docker node update --label-rm "$label" "$node" >/dev/null
fi
container=$(docker ps -q -f "label=com.docker.swarm.service.name=$service" -f status=running | head -n 1)
told=''
[[ ! $container ]] || told=$(docker exec "$container" galera-node status --json 2>/dev/null) || told=''
[[ $told =~ \"writer\":\ *\"([A-Za-z0-9_.-]+)\" ]] || { say "$service: nobody takes the writes"; exit 0; }
writer=${BASH_REMATCH[1]}
node='' others=0
while IFS='|' read -r id name status availability; do
  if [[ $name != "$writer" ]]; then
    others=$((others + 1))
  elif [[ $status == Ready && $availability == Active ]]; then
    node=$id
  fi
done < <(docker node ls --format '{{.ID}}|{{.Hostname}}|{{.Status}}|{{.Availability}}')
if [[ ! $node || $others == 0 ]]; then
  say "$service: $writer takes the writes, and is not held back"
  exit 0
fi
# The engine chooses the order at random, but changes nothing on a node that is paused.
docker node update --availability pause --label-add "$label=$service" "$node" >/dev/null
say "$service: $writer takes the writes, and is the last to be changed"
