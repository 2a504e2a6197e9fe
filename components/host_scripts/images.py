"""Fetching images ahead of the services that run them, and learning which content a tag stands for.

Owns: the pull and its errors, the reference with a digest. Leaves to others: which images, on which hosts and
when (components/pinned_images.py, components/docker_engine.py), and running them.
"""

from __future__ import annotations

from components.host_scripts.shell import assign

HUB = ("docker.io/", "index.docker.io/")
"""Ways to write a registry's name that engines leave out."""


def familiar(reference: str) -> str:
    """A reference as engines write it: without Docker Hub's own name.

    What is written otherwise would differ for ever from what the docker plugin finds.
    """
    for host in HUB:
        if reference.startswith(host):
            return reference.removeprefix(host).removeprefix("library/")
    return reference


def resolved(hostname: str, reference: str) -> str:
    """Shell text that fetches an image and prints its reference with the digest of what was fetched.

    Args:
        reference: with a tag, a digest, or both. One with a digest is printed as it is.
    """
    return f"{assign(hostname=hostname, reference=familiar(reference))}\n{_FETCH}\n{_RESOLVED}"


def present(hostname: str) -> str:
    """Shell text that has images there; reads their references, with digests, from its standard input.

    What is there already is not asked for at the registry.
    """
    return f"{assign(hostname=hostname)}\n{_FETCH}\n{_PRESENT}"


_FETCH = r"""
pull() { docker pull "$1" 2>&1 | tee "$2"; }

# fetch REFERENCE: three tries; sets digest to what the registry said.
fetch() {
  local started=$SECONDS try said why
  said=$(mktemp)
  for try in 1 2 3; do
    if patiently "fetching $1" pull "$1" "$said"; then
      digest=$(sed -n 's/^Digest: //p' "$said")
      rm -f "$said"
      return
    fi
    why=$(tail -n 1 "$said")
    case $why in
      *'manifest unknown'*|*'name unknown'*|*'repository does not exist'*)
        fail "the registry has no $1, says the engine of $hostname. No service was changed. \
Remedy: give a tag or digest that it has, or push the image, then repeat" ;;
    esac
    (( SECONDS - started < 300 )) || break
    say "try $try for $1 failed"
    sleep "$try"
  done
  fail "$hostname could not fetch $1 (see above). No service was changed. Remedy: check the image's name and \
that its registry answers the host (engine.registryMirrors, engine.insecureRegistries), then repeat"
}
""".strip()

_RESOLVED = r"""
fetch "$reference"
if [[ $reference != *@sha256:* ]]; then
  [[ $digest == sha256:* ]] || fail "the registry named no digest of $reference. \
Remedy: push the image to a registry of version 2, or give its digest in the settings, then repeat"
  reference+="@$digest"
fi
say "$reference"
printf '%s\n' "$reference"
""".strip()

_PRESENT = r"""
while read -r reference; do
  docker image inspect "$reference" >/dev/null 2>&1 || fetch "$reference"
done
""".strip()
