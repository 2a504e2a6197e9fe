# shellcheck shell=bash
# SC2154: account.sh and account_way.sh have set these.
# shellcheck disable=SC2154
# shellcheck source=account.sh
. account.sh
database=fact user=fact way=fact granted=fact
# ---- hosts get what follows ----
patiently_asked "CREATE DATABASE IF NOT EXISTS \`$database\`;
CREATE USER IF NOT EXISTS '$user'@'%' $way;
ALTER USER '$user'@'%' $way;
GRANT ALL PRIVILEGES ON \`$granted\`.* TO '$user'@'%';"
say "database $database, account $user"
printf '%s\n' "$database"
