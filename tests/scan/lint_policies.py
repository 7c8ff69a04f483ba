"""Lints the policies that it reads. The Python of .scan-venv runs it, which has parliament.

It does not use parliament's own command, which logs every policy to a file outside the checkout.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from parliament import analyze_policy_string, enhance_finding


def findings(name: str, document: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the policy's name, the rule, its message and its place in the policy."""
    for finding in analyze_policy_string(json.dumps(document)).findings:
        several = finding.detail if isinstance(finding.detail, list) else [finding.detail]
        for each in several:
            yield name, finding.issue, enhance_finding(finding).title, str(each)


if __name__ == "__main__":
    given = json.load(sys.stdin)
    # The linter checks an action with a wildcard once for each action that it matches.
    json.dump(sorted({f for n, d in given.items() for f in findings(n, d)}), sys.stdout)
