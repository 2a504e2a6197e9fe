# shellcheck shell=bash
# shellcheck source=leftovers_gone.sh
. leftovers_gone.sh
# ---- hosts get what follows ----
for stray in "${strays[@]}"; do
  docker network rm "${stray%% *}" >/dev/null
  printf 'removed the network %s\n' "${stray#* }"
done
