# shellcheck shell=bash
# SC2162: meant so: a line that goes on on the next one is read as one. SC2174: only the folder itself is secret.
# shellcheck disable=SC2162,SC2174
# shellcheck source=engine_start.sh
. engine_start.sh
# shellcheck source=engine_renewed.sh
. engine_renewed.sh
hostname=fact tls_folder=fact tls_dropin=fact tls_port=1 state=fact
# ---- hosts get what follows ----
# pem: sets $pem to the next of the texts on standard input, each of which ends with a line of one dot.
pem() {
  local line
  pem=''
  while IFS= read -r line && [[ $line != . ]]; do pem+=$line$'\n'; done
  pem=${pem%$'\n'}
  [[ $pem ]] || fail "the certificate or key of the engine of $hostname has not come through. Remedy: repeat"
}
# Noted before it is written: a run that is broken off in between leaves the restart to the next.
keep() {
  [[ -f $1 && $(<"$1") == "$2" ]] && return
  note_restart
  write_file "$1" "$2"
}
# engine_start_line: sets $starts to how the unit starts the engine, without what is added here.
engine_start_line() {
  local line here=1
  starts=''
  while IFS= read line; do
    case $line in
      "# $tls_dropin") here=0 ;;
      '# /'*) here=1 ;;
      ExecStart=*) (( ! here )) || starts=${line#ExecStart=} ;;
    esac
  done < <(systemctl cat docker.service)
  [[ $starts ]] || fail "the unit docker.service of $hostname does not say how the engine is started. Remedy: \
see 'systemctl cat docker.service' on it, correct it, then repeat"
  # What is added takes the place of the engine's own choice, where the unit leaves that to it.
  [[ " $starts" == *" -H"* || $starts == *--host* ]] || starts+=" --host=unix:///var/run/docker.sock"
}
IFS= read -r address || :
own=$(ip -4 -o address show)
[[ $own == *" inet $address/"* ]] || fail "the engine of $hostname can't listen on $address: that is none of its \
own addresses. Remedy: have SSH use one that is (ssh.address; of a host of your own, sshHost), or leave \
engine.access out"
engine_start_line
[[ -d $tls_folder ]] || mkdir -p -m 700 "$tls_folder"
umask 077
pem
keep "$tls_folder/ca.pem" "$pem"
pem
keep "$tls_folder/cert.pem" "$pem"
pem
keep "$tls_folder/key.pem" "$pem"
umask 022
# In one line and one file: without its certificates the engine does not start, and never listens without TLS.
keep "$tls_dropin" "# Written by swarm-galera: the engine's API, for whoever has a certificate of the stack.
[Unit]
# The address may come later than the engine.
StartLimitIntervalSec=0
[Service]
ExecStart=
ExecStart=$starts --host=tcp://$address:$tls_port --tlsverify --tlscacert=$tls_folder/ca.pem \
--tlscert=$tls_folder/cert.pem --tlskey=$tls_folder/key.pem"
renew_engine "the engine's API listens on $address:$tls_port with TLS"
