# shellcheck shell=bash
# SC2016: what is in single quotes is for the container.
# shellcheck disable=SC2016
# shellcheck source=client_container.sh
. client_container.sh
addresses=(fact fact) asked=(fact fact) sql=fact patience=1 hangs=1
# ---- hosts get what follows ----
# PORT=TIMES in `asked`: all hosts and ports at a time. One that has not answered in time is not asked again: what
# hangs would hang each time, while a refusal is told at once and may be another the next time.
in_client '
  sql=$1 patience=$2 limit=$(($2 + 2)) hangs=$3 asked=$4; shift 4
  for host; do
    for each in $asked; do
      (port=${each%=*} left=${each#*=}
      while (( left-- )); do
        began=$SECONDS
        if said=$(connect --connect-timeout="$patience" -NB --execute="$sql" 2>&1); then
          printf "%s\t%s\t%s\n" "$host" "$port" "$said"
        else
          said=${said:-no answer within $limit s}
          printf "%s\t%s\terror\t%s\n" "$host" "$port" "${said//$'"'\n'"'/ }"
          (( SECONDS - began < hangs )) || break
        fi
      done) &
    done
  done
  wait' "$sql" "$patience" "$hangs" "${asked[*]}" "${addresses[@]}"
