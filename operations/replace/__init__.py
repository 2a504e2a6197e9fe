"""A host's server is cancelled and ordered anew: in one word, or because a setting names it."""
