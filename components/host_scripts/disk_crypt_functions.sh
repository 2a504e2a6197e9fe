# shellcheck shell=bash
# SC2034: what the functions set is read by the texts behind them.
# shellcheck disable=SC2034
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact mount=fact fstab=fact vg=fact tag=fact crypt=fact mapper=fact daemon_json=fact key=fact
# ---- hosts get what follows ----
# find_crypt: sets $luks to our encrypted disk and $label to what it says of itself; or empty.
find_crypt() {
  local found each
  luks='' label=''
  for label in "$tag" "$tag-new"; do
    # Asked of the devices themselves: right after it was made, udev may not know it yet.
    found=$(blkid -c /dev/null -t "LABEL=$label" -o device) || :
    for each in $found; do
      cryptsetup isLuks --type luks2 "$each" || continue
      [[ ! $luks ]] || fail "$hostname has two encrypted disks of this program, $luks and $each; both were left as they \
are. Remedy: take the one away that is not its own, then repeat"
      luks=$each
    done
    [[ ! $luks ]] || return 0
  done
  label=''
}

# open_crypt: has $luks open as $crypt; sets $opened if it was not. The key goes through a pipe of the shell's own.
open_crypt() {
  local line device='' said
  opened=''
  if [[ -e $mapper/$crypt ]]; then
    while read -r line; do
      [[ $line != device:* ]] || read -r _ device <<<"$line"
    done < <(cryptsetup status "$crypt")
    [[ $device && ( $device == "$luks" || $device -ef $luks ) ]] || fail "$mapper/$crypt of $hostname is ${device:-something else}, not $luks; \
it was left as it is. Remedy: close it (cryptsetup close $crypt), then repeat"
    return 0
  fi
  said=$(printf '%s' "$key" | cryptsetup open --type luks2 --key-file - "$luks" "$crypt" 2>&1) \
    || fail "the encrypted disk $luks of $hostname is not opened by the key in the stack's state \
(${said:-no reason given}); nothing on it was changed. Remedy: the state of whoever has prepared it has the key \
(output diskKeys); without it the data is lost for good, and the host must be replaced"
  opened=1
  say "$luks: open"
}

# fits: whether the key opens it; changes nothing.
fits() { printf '%s' "$key" | cryptsetup open --test-passphrase --type luks2 --key-file - "$luks" >/dev/null 2>&1; }

# is_listed: whether the table mounts the data. Until it does, the disk is only being prepared.
is_listed() {
  local spec target
  while read -r spec target _ || [[ $spec ]]; do
    [[ ${target:-} != "$mount" || $spec == \#* ]] || return 0
  done <"$fstab"
  return 1
}

# is_within: whether what is mounted at $mount is on the open encrypted disk, and not beside it.
is_within() {
  local source below
  source=$(findmnt -n -o SOURCE --mountpoint "$mount") || return 1
  below=$(lsblk -n -r -s -o NAME "${source%%\[*}") || return 1
  [[ $'\n'$below$'\n' == *$'\n'$crypt$'\n'* ]]
}

# require_within: fails if the data is in plain although there is an encrypted disk.
require_within() {
  is_within || fail "what is mounted at $mount of $hostname is not on its encrypted disk $luks; it was left as it is. \
Remedy: see 'lsblk' on it: a volume group $vg of another disk is in the way (rename it, or take that disk away), then repeat"
}

# mount_data: once it is open, if the table has it. Systemd may do so at the same moment, as it has waited for it.
mount_data() {
  is_listed || return 0
  vgchange -q -a y "$vg" >/dev/null || fail "the volume group $vg of $hostname is not there (see above), though its \
disk is open. Remedy: look into the host's kernel log (dmesg), then repeat"
  findmnt --mountpoint "$mount" >/dev/null || mount "$mount" || findmnt --mountpoint "$mount" >/dev/null \
    || fail "$mount of $hostname could not be mounted (see above), though its disk is open; nothing on it was changed. \
Remedy: see its line in $fstab, and the host's kernel log (dmesg), then repeat"
}

# mount_others: what else of this file system the table mounts, like the path of the database's data.
mount_others() {
  local spec target
  while read -r spec target _ || [[ $spec ]]; do
    [[ $spec == "UUID=$1" && $target != "$mount" ]] || continue
    findmnt --mountpoint "$target" >/dev/null || mount "$target" \
      || fail "$target of $hostname could not be mounted (see above). Remedy: look into the host's kernel log \
(dmesg), then repeat"
  done <"$fstab"
}

# engine_waits: whether the engine was not started, for its disk was not there. One without its configuration does not
# wait for that: the system was only just made, and what configures it starts it.
engine_waits() {
  [[ -e $daemon_json ]] || return 1
  systemctl -q is-enabled docker.service 2>/dev/null && ! systemctl -q is-active docker.service
}

# never_ran: whether the engine has not run since the boot. One that did was stopped by somebody, who may want it so.
never_ran() { [[ $(systemctl show -p ActiveEnterTimestampMonotonic --value docker.service) == 0 ]]; }

# start_what_waits: has it run.
start_what_waits() {
  engine_waits || return 0
  systemctl reset-failed docker.service 2>/dev/null || :
  systemctl start docker.service || fail "the engine of $hostname does not start although its disk is there. \
Remedy: see 'journalctl -u docker' on it, then repeat"
  say "$hostname: engine started"
}
