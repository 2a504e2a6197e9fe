# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
services=(fact fact)
# ---- hosts get what follows ----
declare -A keep=() ours=() used=()
mapfile -t ids < <(docker ps -aq)
label=com.docker.swarm.service.name
format="{{.Image}}|{{.Config.Image}}|{{index .Config.Labels \"$label\"}}|{{.State.Running}}"
# One question for all: each takes a while on a small host.
(( ! ${#ids[@]} )) || while IFS='|' read -r image reference service running; do
  keep[$image]=1
  [[ $running != true ]] || used[$image]=1
  for each in "${services[@]}"; do
    [[ $service == "$each" ]] || continue
    reference=${reference%%@*} name=${reference##*/}
    [[ $name != *:* ]] || reference=${reference%:*}
    ours[$reference]=1
  done
done < <(docker inspect --format "$format" "${ids[@]}")
while read -r image repository tag; do
  [[ ${ours[$repository]:-} && ! ${used[$image]:-} ]] || continue
  # The swarm keeps some ended tasks of a service, and the engine what they ran.
  if [[ ${keep[$image]:-} ]]; then printf 'held\t%s:%s\n' "$repository" "$tag"; continue; fi
  if docker image rm "$image" >/dev/null; then printf 'removed\t%s:%s\n' "$repository" "$tag"; fi
done < <(docker images --no-trunc --format '{{.ID}} {{.Repository}} {{.Tag}}')
