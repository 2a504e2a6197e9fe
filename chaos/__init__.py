"""Faults in the hosts of a lab while clients write, and the judgement of what is there afterwards."""
