"""The doctor: what waits for longer than it should, why, and who does something about it."""

from deploy.doctor.case import Case, Finding, Letter, Whose
from deploy.doctor.diagnosis import while_stopped
from deploy.doctor.visiting import visit

__all__ = ["Case", "Finding", "Letter", "Whose", "visit", "while_stopped"]
