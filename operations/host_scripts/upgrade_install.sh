# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
packages=(fact fact)
# ---- hosts get what follows ----
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a NEEDRESTART_SUSPEND=
# Named here, all would count as asked for by somebody, and no former kernel would ever go with `autoremove`.
names=("${packages[@]%%=*}") others=()
if asked=$(apt-mark showmanual "${names[@]}"); then
  for each in "${names[@]}"; do
    [[ $'\n'$asked$'\n' == *$'\n'"$each"$'\n'* ]] || others+=("$each")
  done
fi
# Just these versions, which were shown; and nothing goes for them.
patiently "installing ${#packages[@]} packages" apt-get -q -y --no-remove --no-install-recommends \
  -o Acquire::Retries=3 -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
  install "${packages[@]}" || fail "the packages could not be installed (see above). Remedy: 'dpkg --configure -a' \
and 'apt-get -f install' on that host, then repeat"
(( ! ${#others[@]} )) || apt-mark auto "${others[@]}" >/dev/null \
  || say "that nobody has asked for ${others[*]} could not be noted (see above)"
