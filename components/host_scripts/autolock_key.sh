# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
rotate=fact
# ---- hosts get what follows ----
tries=0 before='' replaced=''
# Just turned on, there may be none yet for a moment.
until before=$(docker swarm unlock-key -q 2>/dev/null) && [[ $before == SWMKEY-* ]]; do
  tries=$((tries + 1))
  (( tries < 10 )) || fail "the swarm does not tell its unlock key: $(docker swarm unlock-key -q 2>&1 >/dev/null || :). \
Remedy: bring a majority of the managers back ('verify' says what is amiss), then repeat"
  sleep 2
done
now=$before
if [[ $rotate ]]; then
  now=$(docker swarm unlock-key --rotate -q) || fail "the swarm does not rotate its unlock key (see above). \
Remedy: bring a majority of the managers back ('verify' says what is amiss), then repeat"
  [[ $now == SWMKEY-* && $now != "$before" ]] || fail "the swarm has rotated its unlock key and tells no other one. \
Remedy: repeat"
  replaced=$before
  say "the unlock key was rotated: a manager that is down needs the former one until it has been up"
fi
printf '{"key":"%s","replaced":"%s"}\n' "$now" "$replaced"
