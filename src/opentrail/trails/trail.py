"""A trail as a value, and its transitions.

Pure: a transition returns a new trail; nothing here reads a clock or a database. ``trail_id`` never changes and is the
route that frames in the journal carry; a later trail of the same name is another trail.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from opentrail.events.selectors import DEFAULT, Selectors
from opentrail.trails.aggregation import Aggregation
from opentrail.trails.insights import InsightSelector
from opentrail.trails.names import log_root, trail_arn

MAX_TAGS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """One trail. Times are aware UTC datetimes; ``prefix`` is empty where there is none.

    ``tags`` keeps the order in which keys were added; a tag without a value has None. ``generation`` counts changes.
    ``validated_since``: when log file validation was turned on; None while it is off. ``kms_key_arn``: the key that
    what it delivers is encrypted with; None: SSE-S3. ``organization_id``: the organization whose accounts' events it
    keeps; it stays known when the trail is one of its account alone again, since what members did before is still on
    its way. ``log_group_arn`` and ``logs_role_arn``: where its records go in CloudWatch Logs, and with which role; both
    or none.
    """

    trail_id: str
    account_id: str
    home_region: str
    name: str
    bucket: str
    created_at: datetime
    prefix: str = ""
    include_global_service_events: bool = True
    is_multi_region: bool = False
    is_logging: bool = False
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    deleted_at: datetime | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)
    selectors: Selectors = DEFAULT
    validated_since: datetime | None = None
    sns_topic_arn: str | None = None
    kms_key_arn: str | None = None
    organization_id: str | None = None
    is_organization: bool = False
    insight_selectors: tuple[InsightSelector, ...] = ()
    aggregations: tuple[Aggregation, ...] = ()
    log_group_arn: str | None = None
    logs_role_arn: str | None = None
    generation: int = 1

    @property
    def arn(self) -> str:
        """The trail's ARN, in its home region."""
        return trail_arn(self.account_id, self.home_region, self.name)

    @property
    def has_custom_selectors(self) -> bool:
        """Whether the trail selects other events than a new trail does."""
        return self.selectors != DEFAULT

    @property
    def digests_since(self) -> datetime | None:
        """Since when the trail's log files are digested without a break: validation is on and it logs; None otherwise.

        Another instant means another chain of digest files (cloudtrail fact sheet 5.2).
        """
        if self.validated_since is None or not self.is_logging:
            return None
        return max(self.validated_since, self.started_at or self.validated_since)

    def log_root(self, account_id: str) -> str:
        """Where an account's log and digest files go in the trail's bucket, with the slash at the end.

        Those of another account than the trail's are an organization's, whatever the trail is by now.
        """
        of_organization = self.is_organization or account_id != self.account_id
        return log_root(self.prefix, account_id, self.organization_id if of_organization else None)

    @property
    def marker_key(self) -> str:
        """The key of the zero-byte object that CreateTrail leaves in the bucket (cloudtrail fact sheet 3.4)."""
        return f"{self.log_root(self.account_id)}CloudTrail/"

    @property
    def digest_marker_key(self) -> str:
        """The key of the one that is left as well where log file validation is on (cloudtrail fact sheet 3.4)."""
        return f"{self.log_root(self.account_id)}CloudTrail-Digest/"

    def is_visible_in(self, region: str) -> bool:
        """Whether the trail, or its shadow, exists in ``region`` (cloudtrail fact sheet 6.3)."""
        return self.is_multi_region or self.home_region == region

    def started(self, at: datetime) -> "Trail":
        """Logging from ``at`` on; unchanged if it logs already (StartLogging is idempotent)."""
        return self if self.is_logging else self._changed(is_logging=True, started_at=at)

    def stopped(self, at: datetime) -> "Trail":
        """Not logging from ``at`` on; unchanged if it does not log."""
        return self._changed(is_logging=False, stopped_at=at) if self.is_logging else self

    def deleted(self, at: datetime) -> "Trail":
        """Gone for callers; the courier still delivers what was routed to it."""
        return self._changed(is_logging=False, deleted_at=at)

    def configured(
        self,
        *,
        bucket: str | None = None,
        prefix: str | None = None,
        is_multi_region: bool | None = None,
        include_global_service_events: bool | None = None,
        sns_topic_arn: str | None = None,
        kms_key_arn: str | None = None,
        log_group_arn: str | None = None,
        logs_role_arn: str | None = None,
    ) -> "Trail":
        """UpdateTrail: None keeps a setting, an empty text clears a prefix, topic, key, log group or role.

        Turning a multi-region trail into a single-region one switches global service events off unless they are asked
        for in the same request (cloudtrail fact sheet 6.3).
        """
        becomes_single = self.is_multi_region and is_multi_region is False
        include_now = False if becomes_single else self.include_global_service_events
        return self._changed(
            bucket=self.bucket if bucket is None else bucket,
            prefix=self.prefix if prefix is None else prefix,
            kms_key_arn=self.kms_key_arn if kms_key_arn is None else kms_key_arn or None,
            sns_topic_arn=self.sns_topic_arn if sns_topic_arn is None else sns_topic_arn or None,
            log_group_arn=self.log_group_arn if log_group_arn is None else log_group_arn or None,
            logs_role_arn=self.logs_role_arn if logs_role_arn is None else logs_role_arn or None,
            is_multi_region=self.is_multi_region if is_multi_region is None else is_multi_region,
            include_global_service_events=(
                include_now if include_global_service_events is None else include_global_service_events
            ),
        )

    def for_organization(self, organization_id: str | None) -> "Trail":
        """IsOrganizationTrail: the trail of an organization from now on; None: of its account alone."""
        if organization_id is None:
            return self._changed(is_organization=False) if self.is_organization else self
        if self.is_organization and self.organization_id == organization_id:
            return self
        return self._changed(is_organization=True, organization_id=organization_id)

    def validated(self, at: datetime, *, enabled: bool | None) -> "Trail":
        """EnableLogFileValidation: on from ``at`` or off; unchanged for None and where it is so already."""
        if enabled is None or enabled == (self.validated_since is not None):
            return self
        return self._changed(validated_since=at if enabled else None)

    def selecting(self, selectors: Selectors) -> "Trail":
        """With these event selectors in place of all it had."""
        return self._changed(selectors=selectors)

    def watching(self, insight_selectors: tuple[InsightSelector, ...]) -> "Trail":
        """With these insight selectors in place of all it had; none disables Insights."""
        return self._changed(insight_selectors=insight_selectors)

    def aggregating(self, aggregations: tuple[Aggregation, ...]) -> "Trail":
        """With these aggregation configurations in place of those it had."""
        return self._changed(aggregations=aggregations)

    def tagged(self, tags: Mapping[str, str | None]) -> "Trail":
        """With these tags added; a key that exists gets the new value."""
        return self._changed(tags={**self.tags, **tags})

    def untagged(self, keys: Iterable[str]) -> "Trail":
        """Without the tags of these keys; keys that do not exist are no error."""
        gone = set(keys)
        return self._changed(tags={key: value for key, value in self.tags.items() if key not in gone})

    def _changed(self, **changes: object) -> "Trail":
        return replace(self, generation=self.generation + 1, **changes)  # type: ignore[arg-type]  # callers are above
