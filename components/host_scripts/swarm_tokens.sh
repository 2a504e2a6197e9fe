# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
rotate=fact
# ---- hosts get what follows ----
# token ROLE: prints the token, another one if it is to be rotated. Another change of the swarm in between makes the
# engine refuse ours.
token() {
  local tries=0 said words=(-q "$1")
  [[ ! $rotate ]] || words=(--rotate "${words[@]}")
  until said=$(docker swarm join-token "${words[@]}" 2>&1) && [[ $said == SWMTKN-* ]]; do
    tries=$((tries + 1))
    (( tries < 10 )) || fail "the swarm does not tell its join token of a $1${rotate:+ after its rotation}: \
${said/SWMTKN-*/…}. Remedy: bring a majority of the managers back ('verify' says what is amiss), then repeat"
    sleep 2
  done
  printf '%s' "$said"
}
manager=$(token manager)
worker=$(token worker)
[[ ! $rotate ]] || say "the join tokens were rotated: with the former ones nobody joins any more"
printf '{"manager":"%s","worker":"%s"}\n' "$manager" "$worker"
