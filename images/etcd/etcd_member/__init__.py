"""Entrypoint of the etcd image: decides how a member starts, then becomes etcd."""
