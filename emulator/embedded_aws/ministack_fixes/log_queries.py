"""CloudWatch Logs Insights: StartQuery runs a query completely or rejects it.

MiniStack ignores every unknown command and condition of a query.
"""

import json
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import cloudwatch_logs

from embedded_aws.ministack_fixes import insights

_ministack_start = cloudwatch_logs._start_query
_LIMIT = 10_000  # user guide, "limit": the default


def install() -> None:
    """Install the wrapper."""
    taken = _ministack_start.__code__.co_names
    assert "_insights_filter_predicates" in taken, taken
    assert _ministack_start.__code__.co_varnames[0] == "data"
    cloudwatch_logs._start_query = _start_query


def _start_query(data: dict[str, Any]) -> Any:
    answer = _ministack_start(data)
    if answer[0] != 200:
        return answer
    query_id = json.loads(answer[2])["queryId"]
    query = cloudwatch_logs._queries[query_id]
    groups = cloudwatch_logs._resolve_query_log_groups(data)
    records = cloudwatch_logs._collect_query_records(groups, query["startTime"], query["endTime"])
    rows = [
        insights.row(record["@message"]) | cloudwatch_logs._public_log_record(record)
        for record in records
    ]
    try:
        found = insights.run(query["queryString"], rows)
    except insights.QueryError as error:
        del cloudwatch_logs._queries[query_id]
        return error_response_json("MalformedQueryException", str(error), 400)
    query["results"] = [
        [{"field": name, "value": _text(value)} for name, value in row.items()]
        for row in found[: data.get("limit", _LIMIT)]
    ]
    query["statistics"]["recordsMatched"] = float(len(found))
    return answer


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
