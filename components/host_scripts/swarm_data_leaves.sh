# shellcheck shell=bash
# shellcheck source=swarm_leaving.sh
. swarm_leaving.sh
hostname=fact node=fact label=fact options=(fact fact) leaves=fact keeping=(fact fact)
# ---- hosts get what follows ----
# label_of NAME: what the node has; empty without.
label_of() { docker node inspect --format "{{with .Spec.Labels}}{{index . \"$1\"}}{{end}}" "$node"; }
# note_data: a node that still has the label which brings data to it is about to lose it. That is noted on the node
# itself, in the same change: a run that is broken off after it is followed up.
note_data() {
  local has
  has=$(label_of "$label") || fail "the swarm does not say which labels $hostname has (see above). Remedy: repeat"
  [[ $has != true ]] || options+=(--label-add "$leaves=true")
}
# data_left: a node with that note runs nothing of these services any more, and is on none of their lists.
data_left() {
  local each until told=$SECONDS said missed=''
  [[ $(label_of "$leaves") == true ]] || return 0
  for each in "${keeping[@]}"; do
    until=$((SECONDS + 3660))  # the longest stop in order, and a minute
    while [[ $(docker node ps --filter "name=${each%% *}." --format '{{.CurrentState}}' "$node") == *Running* ]]; do
      (( SECONDS < until )) || break
      if (( SECONDS - told >= 10 )); then say "${each%% *} stops on $hostname"; told=$SECONDS; fi
      sleep 1
    done
    forgotten "$hostname" "$each" || { missed=1; say "${each%% *} still counts on $hostname: $said. \
Once it is well again, run '${each#* } $hostname' in a container of it"; }
  done
  [[ $missed ]] || docker node update --label-rm "$leaves" "$node" >/dev/null
}
