"""What a request of CloudFormation is: read, kept in order in the ledger, answered once."""
