"""What must hold of a stack, for `verify`: facts in, checks out."""
