"""What tests and benches run on: a lab's API in the process, stacks, image processes, a lab's cluster."""
