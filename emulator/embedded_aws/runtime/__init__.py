"""Framework for simulated services in MiniStack: requests, validation, roles, resource types."""
