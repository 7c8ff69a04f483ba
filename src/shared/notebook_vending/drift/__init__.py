"""Notebooks that are no longer what was asked for, or that today's limits do not allow."""
