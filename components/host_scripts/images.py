"""Fetching images ahead of the services that run them, and learning which content a tag stands for.

Owns: the pull and its errors, the reference with a digest. Leaves to others: which images, on which hosts and
when (components/pinned_images.py, components/docker_engine.py), and running them.
"""

from __future__ import annotations

from components.host_scripts.shell import HERE, assign, body

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


def resolved(reference: str) -> str:
    """Shell text that fetches an image and prints its reference with the digest of what was fetched.

    Args:
        reference: with a tag, a digest, or both. One with a digest is printed as it is.
    """
    return f"{HERE}\n{assign(reference=familiar(reference))}\n{_FETCH}\n{_RESOLVED}"


def present(hostname: str) -> str:
    """Shell text that has images there; reads their references, with digests, from its standard input.

    What is there already is not asked for at the registry.
    """
    return f"{assign(hostname=hostname)}\n{_FETCH}\n{_PRESENT}"


_FETCH = body("image_fetch")

_RESOLVED = body("image_resolved")

_PRESENT = body("image_present")
