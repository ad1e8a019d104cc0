"""What event records must not show, service by service.

Rules: the service model's ``sensitive`` trait always counts; the table below adds what the models forget and says how a
service hides a value. Keyed by event source; a line of ``also`` is (structure shape, member) by the model's names.
Which values are hidden is decided here and nowhere else; ``elements`` applies it.
"""

from dataclasses import dataclass

REDACTED = "*** Redacted ***"
"""How opsworks-cm hides a value: exactly this text (opsworks-cm fact sheet 11, the public sample of 2017)."""

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""What CloudTrail writes for most services (cloudtrail fact sheet 12.4, measured)."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """One service's way of hiding. ``replacement`` None means that the member is left out altogether.

    ``also`` lists further secrets; ``shown_as`` gives single members a replacement that differs from the service's.
    """

    replacement: str | None = HIDDEN
    also: frozenset[tuple[str, str]] = frozenset()
    shown_as: tuple[tuple[tuple[str, str], str | None], ...] = ()

    def replacement_for(self, structure: str, member: str) -> str | None:
        """What stands in place of a secret member's value; None where the member is left out."""
        return dict(self.shown_as).get((structure, member), self.replacement)


_DEFAULT = Redaction()

_BY_SOURCE: dict[str, Redaction] = {
    "opsworks-cm.amazonaws.com": Redaction(
        REDACTED,
        # opsworks-cm fact sheet 11: unmarked in the model, secret nevertheless. EngineAttribute.Value and
        # CustomPrivateKey carry the trait, but the older model copies in the field do not, so they are named too.
        also=frozenset(
            {
                ("UpdateServerEngineAttributesRequest", "AttributeValue"),
                ("EngineAttribute", "Value"),
                ("CreateServerRequest", "CustomPrivateKey"),
            }
        ),
    ),
    # cloudtrail fact sheet 12.4: secretAccessKey is dropped. The session token is real AWS's exception (it is logged);
    # trap 4 advises against it, and promise 4 forbids it here: the key stays, the value does not.
    "sts.amazonaws.com": Redaction(
        None,
        also=frozenset(
            {
                ("Credentials", "SessionToken"),
                ("AssumeRoleRequest", "TokenCode"),
                ("GetSessionTokenRequest", "TokenCode"),
            }
        ),
        shown_as=((("Credentials", "SessionToken"), HIDDEN),),
    ),
    # cloudtrail fact sheet 12.4: CreateAccessKey secretAccessKey and CreateLoginProfile password are dropped.
    # EnableMFADevice and ResyncMFADevice carry one-time codes that the model does not mark.
    "iam.amazonaws.com": Redaction(
        None,
        also=frozenset(
            {
                ("EnableMFADeviceRequest", "AuthenticationCode1"),
                ("EnableMFADeviceRequest", "AuthenticationCode2"),
                ("ResyncMFADeviceRequest", "AuthenticationCode1"),
                ("ResyncMFADeviceRequest", "AuthenticationCode2"),
            }
        ),
    ),
    # cloudtrail fact sheet 12.4: KMS plaintext and ciphertextBlob are dropped.
    "kms.amazonaws.com": Redaction(
        None,
        also=frozenset(
            {
                ("DecryptRequest", "CiphertextBlob"),
                ("EncryptResponse", "CiphertextBlob"),
                ("ReEncryptRequest", "CiphertextBlob"),
                ("ReEncryptResponse", "CiphertextBlob"),
                ("GenerateDataKeyResponse", "CiphertextBlob"),
                ("GenerateDataKeyWithoutPlaintextResponse", "CiphertextBlob"),
            }
        ),
    ),
    # cloudtrail fact sheet 12.4: SecretString and SecretBinary are dropped.
    "secretsmanager.amazonaws.com": Redaction(None),
    # cloudtrail fact sheet 12.4: SNS Publish message, subject and messageAttributes.
    "sns.amazonaws.com": Redaction(
        HIDDEN,
        also=frozenset(
            (structure, member)
            for structure in ("PublishInput", "PublishBatchRequestEntry")
            for member in ("Message", "Subject", "MessageAttributes")
        ),
    ),
    # cloudtrail fact sheet 12.4: SQS message bodies; attributes are content just as well.
    "sqs.amazonaws.com": Redaction(
        HIDDEN,
        also=frozenset(
            (structure, member)
            for structure in ("SendMessageRequest", "SendMessageBatchRequestEntry")
            for member in ("MessageBody", "MessageAttributes")
        ),
    ),
    # cloudtrail fact sheet 12.4: SendCommand.parameters is hidden as a whole in request and response (measured).
    "ssm.amazonaws.com": Redaction(
        HIDDEN, also=frozenset({("SendCommandRequest", "Parameters"), ("Command", "Parameters")})
    ),
}


def redaction_of(event_source: str) -> Redaction:
    """How records of this event source hide secrets."""
    return _BY_SOURCE.get(event_source, _DEFAULT)


def redacted_members() -> dict[str, frozenset[tuple[str, str]]]:
    """Every line that goes beyond the models, by event source: for the test that holds the table against them."""
    return {source: redaction.also for source, redaction in _BY_SOURCE.items()}
