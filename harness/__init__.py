"""What tests and benches run on without hosts: a lab's API in the process, stacks, the images' processes."""
