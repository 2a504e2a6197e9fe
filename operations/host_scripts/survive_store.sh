# shellcheck shell=bash
# shellcheck source=survive_functions.sh
. survive_functions.sh
store=fact
# ---- hosts get what follows ----
running=$(container "$store")
[[ $running ]] || outcome "wait no container of $store runs yet"
if docker exec "$running" etcd-member health >/dev/null 2>&1 && \
  timeout 15 docker exec "$running" \
    env ETCDCTL_API=3 etcdctl --command-timeout=10s get majority >/dev/null 2>&1; then
  outcome nothing
fi
# The word is there already: it counts for the start to come. While that is under way, the first process is not
# yet etcd, and is left alone.
if docker exec "$running" test -e /var/lib/etcd/force-new-cluster; then
  [[ $(docker exec "$running" cat /proc/1/comm) == etcd ]] || outcome "wait its member makes a cluster of one"
  docker kill "$running" >/dev/null 2>&1 || :
  outcome "wait its member starts anew"
fi
said=$(docker exec "$running" etcd-member force-new-cluster 2>&1) || outcome "wait ${said##*$'\n'}"
[[ $said != *"its majority"* ]] || outcome "wait it finds its majority"
outcome "wait its member starts anew, with all records"
