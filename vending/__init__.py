"""The operator's command line: what there is, what became of it, and what to do about it.

Nothing of it runs in Lambda.
"""
