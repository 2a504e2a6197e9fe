# shellcheck shell=bash
# SC2016: what is in single quotes is for the shell that `timeout` may end.
# shellcheck disable=SC2016
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
address=fact port=1 asked=1 patience=1
# ---- hosts get what follows ----
# One line a request: `answer` and the first line of what came, or `failed` and why.
for ((n = 0; n < asked; n++)); do
  code=0
  said=$(timeout "$patience" bash -c '
    exec 3<>"/dev/tcp/$1/$2" || exit 1
    printf "GET / HTTP/1.0\r\nHost: %s:%s\r\n\r\n" "$1" "$2" >&3
    IFS= read -r line <&3 || { echo "no answer"; exit 1; }
    printf "%s\n" "${line%$'"'\r'"'}"' bash "$address" "$port" 2>&1) || code=$?
  if (( code == 124 )); then printf 'failed\tno answer within %s s\n' "$patience"
  elif (( code )); then printf 'failed\t%s\n' "${said##*: }"
  else printf 'answer\t%s\n' "$said"; fi
done
