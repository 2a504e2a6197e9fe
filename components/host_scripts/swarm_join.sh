# shellcheck shell=bash
# SC2016: the inner bash expands $0 and $1.
# shellcheck disable=SC2016
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact port=1 news_within=1
# ---- hosts get what follows ----
read -r token address cluster
read -ra managers
format='{{.Swarm.LocalNodeState}}|{{.Swarm.NodeID}}|{{range .Swarm.RemoteManagers}}{{.Addr}} {{end}}'\
'|{{with .Swarm.Cluster}}{{.ID}}{{end}}'
look() {
  IFS='|' read -r state node remotes own < <(docker info --format "$format")
}
# ours: a manager knows its swarm's id, a worker only who manages it.
ours() {
  local each
  if [[ $own ]]; then [[ $own == "$cluster" ]]; return; fi
  for each in "${managers[@]}"; do
    [[ $each == "$address" || " $remotes " != *" $each:$port "* ]] || return 0
  done
  return 1
}
# established: an engine that cannot take part now (`error`, `locked`) holds what makes it a manager.
established() {
  local root
  root=$(docker info --format '{{.DockerRootDir}}')
  [[ $state == locked ]] || compgen -G "$root/swarm/raft/*" >/dev/null
}
look
deadline=$((SECONDS + news_within)) told=$SECONDS
while [[ $state == active ]] && ! ours; do
  (( SECONDS < deadline )) || fail "$hostname belongs to another swarm (managers: $remotes). \
Remedy: if that is of no use, run 'docker swarm leave --force' on it, then repeat"
  if (( SECONDS - told >= 10 )); then say "$hostname knows none of the managers yet"; told=$SECONDS; fi
  sleep 1
  look
done
others=()
for each in "${managers[@]}"; do [[ $each == "$address" ]] || others+=("$each"); done
# Only managers listen there. By one that is dead, the engine would go on trying to join for ever.
listens() { timeout 5 bash -c ': <>"/dev/tcp/$0/$1"' "$1" "$port" 2>/dev/null; }
deadline=$((SECONDS + 300)) told=$SECONDS said='' turn=0
until [[ $state == active ]]; do
  (( ${#others[@]} )) || fail "$hostname is in no swarm, and there is no other manager whose swarm it could join"
  by=${others[turn % ${#others[@]}]}
  (( SECONDS < deadline )) || fail "$hostname could not join the swarm of ${others[*]} in 5 minutes\
${said:+ ($said)}. Remedy: check that port $port of one of them answers it over the private network \
(servers.firewall), then repeat"
  if (( SECONDS - told >= 10 )); then say "joining by $by${said:+: $said}"; told=$SECONDS; fi
  case $state in
    pending) sleep 1 ;;  # the engine goes on trying in the background
    inactive)
      if ! listens "$by"; then
        said="$by does not answer on port $port"
        turn=$((turn + 1))
        sleep 1
      elif ! said=$(docker swarm join --token "$token" --advertise-addr "$address" \
        --listen-addr "$address:$port" --data-path-addr "$address" "$by:$port" 2>&1 >/dev/null); then
        case $said in
          *"alid join token"*|*"does not match fingerprint"*)
            fail "the swarm of $by does not take the stack's join token: it was rotated ($said). \
Remedy: have it read again by pulumi up --replace '**swarm-started', then repeat" ;;
        esac
        turn=$((turn + 1))
        sleep 2
      fi ;;
    *)
      if established; then
        fail "$hostname is a manager of a swarm already, and its engine cannot take part now ($state: \
$(docker info --format '{{.Swarm.Error}}')). Remedy: correct that (journalctl -u docker); only if the host \
is to be given up, run 'docker swarm leave --force' on it: its vote is then lost"
      fi
      docker swarm leave --force >/dev/null 2>&1 || : ;;  # a former try ended half-way
  esac
  look
done
printf '%s\n' "$node"
