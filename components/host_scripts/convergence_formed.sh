# shellcheck shell=bash
# shellcheck source=convergence_wait.sh
. convergence_wait.sh
service=fact size=1 patience=1
# ---- hosts get what follows ----
query="SHOW GLOBAL STATUS WHERE Variable_name IN
  ('wsrep_cluster_size', 'wsrep_cluster_status', 'wsrep_local_state_comment')@desync@"
deadline=$((SECONDS + patience)) told=''
while :; do
  declare -A status=()
  container=$(docker ps -q -f "label=com.docker.swarm.service.name=$service" -f status=running | head -n 1)
  while IFS=$'\t' read -r name value; do status[$name]=$value; done < <(
    [[ ! $container ]] || docker exec -u 0 -i "$container" mariadb -NB 2>&1 <<<"$query")
  seen="${status[wsrep_cluster_size]:-no} nodes, ${status[wsrep_cluster_status]:-no answer}"
  seen+=", ${status[wsrep_local_state_comment]:-unknown}"
  [[ $seen != "$size nodes, Primary, Synced"@also@ ]] || break
  (( SECONDS < deadline )) || give_up "The cluster has not formed: this node sees $seen, not $size nodes."
  [[ $seen == "$told" ]] || say "$service: $seen"
  told=$seen
  sleep 2
done
say "$service: one cluster of $size nodes, all synced"
