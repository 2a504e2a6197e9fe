# shellcheck shell=bash
# SC2034: disk_main.sh reads what is set here. SC2154: and sets what is read here.
# shellcheck disable=SC2034,SC2154
# shellcheck source=disk_functions.sh
. disk_functions.sh
# shellcheck source=disk_crypt_functions.sh
. disk_crypt_functions.sh
hostname=fact mount=fact fstab=fact vg=fact lv=fact tag=fact crypt=fact mapper=fact noted=fact key=fact
# ---- hosts get what follows ----
# copy FUNCTION NAME: the function as it was, under another name.
copy() { eval "$2() $(declare -f "$1" | tail -n +2)"; }
copy find_disk find_blank_disk
copy refuse_data refuse_other_data
copy grow grow_volume

# find_disk: sets $disk to the open encrypted disk, which is made if there is none.
find_disk() {
  local now
  if [[ ! $luks ]]; then
    find_blank_disk
    # A run that was cut off while it made one has left half of it on a disk that was blank. Names of disks stay
    # what they are until the next boot.
    now="$disk $(</proc/sys/kernel/random/boot_id)"
    if [[ ! -e $noted || $(<"$noted") != "$now" ]]; then
      refuse_other_data "$disk"
      mkdir -p "${noted%/*}"
      printf '%s\n' "$now" >"$noted"
    fi
    # The key is random, and needs no function that makes guessing slow (which would take a GB of memory).
    printf '%s' "$key" | cryptsetup luksFormat -q --type luks2 --label "$tag-new" --cipher aes-xts-plain64 \
      --key-size 512 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file - "$disk" >&2 \
      || fail "$disk of $hostname could not be encrypted (see above). Remedy: look into the host's kernel log (dmesg), \
correct the cause, then repeat"
    rm -f "$noted"
    luks=$disk label=$tag-new
    say "$disk: encrypted (LUKS2)"
    open_crypt
  elif [[ $label != "$tag-new" ]]; then
    lost "the encrypted disk $luks holds no volume group $vg"
  fi
  disk=$mapper/$crypt
}

# refuse_data: what it holds was looked at before it was encrypted.
refuse_data() { :; }

grow() {
  printf '%s' "$key" | cryptsetup resize --key-file - "$crypt" \
    || fail "the encrypted disk of $hostname does not take the size of its device (see above). Remedy: repeat"
  grow_volume
}

export LVM_SUPPRESS_FD_WARNINGS=1
[[ $key ]] || fail "no key came for the disk of $hostname. Remedy: this is a bug, please report it"
group='' luks='' label='' opened=''
find_crypt
if [[ $luks ]]; then
  open_crypt
  [[ $opened ]] || fits || fail "the encrypted disk $luks of $hostname is open, and the key in the stack's state is not \
its own: after the next boot nobody could open it, and its data would be lost; nothing was changed. Remedy: the state \
of before, or the copy of its key (diskKeys); without either, have the host replaced before it boots (servers.replace; one of \
your own: unmount it, close it and clear it, if nothing on it is needed)"
  [[ ! $opened || $label == "$tag-new" ]] || mount_data
elif findmnt --mountpoint "$mount" >/dev/null || { look_for_ours; [[ $group ]]; }; then
  fail "the data disk of $hostname was prepared without encryption, and a disk with data is never formatted anew; \
nothing was changed. Remedy: have the hosts replaced one after the other (servers.replace; one of your own: take it \
out of servers.hosts, 'up', clear its disk, and name it again), or leave out servers.encryptedDisk"
fi
