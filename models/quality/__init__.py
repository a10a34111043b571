"""How good the data is: counts over charts that add up, a report over them, and what changed between two reports. Pure."""

from models.quality.measure import Measured, account, measure
from models.quality.parts import QualityReport
from models.quality.report import make_report
from models.quality.tally import Tally
from models.quality.trend import Alert, NotComparable, Trend, alerts, compare

__all__ = [
    "Alert",
    "Measured",
    "NotComparable",
    "QualityReport",
    "Tally",
    "Trend",
    "account",
    "alerts",
    "compare",
    "make_report",
    "measure",
]
