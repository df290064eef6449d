"""Backup and restore: the database as it was at one moment, with what was on the bus in that moment."""

from deploy.backup.restoring import is_elsewhere, restore
from deploy.backup.taking import take

__all__ = ["is_elsewhere", "restore", "take"]
