# shellcheck shell=bash
# shellcheck source=restore_scratch.sh
. restore_scratch.sh
schema=fact table=fact created=1
# ---- hosts get what follows ----
# mariadb asks SQL, or takes what it is to load, as the database's root in the node's container.
mariadb() { docker exec -u 0 -i "$container" mariadb --skip-ssl --default-character-set=utf8mb4 "$@"; }
tick=$'\x60'
quoted() { printf '%s' "$tick${1//"$tick"/"$tick$tick"}$tick"; }
[[ ! $created ]] || mariadb <<<"CREATE DATABASE $(quoted "$schema")"
if ! scratch | mariadb --binary-mode "$schema"; then
  # Half of it is nothing: it was made here a moment ago, and nobody else has it.
  if [[ $created ]]; then undo="DROP DATABASE $(quoted "$schema")"
  else undo="DROP TABLE IF EXISTS $(quoted "$schema").$(quoted "$table")"; fi
  mariadb <<<"$undo"
  fail "it could not be loaded, and what had been loaded is removed again"
fi
printf 'result=loaded\n'
