# shellcheck shell=bash
# shellcheck source=facts_host.sh
. facts_host.sh
store=fact
# ---- hosts get what follows ----
in_consul() {
  local secrets=/run/secrets
  docker exec -u 0 -e CONSUL_HTTP_ADDR=https://127.0.0.1:8501 -e CONSUL_TLS_SERVER_NAME=localhost \
    -e "CONSUL_CACERT=$secrets/consul-ca.crt" -e "CONSUL_CLIENT_CERT=$secrets/consul.crt" \
    -e "CONSUL_CLIENT_KEY=$secrets/consul.key" "${container[$store]}" sh -c "$1"
}
