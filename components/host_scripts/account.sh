# shellcheck shell=bash
# SC2034: account_made.sh reads what is set here.
# shellcheck disable=SC2034
# shellcheck source=prologue.sh
. prologue.sh
service=fact database=fact user=fact patience=1
# ---- hosts get what follows ----
IFS= read -r hash
[[ $hash =~ ^\*[0-9A-F]{40}$ ]] || fail "no password came for $user. Remedy: this is a bug, please report it"
# In a grant _ stands for any character: `my_app` would let the application into `my1app`, too.
granted=${database//_/\\_}
# The node's root comes in over the socket. What is replicated stays in files of all nodes: only the password's stored
# form is in it.
ask() {
  local container
  container=$(docker ps -q -f "label=com.docker.swarm.service.name=$service" -f status=running | head -n 1)
  [[ $container ]] || { echo "no container of $service runs here"; return 1; }
  docker exec -u 0 -i "$container" mariadb -NB 2>&1
}
# patiently_asked SQL: sets $answer; an answer may fail to come while nodes come and go.
patiently_asked() {
  local deadline=$((SECONDS + patience)) told=''
  until answer=$(ask <<<"$1"); do
    (( SECONDS < deadline )) || fail "the account $user and its database $database could not be made: $answer. \
Remedy: 'verify' names what is amiss with the database; correct it, then repeat"
    [[ $answer == "$told" ]] || say "$service: $answer"
    told=$answer
    sleep 2
  done
}
patiently_asked "SELECT COUNT(*) FROM mysql.global_priv
  WHERE User = '$user' AND Host = '%' AND COALESCE(JSON_VALUE(Priv, '$.access'), 0) <> 0;"
[[ $answer == 0 ]] || fail "the account $user@% is there already, with rights on all databases: an application must \
not have them. Nothing was changed. Remedy: choose another name (application.database.user), or take its rights away"
