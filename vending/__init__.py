"""The operator's command line: list, explain, answer, extend, end, delete orphans and check.

No part of it runs in Lambda.
"""
