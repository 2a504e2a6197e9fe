"""From the archive: the whole cluster, something beside it, and the drill."""
