"""Notebooks: as requested, as SageMaker shows them, and the administrator's limits."""
