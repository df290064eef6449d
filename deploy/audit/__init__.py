"""The audit: what must be true over all four schemas, proved from Postgres alone."""

from deploy.audit.report import Check, Report
from deploy.audit.running import audit

__all__ = ["Check", "Report", "audit"]
