"""What a notebook is: as requested, as SageMaker shows it, and what the administrator allows."""
