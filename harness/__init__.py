"""What tests and benches run the program on without hosts: a lab's API in the process, stacks, namespaces."""
