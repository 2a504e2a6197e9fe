"""Managers and data disks that are locked since a boot, and waiting for what runs there."""
