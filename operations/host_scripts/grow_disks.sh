# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
hostname=fact mount=fact sys=fact
# ---- hosts get what follows ----
findmnt --mountpoint "$mount" >/dev/null || fail "nothing is mounted at $mount on $hostname: its disk is not one \
that this program has prepared, or is not there"
# A disk that was grown while the host runs: virtual SCSI disks say so only when they are asked.
for each in "$sys"/class/block/*/device/rescan; do
  [[ ! -w $each ]] || echo 1 >"$each" 2>/dev/null || :
done
