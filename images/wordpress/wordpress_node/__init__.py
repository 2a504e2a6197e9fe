"""Entrypoint of the wordpress image: looks at what it is told, then becomes Apache."""
