# shellcheck shell=bash
# SC2016: the inner bash expands $0 and $1.
# shellcheck disable=SC2016
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact first=fact port=1 heartbeat=1
# ---- hosts get what follows ----
read -ra managers
read -ra others || :
address=''
for each in "${managers[@]}"; do
  if [[ ${each%%=*} == "$hostname" ]]; then address=${each#*=}; else others+=("${each#*=}"); fi
done
[[ $address ]] || fail "this host is called $hostname, and the managers are ${managers[*]%%=*}. \
Remedy: give it its name back (hostnamectl set-hostname), then repeat"
IFS='|' read -r state control known < <(
  docker info --format '{{.Swarm.LocalNodeState}}|{{.Swarm.ControlAvailable}}|{{.Swarm.NodeAddr}}')
case $state in
  inactive)
    # Only managers listen on this port. A host that is off, or not there yet, is none: it could not vote.
    listen=$(for other in "${others[@]}"; do
      { timeout 5 bash -c ': <>"/dev/tcp/$0/$1"' "$other" "$port" 2>/dev/null && echo "$other" || :; } &
    done; wait)
    [[ ! $listen ]] || fail "$hostname is in no swarm, but a manager of one answers on \
${listen//$'\n'/, }: a second swarm would cut its services off. Remedy: have that host answer over SSH, with \
an engine that takes part in its swarm ('verify' says what is amiss), then repeat"
    [[ $hostname == "$first" ]] || fail "$first, on which a new swarm would begin, does not answer, and \
$hostname is in none. Remedy: bring $first back (or have its server replaced: servers.replace), then repeat"
    docker swarm init@pool@ --advertise-addr "$address" --listen-addr "$address:$port" --data-path-addr "$address" \
      --dispatcher-heartbeat "${heartbeat}s" >/dev/null \
      || fail "$hostname could not start a swarm on $address:$port (see above)"
    say "swarm started on $address" ;;
  active)
    [[ $control == true ]] || fail "$hostname is only a worker of some swarm already. \
Remedy: if that is of no use, run 'docker swarm leave' on it, then repeat"
    [[ $known == "$address" ]] || fail "$hostname leads a swarm on $known, not on its private address \
$address. Remedy: if that is of no use, run 'docker swarm leave --force' on it, then repeat" ;;
  *)
    fail "the swarm of $hostname is '$state'. \
Remedy: see 'docker info' and 'journalctl -u docker' on the host" ;;
esac
read -r cluster node beats < <(docker info --format \
  '{{.Swarm.Cluster.ID}} {{.Swarm.NodeID}} {{.Swarm.Cluster.Spec.Dispatcher.HeartbeatPeriod}}')
if [[ $beats != "${heartbeat}s" && $beats != "${heartbeat}000000000" ]]; then
  docker swarm update --dispatcher-heartbeat "${heartbeat}s" >/dev/null
fi
manager=$(docker swarm join-token -q manager)
worker=$(docker swarm join-token -q worker)
printf '{"cluster":"%s","node":"%s","manager":"%s","worker":"%s"}\n' "$cluster" "$node" "$manager" "$worker"
