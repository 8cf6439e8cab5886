"""Reports that gdt makes on the side: ordered, waited for, fetched as a file."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from media.simulator import gdt_params as params
from media.simulator.answers import Call
from media.simulator.gdt_desk import Desk, Page, Record, page_of
from media.simulator.gdt_params import RefusedError
from media.simulator.gdt_reports import Query
from media.simulator.world import Agent

MOST_TASKS = 1000
"""Tasks remembered; the oldest is forgotten."""
KINDS = {"DAILY": "daily_reports/get", "HOURLY": "hourly_reports/get"}

Reported = Callable[[Query, tuple[str, ...], float], Iterable[Record]]


class _Order(msgspec.Struct):
    account_id: int
    task_name: str
    level: str
    report_fields: list[str]
    date: str
    granularity: Literal["DAILY", "HOURLY"] = "DAILY"
    group_by: list[str] | None = None
    time_line: str = "REQUEST_TIME"

    def query(self) -> dict[str, str]:
        """The same order as the parameters of a report."""
        groups = {"group_by": _text(self.group_by)} if self.group_by else {}
        days = _text({"start_date": self.date, "end_date": self.date})
        return {"level": self.level, "date_range": days, "time_line": self.time_line, **groups}


class Task(NamedTuple):
    """One report that was ordered; its file has the id after its own."""

    id: int
    name: str
    account: str
    query: Query
    fields: tuple[str, ...]
    made: float

    def told(self, *, done: bool) -> Record:
        """Its row in async_reports/get; the result is an envelope of its own."""
        result = {"code": 0, "message": "", "data": {"file_info_list": [{"file_id": self.id + 1}]}}
        return {
            "task_id": self.id,
            "task_name": self.name,
            "status": "TASK_STATUS_COMPLETED" if done else "TASK_STATUS_PROCESSING",
            "created_time": int(self.made),
            **({"result": result} if done else {}),
        }


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


class Tasks:
    """The tasks of one scenario. `asked` reads the parameters of a report, `reported` makes its rows."""

    def __init__(self, desk: Desk, asked: Callable[[Call, str, Agent], Query], reported: Reported, wait: float) -> None:
        self._desk = desk
        self._asked = asked
        self._reported = reported
        self._wait = wait
        self.made: dict[int, Task] = {}
        self.served: Mapping[str, Callable[[Call, Agent], Page | bytes]] = {
            "async_reports/add": self.add,
            "async_reports/get": self.get,
            "async_report_files/get": self.file,
        }

    def add(self, call: Call, agent: Agent) -> Page:
        """Order a report; the account stands in the body."""
        try:
            order = msgspec.json.decode(call.body, type=_Order)
        except msgspec.ValidationError as error:
            raise RefusedError(params.WRONG_TYPE, str(error)) from None
        except msgspec.DecodeError:
            raise RefusedError(12003, "the body is not valid JSON") from None
        account = self._desk.own(str(order.account_id), agent)
        asked = call._replace(interface=KINDS[order.granularity], query=order.query())
        fields = params.fields(_text(order.report_fields), asked.interface)
        number = max(self.made, default=69) + 2
        self.made[number] = Task(
            number, order.task_name, account, self._asked(asked, account, agent), fields, call.now
        )  # fmt: skip
        if len(self.made) > MOST_TASKS:
            del self.made[min(self.made)]
        return Page(None, {"task_id": number})

    def get(self, call: Call, agent: Agent) -> Page:
        """The tasks of one account, the newest first."""
        account = self._desk.own(params.required(call.query, "account_id"), agent)
        rows = [task.told(done=self._done(task, call.now)) for task in self.made.values() if task.account == account]
        return page_of(call, rows[::-1])

    def file(self, call: Call, agent: Agent) -> bytes:
        """The rows of a task that is done, as CSV."""
        query = call.query
        account = self._desk.own(params.required(query, "account_id"), agent)
        task = self.made.get(params.number(query, "task_id", 0, 1 << 53))
        right = task and task.account == account and query.get("file_id") == str(task.id + 1)
        if not task or not right or not self._done(task, call.now):
            raise RefusedError(params.NOT_IN_ENUM, "task_id and file_id name no file of this account")
        text = io.StringIO()
        lines = csv.DictWriter(text, task.fields, lineterminator="\n")
        lines.writeheader()
        lines.writerows(self._reported(task.query, task.fields, call.now))
        return text.getvalue().encode()

    def _done(self, task: Task, now: float) -> bool:
        return now >= task.made + self._wait
