"""Random schedules against the whole platform: no loss, no leak, one answer for each request."""
