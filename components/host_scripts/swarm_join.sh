# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact port=1 news_within=1
# ---- hosts get what follows ----
read -r token address first
format='{{.Swarm.LocalNodeState}}|{{.Swarm.NodeID}}|{{range .Swarm.RemoteManagers}}{{.Addr}} {{end}}'
look() {
  IFS='|' read -r state node remotes < <(docker info --format "$format")
}
# established: an engine that cannot take part now (`error`, `locked`) holds what makes it a manager.
established() {
  local root
  root=$(docker info --format '{{.DockerRootDir}}')
  [[ $state == locked ]] || compgen -G "$root/swarm/raft/*" >/dev/null
}
look
deadline=$((SECONDS + news_within)) told=$SECONDS
while [[ $state == active && " $remotes " != *" $first:$port "* ]]; do
  (( SECONDS < deadline )) || fail "$hostname belongs to another swarm (managers: $remotes). \
Remedy: if that is of no use, run 'docker swarm leave --force' on it, then repeat"
  if (( SECONDS - told >= 10 )); then say "$hostname does not know the manager $first yet"; told=$SECONDS; fi
  sleep 1
  look
done
deadline=$((SECONDS + 300)) told=$SECONDS said=''
until [[ $state == active ]]; do
  (( SECONDS < deadline )) || fail "$hostname could not join the swarm of $first in 5 minutes\
${said:+ ($said)}. Remedy: check that $first:$port answers it over the private network \
(servers.firewall), then repeat"
  if (( SECONDS - told >= 10 )); then say "joining $first${said:+: $said}"; told=$SECONDS; fi
  case $state in
    pending) sleep 1 ;;  # the engine goes on trying in the background
    inactive)
      if ! said=$(docker swarm join --token "$token" --advertise-addr "$address" \
        --listen-addr "$address:$port" --data-path-addr "$address" "$first:$port" 2>&1 >/dev/null); then
        case $said in
          *"alid join token"*|*"does not match fingerprint"*)
            fail "the swarm of $first does not take the stack's join token: it was rotated ($said). \
Remedy: have it read again by pulumi up --replace '**swarm-started', then repeat" ;;
        esac
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
