"""The servers behind the lab's API: real Linux in user mode, or such as answer at once for tests."""
