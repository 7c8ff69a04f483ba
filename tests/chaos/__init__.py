"""Random schedules against the whole platform: nothing lost, nothing leaked, one answer each."""
