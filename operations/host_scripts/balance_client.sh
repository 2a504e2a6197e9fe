# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
service=fact network=fact database=fact host=fact port=1 connections=1 hopeless=1
# ---- hosts get what follows ----
IFS= read -r password
image=$(docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' "$service")
# One line a connection: `node`, its name and its address, or `failed` and the client's last line.
docker run --rm -i --network "$network" --entrypoint bash "$image" -c '
  IFS= read -r password
  in_vain=0
  for ((n = 0; n < $4 && in_vain < $5; n++)); do
    if said=$(mariadb --defaults-extra-file=<(printf "[client]\npassword=%s\n" "$password") -NB \
      --host="$1" --port="$2" --user="$3" --connect-timeout=10 \
      --execute="SELECT @@wsrep_node_name, @@wsrep_node_address" 2>&1); then
      printf "node\t%s\n" "${said##*$'"'\n'"'}"
      in_vain=0
    else
      printf "failed\t%s\n" "${said##*$'"'\n'"'}"
      in_vain=$((in_vain + 1))
    fi
  done' \
  bash "$host" "$port" "$database" "$connections" "$hopeless" <<<"$password"
