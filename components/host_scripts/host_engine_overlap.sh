# shellcheck shell=bash
# SC2043: the placeholder stands for several words.
# shellcheck disable=SC2043
# shellcheck source=prologue.sh
. prologue.sh
# ---- hosts get what follows ----
refuse_engine_overlap() {
  local entry network first last setting destination rest length from size
  local hostname=@hostname@
  while read -r destination rest; do
    [[ $destination =~ ^([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+)(/([0-9]+))?$ ]] || continue
    [[ " $rest " != *" dev docker"* ]] || continue
    length=${BASH_REMATCH[6]:-32}
    from=$(( BASH_REMATCH[1] << 24 | BASH_REMATCH[2] << 16 | BASH_REMATCH[3] << 8 | BASH_REMATCH[4] ))
    size=$(( 1 << (32 - length) ))
    for entry in @taken@; do
      IFS='=' read -r network first last setting <<<"$entry"
      [[ " $rest " != *" via "* ]] || (( length >= ${network#*/} )) || continue
      if (( from <= last && from + size - 1 >= first )); then
        fail "the engine's network $network overlaps $destination, which $hostname reaches by '$rest'. \
Remedy: set $setting to a private network that no host routes, like 172.28.0.0/16"
      fi
    done
  done < <(ip -4 route show)
}
