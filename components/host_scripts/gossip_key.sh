# shellcheck shell=bash
# SC2016: Python expands it. SC2154: `program` comes from a file of its own.
# shellcheck disable=SC2016
# shellcheck source=prologue.sh
. prologue.sh
service=fact patience=1 program=fact
# ---- hosts get what follows ----
read -r key
[[ $key ]] || fail "no key came. Remedy: this is a bug, please report it"
deadline=$((SECONDS + patience)) told=''
# A swarm without a leader finds no service either: only a list without it says that it is not there.
until services=$(docker service ls --format '{{.Name}}' 2>&1); do
  (( SECONDS < deadline )) || fail "whether $service runs is not known: $services. Nothing was changed. Remedy: bring a \
majority of the managers back ('verify' says what is amiss), then repeat"
  sleep 3
done
if [[ $'\n'$services$'\n' != *$'\n'$service$'\n'* ]]; then
  say "$service does not run yet: it will start with this key"
  exit 0
fi
spoken() {
  local container
  container=$(docker ps -q -f "label=com.docker.swarm.service.name=$service" -f status=running | head -n 1)
  [[ $container ]] || { echo "no container of $service runs on this manager"; return 1; }
  # The key comes over standard input: it is in no list of processes.
  docker exec -u 0 -i "$container" python3 -ISc "$program" <<<"$key" 2>&1
}
until answer=$(spoken); do
  (( SECONDS < deadline )) || fail "not all members of $service have taken the new key: $answer. They go on with the \
former one. Remedy: bring back who is down ('docker service ps $service'; 'verify'), or take its host out of the \
settings, then repeat"
  [[ $answer == "$told" ]] || say "$service: $answer"
  told=$answer
  sleep 3
done
say "$service: all members speak with the new key, and understand the former one until they start anew"
