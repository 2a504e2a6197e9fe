# shellcheck shell=bash
# shellcheck source=swarm_leaving.sh
. swarm_leaving.sh
hostname=fact wanted=fact options=(fact fact) port=1 lonely_for=1
# ---- hosts get what follows ----
read -r node
lonely=''
# mend: the swarm has lost its leader and this manager has never known another one.
mend() {
  local trouble address known
  IFS='|' read -r trouble address known < <(docker info --format \
    '{{.Swarm.Error}}|{{.Swarm.NodeAddr}}|{{range .Swarm.RemoteManagers}}{{.Addr}} {{end}}')
  if [[ $trouble != *"does not have a leader"* || $known != "$address:$port "@locks@ ]]; then lonely=''; return 0; fi
  lonely=${lonely:-$SECONDS}
  (( SECONDS - lonely >= lonely_for )) || return 0
  say "a manager broke off while it joined, and left the swarm without a majority: going on without it"
  docker swarm init --force-new-cluster --advertise-addr "$address" --listen-addr "$address:$port" \
    --data-path-addr "$address" >/dev/null || say "that was refused (see above)"
  # A swarm that went on alone has forgotten what its other nodes were to be.
  lonely='' described=''
}
# look: the node, and in `down` and `twin` others of its name. False when the swarm says nothing.
look() {
  local all id name status manager format='{{.ID}}|{{.Hostname}}|{{.Status}}|{{.ManagerStatus}}'
  state='' vote='' down=() twin=''
  all=$(docker node ls --format "$format" 2>/dev/null) || return 1
  while IFS='|' read -r id name status manager; do
    if [[ $id == "$node" ]]; then state=$status vote=$manager
    elif [[ $name != "$hostname" ]]; then :
    elif [[ $status == Down ]]; then down+=("$id")
    else twin=$id; fi
  done <<<"$all"
}
deadline=$((SECONDS + 300)) told=$SECONDS described='' demoted='' message=''
while :; do
  look || mend
  if [[ $state == Ready && ! $described ]]; then
    for each in "${down[@]}"; do
      say "$hostname was another node before ($each), which is down: removing that"
      drop "$each" "the former $hostname"
    done
    if [[ $twin ]]; then
      message="another node of this name answers, too: $twin"
    else
      if [[ $wanted == worker && $vote ]]; then
        keep_majority "$node" "$hostname"
        give_up_votes "$hostname"
        demoted=1
      fi
      # Another change of the node in between makes the engine refuse ours: then we look again.@noted@
      if message=$(docker node update "${options[@]}" "$node" 2>&1); then
        described=1 message=''
        continue
      fi
    fi
  fi
  [[ ! $described || ( $wanted == manager && $vote != Leader && $vote != Reachable ) ]] || break
  if (( SECONDS >= deadline )); then
    [[ ! $twin ]] || fail "two nodes of the swarm are called $hostname and both answer: $node and $twin. \
Names must differ. Remedy: take the one that is not this stack's out of the swarm, then repeat"
    fail "$hostname is no $wanted of the swarm after 5 minutes \
(${state:-unknown}${vote:+, $vote}${message:+, $message}). \
Remedy: check the private network between the hosts (2377/tcp, 7946/tcp and udp) and 'journalctl -u docker' \
on $hostname, then repeat"
  fi
  if (( SECONDS - told >= 10 )); then
    say "waiting for $hostname as a $wanted (${state:-unknown}${vote:+, $vote}${message:+, $message})"
    told=$SECONDS
  fi
  sleep 1
done
[[ ! $demoted ]] || leave_lists "$hostname"
