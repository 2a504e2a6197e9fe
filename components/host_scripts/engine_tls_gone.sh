# shellcheck shell=bash
# shellcheck source=engine_renewed.sh
. engine_renewed.sh
hostname=fact tls_folder=fact tls_dropin=fact state=fact
# ---- hosts get what follows ----
if [[ -e $tls_dropin || -d $tls_folder ]]; then
  note_restart
  rm -f "$tls_dropin"
  rm -rf "$tls_folder"
  renew_engine "the engine's API is reached over SSH alone"
fi
