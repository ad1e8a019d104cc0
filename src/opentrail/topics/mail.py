"""Deliveries by e-mail, through the SMTP server that the operator names."""

import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP

from opentrail.errors import OutboundError
from opentrail.topics.message import CONFIRMATION
from opentrail.topics.parcels import Parcel

_TIMEOUT_S = 30.0
_CONFIRM_SUBJECT = "AWS Notification - Subscription Confirmation"
_SUBJECT = "AWS Notification Message"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. ``security``: ``tls`` from the first byte, ``starttls``, or ``none``."""

    host: str
    port: int
    security: str
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


class MailSender:
    """Sends parcels as mail: the text for people, or the envelope where ``as_json``."""

    def __init__(self, server: MailServer, *, as_json: bool, ca_file: str | None = None) -> None:
        self._server = server
        self._as_json = as_json
        self._tls = ssl.create_default_context()
        if ca_file:
            self._tls.load_verify_locations(ca_file)

    def send(self, parcel: Parcel) -> None:
        """Hand one mail in. Raises OutboundError; 5xx answers are final."""
        mail = mail_of(parcel, self._server.sender, as_json=self._as_json)
        try:
            with self._connected() as connection:
                connection.send_message(mail, self._server.sender, [parcel.endpoint])
        except smtplib.SMTPResponseException as problem:
            final = 500 <= problem.smtp_code < 600 and not isinstance(problem, smtplib.SMTPAuthenticationError)
            raise _failed(str(problem.smtp_code), retryable=not final) from problem
        except smtplib.SMTPRecipientsRefused as problem:
            final = all(500 <= code < 600 for code, _ in problem.recipients.values())
            raise _failed("RecipientRefused", retryable=not final) from problem
        except (OSError, smtplib.SMTPException) as problem:
            raise _failed("Unreachable", retryable=True) from problem

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        if server.security == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=_TIMEOUT_S, context=self._tls)
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT_S)
        if server.security == "starttls":
            connection.starttls(context=self._tls)
        if server.user:
            connection.login(server.user, server.password)
        return connection


def mail_of(parcel: Parcel, sender: str, *, as_json: bool) -> EmailMessage:
    """A parcel as a mail. Pure."""
    message = parcel.message
    is_question = message.type == CONFIRMATION
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = parcel.endpoint
    mail["Subject"] = _CONFIRM_SUBJECT if is_question else (message.subject or _SUBJECT)
    mail["Message-ID"] = f"<{message.message_id}@{sender.rpartition('@')[2] or 'localhost'}>"
    mail["Date"] = message.published_at
    mail.set_content(parcel.text if as_json else _text(parcel, is_question=is_question))
    return mail


def _text(parcel: Parcel, *, is_question: bool) -> str:
    if is_question:
        return (
            f"You have chosen to subscribe to the topic:\n{parcel.message.topic_arn}\n\n"
            f"To confirm this subscription, visit:\n{parcel.subscribe_url}\n\n"
            "If you did not ask for it, do nothing: no message will follow.\n"
        )
    body = parcel.message.body_for("email")
    return f"{body}\n\n--\nTo stop receiving notifications from this topic, visit:\n{parcel.unsubscribe_url}\n"


def _failed(code: str, *, retryable: bool) -> OutboundError:
    """The exception's own text stays out of the log: it may quote the mail."""
    return OutboundError(code, "the SMTP server did not take the mail", retryable=retryable)
