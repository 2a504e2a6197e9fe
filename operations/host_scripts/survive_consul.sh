# shellcheck shell=bash
# shellcheck source=survive_functions.sh
. survive_functions.sh
store=fact
# ---- hosts get what follows ----
running=$(container "$store")
[[ $running ]] || outcome "wait no container of $store runs yet"
led() {
  timeout 15 docker exec -u 0 -e CONSUL_HTTP_ADDR=https://127.0.0.1:8501 -e CONSUL_TLS_SERVER_NAME=localhost \
    -e CONSUL_CACERT=/run/secrets/consul-ca.crt -e CONSUL_CLIENT_CERT=/run/secrets/consul.crt \
    -e CONSUL_CLIENT_KEY=/run/secrets/consul.key \
    -e CONSUL_HTTP_TOKEN_FILE=/run/secrets/consul-management-token "$running" \
    consul operator raft list-peers 2>/dev/null | grep -qw leader
}
if docker exec "$running" consul-member health >/dev/null 2>&1 && led; then outcome nothing; fi
# The word is there already: it counts for the start to come.
if docker exec "$running" test -e /var/lib/consul/force-new-cluster; then
  outcome "wait its server makes a cluster of one"
fi
said=$(docker exec "$running" consul-member force-new-cluster 2>&1) || outcome "wait ${said##*$'\n'}"
[[ $said != *"its majority"* ]] || outcome "wait it finds its majority"
outcome "wait its server starts anew, with all records"
