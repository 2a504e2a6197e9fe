# shellcheck shell=bash
# shellcheck source=survive_functions.sh
. survive_functions.sh
service=fact name=fact
# ---- hosts get what follows ----
running=$(container "$service")
[[ $running ]] || outcome "wait no container of $service runs yet"
if said=$(docker exec "$running" galera-node health 2>&1); then
  [[ $said != Synced* ]] || outcome 'done'
fi
told=$(docker exec "$running" galera-node status 2>&1) || outcome "wait ${told%%$'\n'*}"
if [[ $told != *"restarts from the data of $name"* ]] && \
  [[ $told == *"$name: stopped"* || $told == *"$name: running"* ]]; then
  told=$(docker exec "$running" galera-node recover-from "$name" 2>&1) || outcome "wait ${told%%$'\n'*}"
fi
outcome "wait $said"
