# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
service=fact network=fact database=fact host=fact port=1 ca=fact
# ---- hosts get what follows ----
IFS= read -r password
# in_client SCRIPT WORD…: runs it in a container of its own on the overlay network, with the words as its
# arguments; there `connect OPTION…` is the database's client, which ends after `limit` seconds where that is set.
# The password is on no command line. Where nodes speak TLS, it checks who answers: by the authority `ca`, or, as clients
# since 11.4 do, by having the server prove with its certificate that it knows the password. Those would ask a
# certificate of an authority for the address, too, and it bears names only.
in_client() {
  local script=$1 image; shift
  image=$(docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' "$service")
  docker run --rm -i --network "$network" --entrypoint bash "$image" -c '
    IFS= read -r password
    host=$1 port=$2 user=$3 tls=()
    if [[ $4 && $(mariadb --help) == *--ssl-fplist* ]]; then tls=(--ssl --ssl-verify-server-cert)
    elif [[ $4 ]]; then printf "%s\n" "$4" >/tmp/ca.crt; tls=(--ssl-ca=/tmp/ca.crt --skip-ssl-verify-server-cert); fi
    shift 4
    connect() { ${limit:+timeout "$limit"} mariadb --defaults-extra-file=<(printf "[client]\npassword=%s\n" "$password") \
      --host="$host" --port="$port" --user="$user" "${tls[@]}" "$@"; }
    '"$script" bash "$host" "$port" "$database" "$ca" "$@" <<<"$password"
}
