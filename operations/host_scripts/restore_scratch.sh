# shellcheck shell=bash
# shellcheck source=find_container.sh
. find_container.sh
service=fact timeline=fact number=1 memory=fact name=fact words=(fact fact)
# ---- hosts get what follows ----
# The private key comes on standard input and goes to the scratch server through a pipe: it is on no command line, in
# no environment and on no disk. The server's container has no network; the database's own one fetches for it.
key=$(cat)
# One at a time: it has its share of the memory beside a database that serves. What an engine or a host that was killed
# has left of earlier ones goes.
while read -r other state; do
  [[ $other ]] || continue
  [[ $state != running ]] || fail "a scratch server works on this host already ($other). Wait for its end, or name another \
node (--node); if its command was broken off, end it: docker rm -f -v $other"
  docker rm -f -v "$other" >/dev/null 2>&1 || :
done <<<"$(docker container ls -a --filter label=swarm-galera.scratch --format '{{.Names}} {{.State}}')"
image=$(docker inspect --format '{{.Config.Image}}' "$container")
trap 'docker rm -f -v "$name" >/dev/null 2>&1 || :' EXIT
scratch() {
  { printf '%s\n\n' "$key"; docker exec "$container" galera-node restore send "$timeline" "$number"; } \
    | docker run --rm -i --name "$name" --label swarm-galera.scratch --no-healthcheck --network none \
      --memory "$memory" --entrypoint galera-node "$image" restore scratch "${words[@]}"
}
