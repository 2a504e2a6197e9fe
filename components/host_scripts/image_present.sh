# shellcheck shell=bash
# shellcheck source=image_fetch.sh
. image_fetch.sh
# ---- hosts get what follows ----
while read -r reference; do
  docker image inspect "$reference" >/dev/null 2>&1 || fetch "$reference"
done
