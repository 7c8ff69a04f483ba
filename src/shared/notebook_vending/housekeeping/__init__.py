"""Work without a launcher: orphans, expiry, idle notebooks, what runs."""
