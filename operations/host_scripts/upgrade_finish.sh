# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
# ---- hosts get what follows ----
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a NEEDRESTART_SUSPEND=
{ patiently "finishing an installation" dpkg --force-confold --configure -a \
  && patiently "mending dependencies" apt-get -q -y --no-remove -o Acquire::Retries=3 -o DPkg::Lock::Timeout=600 \
    -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -f install
} || fail "an installation that was broken off could not be finished (see above). Remedy: mend it there \
('dpkg --audit' names the packages), then repeat"
