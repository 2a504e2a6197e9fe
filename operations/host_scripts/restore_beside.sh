# shellcheck shell=bash
# shellcheck source=restore_scratch.sh
. restore_scratch.sh
schema=fact table=fact staging=fact created=1 half=fact
# ---- hosts get what follows ----
# mariadb asks SQL, or takes what it is to load, as the database's root in the node's container.
mariadb() { docker exec -u 0 -i "$container" mariadb --skip-ssl --default-character-set=utf8mb4 "$@"; }
tick=$'\x60'
quoted() { printf '%s' "$tick${1//"$tick"/"$tick$tick"}$tick"; }
db=$(quoted "$schema")
# Whole: a table gets its name, which fails where somebody has made one meanwhile; a database loses its mark.
whole() {
  [[ ! $table ]] || mariadb <<<"RENAME TABLE $db.$(quoted "$staging") TO $db.$(quoted "$table")" || return 1
  [[ ! $created ]] || mariadb <<<"ALTER DATABASE $db COMMENT ''" || return 1
}
[[ ! $created ]] || mariadb <<<"CREATE DATABASE $db COMMENT '$half'"
if ! scratch | mariadb --binary-mode "$schema" || ! whole; then
  # Half of it is nothing: it was made here a moment ago, and nobody else has it.
  if [[ $created ]]; then undo="DROP DATABASE $db"; else undo="DROP TABLE IF EXISTS $db.$(quoted "$staging")"; fi
  mariadb <<<"$undo"
  fail "it could not be loaded, and what had been loaded is removed again"
fi
printf 'result=loaded\n'
