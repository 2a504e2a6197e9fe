# shellcheck shell=bash
# shellcheck source=find_container.sh
. find_container.sh
service=fact timeline=fact number=1 memory=fact name=fact words=(fact fact)
# ---- hosts get what follows ----
# The private key comes on standard input and goes to the scratch server through a pipe: it is on no command line, in
# no environment and on no disk. The server's container has no network; the database's own one fetches for it.
key=$(cat)
image=$(docker inspect --format '{{.Config.Image}}' "$container")
docker rm -f -v "$name" >/dev/null 2>&1 || :
trap 'docker rm -f -v "$name" >/dev/null 2>&1 || :' EXIT
scratch() {
  { printf '%s\n\n' "$key"; docker exec "$container" galera-node restore send "$timeline" "$number"; } \
    | docker run --rm -i --name "$name" --network none --memory "$memory" --entrypoint galera-node "$image" \
      restore scratch "${words[@]}"
}
