# shellcheck shell=bash
# SC2016: what is expanded is so in the container.
# shellcheck disable=SC2016
# shellcheck source=facts_in_consul.sh
. facts_in_consul.sh
store=fact
# ---- hosts get what follows ----
# As every program of the host asks: through its resolver.
while read -r address kind _; do
  [[ $kind != STREAM ]] || printf 'named\t%s\n' "$address"
done < <(getent ahostsv4 db.service.consul)
getent ahostsv4 consul.service.consul >/dev/null && printf 'resolves\tyes\n'
docker volume inspect etcd-data >/dev/null 2>&1 && printf 'stored\tetcd-data\n'
[[ ! ${container[$store]:-} ]] || in_consul '
  export CONSUL_HTTP_TOKEN_FILE=/run/secrets/consul-management-token
  consul-member health >/dev/null 2>&1 && echo healthy
  # An older image has no such command.
  echo "certificates $(consul-member certificates 2>/dev/null)"
  consul members | sed "s/^/member /"
  consul operator raft list-peers | sed "s/^/server /"' | tell consul
