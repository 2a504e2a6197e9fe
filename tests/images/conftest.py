"""What the files on Galera's processes share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.images.galera_site import GaleraSite
from tests.images.image_roots import image_root


@pytest.fixture
def site() -> Iterator[GaleraSite]:
    """A site of the images as they are now."""
    with GaleraSite({name: image_root(name) for name in ("etcd", "galera")}) as made:
        yield made
