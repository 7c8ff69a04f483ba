"""A simulator of AWS Systems Manager Automation: its documents, and what runs them."""
