"""Corrections of MiniStack where it differs from AWS, one module per subject."""
