"""P4, memory flat in the number of accounts: peak of 300,000 accounts - peak of 7,481, at no latency."""

from tests.bench.frame import Line, Work, alternate, figure

MANY, FEW = 300_000, 7_481
MIB = 1024 * 1024


def run(pairs: int) -> list[Line]:
    many, few = alternate(pairs, Work(MANY, width=100).ark, Work(FEW, width=100).ark)
    grown = [(one.peak - other.peak) / MIB for one, other in zip(many, few, strict=True)]
    return [
        figure("P4", f"peak of {MANY:,} - peak of {FEW:,} accounts", grown, "MB", "<= 1"),
        figure("P4", f"  peak of {FEW:,} accounts", [it.peak / MIB for it in few], "MB"),
    ]
