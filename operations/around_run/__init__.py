"""What comes before, beside and after a run of Pulumi."""
