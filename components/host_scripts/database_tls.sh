# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
service=fact patience=1
# ---- hosts get what follows ----
# The node that runs here starts anew, too, when it is its turn: each question finds the container again.
secured() {
  local container
  container=$(docker ps -q -f "label=com.docker.swarm.service.name=$service" -f status=running | head -n 1)
  [[ $container ]] || { echo "no container of $service runs on this manager"; return 75; }
  docker exec "$container" galera-node secure 2>&1
}
deadline=$((SECONDS + patience)) told='' refused=0
while :; do
  code=0
  answer=$(secured) || code=$?
  (( code )) || break
  (( code != 2 )) || fail "the image of $service knows no TLS. Remedy: set galera.image to 10.11-12 or a later one"
  # What is away for a moment, be it the store or a container, is asked again.
  if (( code == 75 )); then refused=0; else refused=$((refused + 1)); fi
  (( refused < 30 )) || fail "$service still lets in who comes without TLS, or with a former certificate; \
nothing is interrupted. The last answer: $answer. Remedy: correct the cause, then repeat"
  if [[ $answer != "$told" ]]; then
    say "$service: $answer"
    told=$answer deadline=$((SECONDS + patience))
  fi
  (( SECONDS < deadline )) || fail "$service does not get on with TLS: $answer. The nodes serve. Remedy: see \
'docker service logs $service', then repeat"
  sleep 2
done
say "$service: $answer"
