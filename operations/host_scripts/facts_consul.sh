# shellcheck shell=bash
# SC2016: what is expanded is so in the container.
# shellcheck disable=SC2016
# shellcheck source=facts_host.sh
. facts_host.sh
store=fact
# ---- hosts get what follows ----
# As every program of the host asks: through its resolver.
while read -r address kind _; do
  [[ $kind != STREAM ]] || printf 'named\t%s\n' "$address"
done < <(getent ahostsv4 db.service.consul)
getent ahostsv4 consul.service.consul >/dev/null && printf 'resolves\tyes\n'
docker volume inspect etcd-data >/dev/null 2>&1 && printf 'stored\tetcd-data\n'
in_consul() {
  local secrets=/run/secrets
  docker exec -u 0 -e CONSUL_HTTP_ADDR=https://127.0.0.1:8501 -e CONSUL_TLS_SERVER_NAME=localhost \
    -e "CONSUL_CACERT=$secrets/consul-ca.crt" -e "CONSUL_CLIENT_CERT=$secrets/consul.crt" \
    -e "CONSUL_CLIENT_KEY=$secrets/consul.key" "${container[$store]}" sh -c "$1"
}
[[ ! ${container[$store]:-} ]] || in_consul '
  export CONSUL_HTTP_TOKEN_FILE=/run/secrets/consul-management-token
  consul-member health >/dev/null 2>&1 && echo healthy
  # An older image has no such command.
  echo "certificates $(consul-member certificates 2>/dev/null)"
  consul members | sed "s/^/member /"
  consul operator raft list-peers | sed "s/^/server /"' | tell consul
