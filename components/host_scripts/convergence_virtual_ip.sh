# shellcheck shell=bash
# shellcheck source=convergence_wait.sh
. convergence_wait.sh
# ---- hosts get what follows ----
id=$(docker network inspect --format '{{.Id}}' "$network")
vip=''
for pair in $(docker service inspect --format \
  '{{range .Endpoint.VirtualIPs}}{{.NetworkID}}={{.Addr}} {{end}}' "$service"); do
  [[ $pair != "$id="* ]] || vip=${pair#*=}
done
[[ $vip ]] || fail "$service has no virtual IP on the network $network. \
Remedy: see 'docker service inspect $service' on a manager"
say "$service: $running of $wanted running, virtual IP ${vip%/*}"
printf '%s\n' "${vip%/*}"
