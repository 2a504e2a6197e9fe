"""What a stack is made of: one component a file. Knows nothing of the lab."""
