"""What each run planned and what became of it: runs, their units, and the next jobs they trigger.

SQLite under ARK_HOME, or MySQL, so that any machine can take up a run:

records    the values that go in and come out      tables     the tables, and the two statements that run per unit
units      reading, counting and folding units     database   engine, transactions, foreign errors
leases     who works on which job               intents    what follows a run
runs       one run, read                        ledger     `Ledger`, what everyone uses
"""

from ark.ledger.leases import LeaseHeldError, LeaseLostError
from ark.ledger.ledger import Ledger, open_ledger
from ark.ledger.records import (
    FAILED,
    FINISHED,
    OPEN,
    AlreadyRunError,
    Figures,
    NewRun,
    NextJob,
    Run,
    Trigger,
    UnitKey,
    UnitResult,
)

__all__ = [
    "FAILED",
    "FINISHED",
    "OPEN",
    "AlreadyRunError",
    "Figures",
    "LeaseHeldError",
    "LeaseLostError",
    "Ledger",
    "NewRun",
    "NextJob",
    "Run",
    "Trigger",
    "UnitKey",
    "UnitResult",
    "open_ledger",
]
