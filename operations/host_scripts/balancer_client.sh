# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
service=fact database=fact addresses=(fact fact) asked=(fact fact) sql=fact
# ---- hosts get what follows ----
IFS= read -r password
image=$(docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' "$service")
# From the host's own network, as a client outside of the overlay. All hosts at a time, each port one after the other.
docker run --rm -i --network host --entrypoint bash "$image" -c '
  IFS= read -r password
  database=$1 sql=$2 ports=$3; shift 3
  ask() {
    mariadb --defaults-extra-file=<(printf "[client]\npassword=%s\n" "$password") --host="$1" --port="$2" \
      --user="$database" --connect-timeout=10 -NB --execute="$sql" 2>&1
  }
  for address; do
    for port in $ports; do
      if said=$(ask "$address" "$port"); then printf "%s\t%s\t%s\n" "$address" "$port" "$said"
      else printf "%s\t%s\terror\t%s\n" "$address" "$port" "${said//$'"'\n'"'/ }"; fi
    done &
  done
  wait' bash "$database" "$sql" "${asked[*]}" "${addresses[@]}" <<<"$password"
