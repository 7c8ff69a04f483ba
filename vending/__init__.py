"""The operator's tool: what became of a launch, as a page; nothing of it runs in Lambda."""
