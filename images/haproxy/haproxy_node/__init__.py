"""Entrypoint of the haproxy image: hands HAProxy its settings, then becomes it."""
