"""What each run planned and what became of it: runs, their units, and the next jobs they trigger.

SQLite under ARK_HOME, or MySQL, so that any machine can take up a run:

records    the values that go in and come out      tables     the tables, and the two statements that run per unit
units      reading, counting and folding units     database   engine, transactions, foreign errors
ledger     `Ledger`, what everyone uses
"""

from ark.ledger.ledger import Ledger, open_ledger
from ark.ledger.records import (
    FAILED,
    OPEN,
    AlreadyRunError,
    Figures,
    NewRun,
    Run,
    Trigger,
    UnitKey,
    UnitResult,
)

__all__ = [
    "FAILED",
    "OPEN",
    "AlreadyRunError",
    "Figures",
    "Ledger",
    "NewRun",
    "Run",
    "Trigger",
    "UnitKey",
    "UnitResult",
    "open_ledger",
]
