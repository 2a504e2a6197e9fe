"""What tests and benches run on: a lab's API in the process, stacks, the images' processes; a cluster of a lab."""
