"""What hosts run: `.sh` files, and the facts that they are given. Imports no Pulumi."""
