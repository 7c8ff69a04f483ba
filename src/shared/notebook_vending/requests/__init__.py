"""CloudFormation's requests: parsed, kept in order in the ledger, and answered once."""
