"""A SoftLayer of one's own on one machine: its API, hosts, plugins and toolchain. Imports no component."""
