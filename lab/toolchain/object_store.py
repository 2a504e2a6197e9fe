"""versitygw, an S3 server over a folder (Apache-2.0): built from the Go module proxy, once for each content.

Owned here: the program's place in the cache, which holds it whole or not at all. Left to others: what it
serves (`lab/object_store.py`), how Pulumi is built (`build.py`), whose flags and environment it shares.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from lab.toolchain import build, locks, places
from lab.toolchain.stages import Step

MODULE = Path(__file__).parent / "versitygw"
PACKAGE = "github.com/versity/versitygw/cmd/versitygw"


def program() -> Path:
    """Where the built program is, or will be."""
    digest = hashlib.sha256(f"{places.machine()} {build.FLAGS} {PACKAGE}".encode())
    for name in ("go.mod", "go.sum"):
        digest.update((MODULE / name).read_bytes())
    return places.cache() / "object-store" / f"versitygw-{digest.hexdigest()[:16]}"


def ensure(step: Step) -> Path:
    """The program, built if it is not there. It takes one to two minutes the first time."""
    made = program()
    with locks.waited_for(
        made.parent / "lock", "the build of versitygw", lambda who: step.say(f"waiting for {who}")
    ):
        if made.is_file():
            step.result("in the cache")
            return made
        step.say("building versitygw, an S3 server, from the Go module proxy")
        draft = made.with_suffix(".draft")
        step.run(
            ["go", "build", "-v", *build.FLAGS, "-ldflags", "-s -w", "-o", draft, PACKAGE],
            cwd=MODULE,
            env=build.environment(),
        )
        draft.replace(made)
        step.result("built")
    return made
