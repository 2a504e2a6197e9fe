# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
packages=(fact fact)
# ---- hosts get what follows ----
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a NEEDRESTART_SUSPEND=
# Just these versions, which were shown; and nothing goes for them.
patiently "installing ${#packages[@]} packages" apt-get -q -y --no-remove --no-install-recommends \
  -o Acquire::Retries=3 -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
  install "${packages[@]}" || fail "the packages could not be installed (see above). Remedy: 'dpkg --configure -a' \
and 'apt-get -f install' on that host, then repeat"
