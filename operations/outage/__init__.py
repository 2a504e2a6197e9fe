"""Ways out of an outage that the cluster does not leave by itself: `recover` and `survive`."""
