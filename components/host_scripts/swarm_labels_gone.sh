# shellcheck shell=bash
# SC2016: $name is the template's.
# shellcheck disable=SC2016
# shellcheck source=swarm_leaving.sh
. swarm_leaving.sh
hostname=fact node=fact former_labels=(fact fact)
# ---- hosts get what follows ----
# labels_gone: takes away what the stack has set and has no more. A label that says something else by now, somebody
# has made their own.
labels_gone() {
  local each all tries format='{{range $name, $value := .Spec.Labels}}{{$name}}={{$value}}{{println}}{{end}}'
  for each in "${former_labels[@]}"; do
    for (( tries = 0; ; tries++ )); do
      if all=$(docker node inspect --format "$format" "$node"); then
        [[ $'\n'$all$'\n' == *$'\n'"$each"$'\n'* ]] || break
        # Another change of the node in between makes the engine refuse ours: then we look again.
        if docker node update --label-rm "${each%%=*}" "$node" >/dev/null; then
          say "$hostname has the label $each no more"
          break
        fi
      fi
      (( tries < 10 )) || fail "the label $each, which the settings no longer have, stays on $hostname (see above). \
Remedy: repeat"
      sleep 1
    done
  done
}
