"""Work without a request: orphans, expiry, idle notebooks and the count of running ones."""
