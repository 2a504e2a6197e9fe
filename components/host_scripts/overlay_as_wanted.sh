# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
name=fact subnet=fact
# ---- hosts get what follows ----
found=$(docker network inspect --format '{{range .IPAM.Config}}{{.Subnet}}{{end}}' "$name")
[[ $found == "$subnet" ]] || fail "the network $name has the subnet $found, not $subnet. The state of this \
stack is of an earlier version and did not tell that the subnet changes. No service was changed. Remedy: \
leave network.subnet as it was, $found; or take one that is neither, whose change is seen"
