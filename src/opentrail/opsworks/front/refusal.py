"""How the door says no: a status, and the JSON object that Chef clients show their users."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from opentrail.aws.http import Reply

JSON_TYPE = {"content-type": "application/json"}


class ChefRefusal(Exception):
    """A request that is not passed on to the engine."""

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        *,
        body: Mapping[str, Any] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        """``body`` replaces Chef's usual ``{"error": [message]}``."""
        super().__init__(message)
        self.status = status
        self._body = {"error": [message]} if body is None else dict(body)
        self._headers = JSON_TYPE | ({} if retry_after_s is None else {"retry-after": str(retry_after_s)})

    def reply(self) -> Reply:
        """The refusal as an answer."""
        return Reply(int(self.status), self._headers, json.dumps(self._body).encode("utf-8"))
