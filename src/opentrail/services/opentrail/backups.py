"""CreateBackup: a copy of everything, made by the process that has it open.

Rules. Callers say nothing about where it goes: it lies below HOME, and whoever may read HOME takes it away. The answer
names it and holds nothing of it.
"""

import logging
from collections.abc import Mapping
from typing import Any

from opentrail.backup.snapshot import DISK_REFUSED, BackupUnderWay, NoSpaceForBackup, Snapshots
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.services.opentrail.operators import operators_only
from opentrail.services.operation import operation
from opentrail.state.database import Unit

log = logging.getLogger(__name__)


class BackupService:
    """The handler of CreateBackup."""

    def __init__(self, snapshots: Snapshots, operator_account_id: str) -> None:
        """``operator_account_id``: the account whose principals run this OpenTrail."""
        self._snapshots = snapshots
        self._operator_account_id = operator_account_id

    @operation("CreateBackup", writes=True)
    def create_backup(self, call: Call, _request: Mapping[str, Any], _unit: Unit) -> Mapping[str, Any]:
        """Make a copy below HOME; the unit is not begun before it is there, so that nobody waits for it."""
        operators_only(call, self._operator_account_id)
        try:
            made = self._snapshots.create()
        except BackupUnderWay as problem:
            raise ApiError("BackupInProgressException", str(problem)) from problem
        except NoSpaceForBackup as problem:
            raise ApiError("InsufficientSpaceException", str(problem)) from problem
        except DISK_REFUSED as problem:
            log.exception("the backup failed")
            raise ApiError("BackupFailedException", f"the backup failed: {problem}", status=500) from problem
        return {
            "Backup": {
                "BackupId": made.backup_id,
                "CreatedAt": made.created_at,
                "SizeBytes": made.size_bytes,
                "FileCount": len(made.files),
                "FirstSequence": made.sequences.first,
                "LastSequence": made.sequences.last,
            }
        }
