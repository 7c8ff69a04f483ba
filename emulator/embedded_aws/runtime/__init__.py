"""How MiniStack serves a simulated service: requests, validated answers, roles, resource types."""
