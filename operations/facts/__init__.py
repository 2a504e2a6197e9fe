"""What hosts are asked for, and how their answers read."""
