"""What the account has of a stack beside what its state knows: told, and cancelled."""
