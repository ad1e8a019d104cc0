"""IAM as boto3 sees it: a real client whose requests go through our protocol, checks and handlers, without a socket."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Catalogue
from opentrail.aws.protocols import protocol_of
from opentrail.aws.validate import check
from opentrail.clock import SystemEntropy
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity.directory import Directory
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.identity.store import Identities
from opentrail.services.iam import IamService
from opentrail.services.operation import handlers_of
from opentrail.state.database import Database
from opentrail.state.sealing import Seal

ACCOUNT = "123456789012"
OTHER = "210987654321"
_SESSION = boto3.session.Session(aws_access_key_id="AKIATEST", aws_secret_access_key="test")
START = datetime(2026, 11, 23, 12, tzinfo=UTC)


class SettableClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)


def root_of(account_id: str) -> Principal:
    """The account's root, as a caller."""
    return Principal(PrincipalType.ROOT, account_id, account_id, f"arn:aws:iam::{account_id}:root", "AKIAROOT")


class IamWorld:
    """Two accounts, an IAM service over an in-memory database, and boto3 clients for any caller."""

    served = "iam"

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.answers: list[Mapping[str, Any]] = []
        self.database = Database(None)
        self.database.create_tables()
        entropy = SystemEntropy()
        self.identities = Identities(self.database, Seal(b"k" * 32, entropy), entropy)
        with self.database.unit() as unit:
            for account_id in (ACCOUNT, OTHER):
                self.identities.create_account(unit, account_id, account_id, START)
        self.entropy = entropy
        self.service = Catalogue().service(self.served)
        self.wire = protocol_of(self.service)
        self.handlers = handlers_of(self.implementation())

    def implementation(self) -> object:
        """The service object whose handlers answer."""
        return IamService(self.identities, self.clock, self.entropy)

    @property
    def directory(self) -> Directory:
        """The directory that the service keeps up to date."""
        return self.identities.directory

    def client(self, caller: Principal | None = None, region: str = "us-east-1") -> Any:
        """A boto3 client that calls as somebody; by default as the first account's root."""
        who, name = caller or root_of(ACCOUNT), self.service.name
        client = _SESSION.client(name, region_name=region, config=Config(retries={"total_max_attempts": 1}))

        def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
            reply = self._answer(request, who, region)
            answer = AWSResponse(request.url, reply.status, dict(reply.headers), None)
            answer._content = reply.body
            return answer

        client.meta.events.register(f"before-send.{name}", send)
        return client

    def _answer(self, request: AWSPreparedRequest, who: Principal, region: str) -> Reply:
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        head = RequestHead("POST", "/", urlsplit(request.url).query, headers)
        body = request.body.encode() if isinstance(request.body, str) else bytes(request.body)
        try:
            operation = self.service.operation(self.wire.operation_name(self.service, head, body))
            parameters = self.wire.parse(operation, head, body)
            check(operation, parameters, error_code="ValidationError")
            call = replace(self.call(operation.name, who), operation=operation, parameters=parameters, region=region)
            self.authorise(call)
            handler = self.handlers[operation.name]
            if handler.writes:
                with self.database.unit() as unit:
                    result = handler.method(call, parameters, unit)
            else:
                result = handler.method(call, parameters)
            self.answers.append(result)
            return self.wire.serialise(operation, result, "request-1")
        except ApiError as error:
            return self.wire.serialise_error(self.service, error, "request-1")

    def authorise(self, call: Call) -> None:
        """Nothing is refused here; worlds of services whose resources have policies ask them."""

    def call(self, name: str, who: Principal) -> Call:
        """A call of that operation by somebody, now."""
        return Call(
            request_id="request-1",
            received_at=self.clock.now(),
            account_id=who.account_id,
            region="us-east-1",
            principal=who,
            event_source=self.service.event_source,
            event_name=name,
            read_only=not self.handlers[name].writes,
        )
