# shellcheck shell=bash
# shellcheck source=survive_functions.sh
. survive_functions.sh
address=fact lost=(fact fact)
# ---- hosts get what follows ----
forced='' failed=''
if ! timeout 15 docker node ls >/dev/null 2>&1; then
  # With autolock the engine would answer by forgetting that it was in a swarm.
  key=$(docker info --format '{{.DockerRootDir}}')/swarm/certificates/swarm-node.key
  ! grep -q ENCRYPTED "$key" 2>/dev/null || outcome "wait its key is locked (swarm.autolock), so it can't be forced"
  timeout 60 docker swarm init --force-new-cluster --advertise-addr "$address" \
    --listen-addr "$address:2377" >/dev/null
  forced=1
fi
# They have lost their votes; as nodes they would stay for ever, for who has no vote cannot be demoted.
while read -r id hostname; do
  for each in "${lost[@]}"; do
    [[ $hostname == "$each" ]] || continue
    said=$(docker node rm --force "$id" 2>&1) || failed=${said##*$'\n'}
  done
done < <(docker node ls --format '{{.ID}} {{.Hostname}}')
# Engine 20.10 may go on without giving tasks their networks and containers their names, until it starts anew.
if [[ $forced ]]; then
  systemctl restart docker
  for ((tries = 0; tries < 60; tries++)); do
    timeout 15 docker node ls >/dev/null 2>&1 && break
    sleep 1
  done
fi
[[ ! $failed ]] || outcome "wait $failed"
outcome 'done'
