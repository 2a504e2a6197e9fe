"""SoftLayer as dynamic providers: what is ordered, found again, changed, waited for and cancelled."""
