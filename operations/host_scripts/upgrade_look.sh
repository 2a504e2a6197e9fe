# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
# ---- hosts get what follows ----
command -v apt-get >/dev/null || fail "this host has no apt-get: bring its packages up to date by hand"
patiently "fetching lists of packages" apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=600 update \
  || fail "the lists of packages could not be fetched (see above)"
# What is half there, as after a power cut amid an installation: apt may then say nothing else.
half=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' \
  | sed -nE 's/^(half-installed|unpacked|half-configured) //p' | tr '\n' ' ') || half=''
[[ $half || ! $(compgen -G '/var/lib/dpkg/updates/[0-9]*') ]] || half="dpkg's own notes"
[[ ! $half ]] || printf 'half\t%s\n' "$half"
updates=$(apt-get -s -q --with-new-pkgs -o Debug::NoLocking=true upgrade) || updates=''
[[ $updates || $half ]] || fail "apt does not say what there is to be updated (see above)"
while IFS= read -r line; do
  [[ $line != Inst\ * ]] || printf 'install\t%s\n' "$line"
done <<<"$updates"
printf 'boot\t%s\n' "$(</proc/sys/kernel/random/boot_id)"
# Why it must be rebooted for what is installed already.
[[ ! -e /run/reboot-required && ! -e /var/run/reboot-required ]] || printf 'reboot\t%s\n' "a package asks for it"
newest=''
[[ ! -e /vmlinuz ]] || newest=$(readlink -f /vmlinuz)
if [[ $newest && ${newest##*/vmlinuz-} != "$(uname -r)" ]]; then
  printf 'reboot\t%s\n' "kernel ${newest##*/vmlinuz-} is installed, $(uname -r) runs"
fi
if grep -qE '/(libc[.-]|libsystemd|systemd).*\(deleted\)' /proc/1/maps 2>/dev/null; then
  printf 'reboot\t%s\n' "the first process has a C library or a systemd that was replaced"
fi
if command -v needrestart >/dev/null; then
  kernel=$(needrestart -b -k 2>/dev/null | sed -n 's/^NEEDRESTART-KSTA: *//p') || kernel=''
  [[ $kernel != [23] ]] || printf 'reboot\t%s\n' "needrestart: the kernel is out of date"
fi
engine=$(pidof -s dockerd) || engine=''
if [[ $engine && $(readlink "/proc/$engine/exe") == *"(deleted)" ]]; then
  printf 'restart\t%s\n' "the engine that runs was replaced"
fi
