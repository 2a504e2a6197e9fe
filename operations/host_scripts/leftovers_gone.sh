# shellcheck shell=bash
# SC2034: `removed` is read by what around_run/swarm_leftovers.py puts behind.
# shellcheck disable=SC2034
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
label=fact network_label=fact known=(fact fact)
# ---- hosts get what follows ----
for each in "${known[@]}"; do
  said=$(docker "${each%%/*}" inspect --format . "${each#*/}" 2>&1) || case ${said,,} in
    *'no such'*|*'not found'*) printf 'gone %s\n' "$each" ;;
    *) fail "$said" ;;
  esac
done
removed=''
services=$(docker service ls --quiet --filter "label=$label")
for service in $services; do
  read -r id name < <(docker service inspect --format '{{.ID}} {{.Spec.Name}}' "$service")
  [[ " ${known[*]} " != *" service/$id "* ]] || continue
  docker service rm "$id" >/dev/null
  removed=1
  printf 'removed the service %s\n' "$name"
done
networks=$(docker network ls --no-trunc --filter "label=$network_label" --format '{{.ID}} {{.Name}}')
strays=()
while read -r id name; do
  [[ $id && " ${known[*]} " != *" network/$id "* ]] || continue
  strays+=("$id $name")
done <<<"$networks"
