# shellcheck shell=bash
# SC2086: ids are meant to be split into words.
# shellcheck disable=SC2086
# shellcheck source=prologue.sh
. prologue.sh
label=fact wanted=fact own=(fact fact)
# ---- hosts get what follows ----
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
