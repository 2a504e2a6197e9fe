# shellcheck shell=bash
# SC2034: `info` is for facts_engine.sh.
# shellcheck disable=SC2034
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
mount=fact kept=fact replicated=(fact fact)
# ---- hosts get what follows ----
set +e
tell() { local name=$1 line; while IFS= read -r line; do printf '%s\t%s\n' "$name" "$line"; done; }
engine=$(systemctl is-active docker.service)
tell engine <<<"$engine"
# Any question would start one that somebody has stopped, through its socket, and its containers with it.
case $engine in
  inactive|failed|deactivating)
    if systemctl -q is-active docker.socket; then export DOCKER_HOST=unix:///nobody-is-asked; fi ;;
esac
# Begun here and read further below: a question takes a while on a small host, and nothing rests on this one.
exec {info}< <(
  docker info --format '{{.Driver}}|{{.Swarm.LocalNodeState}}|{{.Swarm.NodeID}}|{{.Swarm.Error}}')
df -B1 --output=target,size,avail / "$mount" | tell space
[[ ! -r $kept || $(<"$kept") != kept ]] || printf 'kept\tyes\n'
declare -A container=()
mapfile -t ids < <(docker ps -q --no-trunc)
# Listed as running, one may have ended all the same: an engine without room on its disk can't note that.
label=com.docker.swarm.service.name
format="{{.ID}}|{{.State.Running}}|{{index .Config.Labels \"$label\"}}|{{.Image}}|{{.Name}}"
(( ! ${#ids[@]} )) || while IFS='|' read -r id running name image title; do
  if [[ $running == true && ${container[${name:-none}]:-} && " ${replicated[*]} " == *" $name "* ]]; then
    continue
  elif [[ $running != true || ${container[${name:-none}]:-} ]]; then
    printf 'ghost\t%s\n' "${title#/}"
  elif [[ $name ]]; then
    container[$name]=$id
    printf 'image\t%s %s\n' "$name" "$image"
  fi
done < <(docker inspect --format "$format" "${ids[@]}")
