# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
service=fact network=fact database=fact host=fact port=1 sql=fact
# ---- hosts get what follows ----
IFS= read -r password
image=$(docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' "$service")
docker run --rm -i --network "$network" --entrypoint bash "$image" -c '
  IFS= read -r password
  exec mariadb --defaults-extra-file=<(printf "[client]\npassword=%s\n" "$password") \
    --host="$1" --port="$2" --user="$3" --database="$3" --connect-timeout=20 --execute="$4"' \
  bash "$host" "$port" "$database" "$sql" <<<"$password"
