"""Fetching images ahead of the services that run them, while the swarm still forms.

Owns: the pull and its error. Leaves to others: which images, and running them.
"""

from __future__ import annotations

from collections.abc import Sequence

from components.commands.shell import assign


def pull(hostname: str, images: Sequence[str]) -> str:
    """Shell text that fetches `images`, three tries each; a tag that has moved is fetched anew."""
    return f"""
{assign(hostname=hostname, images=list(images))}
for image in "${{images[@]}}"; do
  started=$SECONDS
  for try in 1 2 3; do
    ! patiently "fetching $image" docker pull -q "$image" || continue 2
    (( SECONDS - started < 300 )) || break
    say "try $try for $image failed"
    sleep "$try"
  done
  fail "$hostname could not fetch $image (see above). Remedy: check the image's name and that its registry \\
answers the host (engine.registryMirrors, engine.insecureRegistries), then repeat"
done
"""
