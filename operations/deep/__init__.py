"""Whether all nodes hold the same, compared at one position of the replication."""
