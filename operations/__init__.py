"""What a person does around Pulumi: up, verify, audit, destroy. Knows nothing of the lab."""
