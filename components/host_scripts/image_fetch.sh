# shellcheck shell=bash
# SC2034: `digest` is read by image_resolved.sh.
# shellcheck disable=SC2034
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact
# ---- hosts get what follows ----
pull() { docker pull "$1" 2>&1 | tee "$2"; }

# fetch REFERENCE: three tries; sets digest to what the registry said.
fetch() {
  local started=$SECONDS try said why
  said=$(mktemp)
  for try in 1 2 3; do
    if patiently "fetching $1" pull "$1" "$said"; then
      digest=$(sed -n 's/^Digest: //p' "$said")
      rm -f "$said"
      return
    fi
    why=$(tail -n 1 "$said")
    case $why in
      *'manifest unknown'*|*'name unknown'*|*'repository does not exist'*)
        fail "the registry has no $1, says the engine of $hostname. No service was changed. \
Remedy: give a tag or digest that it has, or push the image, then repeat" ;;
    esac
    (( SECONDS - started < 300 )) || break
    say "try $try for $1 failed"
    sleep "$try"
  done
  fail "$hostname could not fetch $1 (see above). No service was changed. Remedy: check the image's name and \
that its registry answers the host (engine.registryMirrors, engine.insecureRegistries), then repeat"
}
