"""P7, big answers: every row stored in the embedded table / the bare pool that decodes the same bodies and drops them.

667 accounts under the three time lines of a report: 2,001 calls of 100 rows.
"""

import json

from tests.bench.frame import Line, Work, alternate, figure, ratio
from tests.bench.server import DATE

TIME_LINES = ("REQUEST_TIME", "REPORTING_TIME", "ACTIVE_TIME")
QUERY = {
    "level": "REPORT_LEVEL_AD",
    "date_range": json.dumps({"start_date": DATE, "end_date": DATE}),
    "group_by": json.dumps(["date", "ad_id"]),
    "fields": json.dumps(["account_id", "campaign_id", "adgroup_id", "ad_id", "view_count", "cost", "date"]),
    "page": "1",
    "page_size": "1000",
}
WORK = Work(
    accounts=667,
    width=50,
    latency=0.05,
    rows=100,
    interface="gdt.daily_report_ad",
    path="daily_reports/get",
    queries=[QUERY | {"time_line": time_line} for time_line in TIME_LINES],
    output="HBASE",
)


def run(pairs: int) -> list[Line]:
    ark, bare = alternate(pairs, WORK.ark, WORK.bare)
    return [
        ratio("P7", "wall of 2,001 calls x 100 rows", [it.wall for it in ark], [it.wall for it in bare], "<= 1.5"),
        ratio("P7", "CPU", [it.cpu for it in ark], [it.cpu for it in bare]),
        figure("P7", "  Ark's wall", [it.wall for it in ark], "s"),
        figure("P7", "  bare pool's wall", [it.wall for it in bare], "s"),
        figure("P7", "  Ark's CPU", [it.cpu for it in ark], "s"),
    ]
