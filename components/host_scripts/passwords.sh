# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
service=fact patience=1 overlap=fact
# ---- hosts get what follows ----
# USER HOST HASH…: of each account the passwords' stored forms, which are sorted to be compared.
declare -A wanted=()
while read -r user host hashes; do
  [[ $user ]] || continue
  wanted["$user@$host"]=$(tr ' ' '\n' <<<"$hashes" | sort -u)
done
(( ${#wanted[@]} )) || fail "no passwords came. Remedy: this is a bug, please report it"
ask() {
  local container
  container=$(docker ps -q -f "label=com.docker.swarm.service.name=$service" -f status=running | head -n 1)
  [[ $container ]] || { echo "no container of $service runs here"; return 1; }
  docker exec -u 0 -i "$container" mariadb --skip-ssl -NB 2>&1
}
# counts KNOWN HASHES: whether an account is as the nodes want it (images/galera, `accounts`). Of two passwords both
# count, and no other; beside one alone may be another that a person has put there, but no former one of ours.
counts() {
  local has
  has=$(grep -oE '\*[0-9A-F]{40}' <<<"$1" | sort -u)
  if [[ $2 == *$'\n'* ]]; then [[ $has == "$2" && $1 == *"$overlap"* ]]
  else [[ $'\n'$has$'\n' == *$'\n'$2$'\n'* && $1 != *"$overlap"* ]]; fi
}
# waiting: the accounts that still have others, or why none can be seen; empty once all are so. One that somebody has
# dropped is not waited for.
waiting() {
  local answer user host known found=''
  answer=$(ask <<<"SELECT User, Host, Priv FROM mysql.global_priv;") || { echo "$answer"; return; }
  while IFS=$'\t' read -r user host known; do
    [[ ${wanted["$user@$host"]:-} ]] || continue
    counts "$known" "${wanted["$user@$host"]}" || found+=" $user@$host"
  done <<<"$answer"
  [[ ! $found ]] || echo "not yet:$found"
}
deadline=$((SECONDS + patience)) told=''
until left=$(waiting) && [[ ! $left ]]; do
  (( SECONDS < deadline )) || fail "the accounts of $service have not come to their passwords ($left). They get in as \
before. Remedy: all members must be there and have the same secrets ('docker service ps $service'; one that is lost for \
good: 'galera-node forget NAME'), and know two passwords for an account (galera.image: 10.11-13, 11.8-2 or later); then \
repeat"
  [[ $left == "$told" ]] || say "$service: $left"
  told=$left
  sleep 2
done
say "$service: the accounts have their passwords"
