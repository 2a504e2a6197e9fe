"""SshKeyProvider (first commit: the class's name and place, for its importers)."""

from __future__ import annotations

from components.softlayer.provider import SoftLayerProvider


class SshKeyProvider(SoftLayerProvider):
    """See the resource of the same name."""
