# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
os_release=fact state=fact hostname=fact known=fact
# ---- hosts get what follows ----
need() { type -P "$2" >/dev/null || packages+=("$1"); }
late() { type -P "$2" >/dev/null || missing+=("$1" "$2"); }
install_packages() {
  (( ${#packages[@]} )) || return 0
  say "installing ${packages[*]}"
  patiently "installing packages" "${install[@]}" "${packages[@]}" || fail "the packages \
${packages[*]} could not be installed on $hostname (see above). \
Remedy: check its package sources, then repeat"
}
ID='' ID_LIKE='' packages=() missing=() refresh=() install=() repository=() family=''
. "$os_release"
for id in $ID $ID_LIKE; do
  case $id in
# @cases@
  esac
done
[[ $family ]] || fail "$hostname runs '${ID:-an unknown system}', and this program installs packages on: \
$known. Remedy: choose another servers.os, or add the family to components/host_scripts/packages.py"
if (( ${#packages[@]} + ${#missing[@]} )); then
  [[ -d $state ]] || mkdir -p "$state"
  exec {turn}>"$state/packages.lock"
  patiently "waiting for another installation" flock "$turn"
  if (( ${#repository[@]} )) && [[ ! -e ${repository[0]} ]]; then
    write_file "${repository[0]}" "${repository[1]}"
  fi
  if (( ${#refresh[@]} )) && [[ ! -e $state/packages.refreshed ]]; then
    patiently "fetching package lists" "${refresh[@]}" || fail "the package lists could not be fetched on \
$hostname (see above). Remedy: check the host's package sources and its way to them, then repeat"
    : >"$state/packages.refreshed"
  fi
  install_packages
  packages=()
  for (( i = 0; i < ${#missing[@]}; i += 2 )); do need "${missing[i]}" "${missing[i + 1]}"; done
  install_packages
  exec {turn}>&-
fi
