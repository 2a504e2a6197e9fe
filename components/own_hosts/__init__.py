"""Hosts of one's own: reached over SSH, looked at before anything is touched, refused with one list."""
