# shellcheck shell=bash
# shellcheck source=image_fetch.sh
. image_fetch.sh
reference=fact
# ---- hosts get what follows ----
fetch "$reference"
if [[ $reference != *@sha256:* ]]; then
  [[ $digest == sha256:* ]] || fail "the registry named no digest of $reference. \
Remedy: push the image to a registry of version 2, or give its digest in the settings, then repeat"
  reference+="@$digest"
fi
say "$reference"
printf '%s\n' "$reference"
