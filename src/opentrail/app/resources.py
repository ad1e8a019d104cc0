"""What services know of their resources, for authorisation: real ARNs and tags in place of what a request says."""

from collections.abc import Mapping

from opentrail.aws.arn import Arn, parse_arn
from opentrail.errors import ApiError
from opentrail.gateway.permissions import FindResource, Resource
from opentrail.identity.authorization import ResourcePolicy
from opentrail.opsworks.store import OpsWorksStore
from opentrail.opsworks.tags import tags_of
from opentrail.organizations import handshakes
from opentrail.organizations.accounts import email_of
from opentrail.organizations.accounts import tags_of as tags_of_resource
from opentrail.organizations.store import Organizations
from opentrail.topics.names import TopicName, parse_topic_arn
from opentrail.topics.policies import read_policy
from opentrail.topics.store import TopicStore
from opentrail.trails.store import Trails


def resource_finders(store: OpsWorksStore) -> Mapping[str, FindResource]:
    """The look-ups of OpsWorks CM's servers and backups, by kind."""

    def find(kind: str, account_id: str, region: str, name: str) -> Resource | None:
        if name.startswith("arn:"):
            arn = _arn(name)
            if arn is None or (arn.account_id, arn.region) != (account_id, region):
                return None
            name = arn.resource.split("/")[1] if "/" in arn.resource else ""
        with store.database.read() as connection:
            look = store.server if kind == "server" else store.backup
            found = look(connection, account_id, region, name)
            return None if found is None else Resource(found.arn, tuple(tags_of(connection, found.arn).items()))

    return {"server": find, "backup": find}


def trail_finder(trails: Trails) -> FindResource:
    """The look-up of trails, from the snapshot."""

    def find(_kind: str, account_id: str, region: str, name: str) -> Resource | None:
        try:
            trail = trails.find(account_id, region, name)
        except ApiError:
            return None
        return None if trail is None else Resource(trail.arn, tuple((k, v or "") for k, v in trail.tags.items()))

    return find


def topic_finder(store: TopicStore) -> FindResource:
    """The look-up of topics. One that does not exist belongs to the account in its ARN: whom that account has not let
    in is refused, and not told that it is not there.
    """

    def find(_kind: str, account_id: str, region: str, name: str) -> Resource | None:
        try:
            topic_name = parse_topic_arn(name) if name.startswith("arn:") else TopicName(account_id, region, name)
        except ValueError:
            return None
        with store.database.read() as connection:
            topic = store.topic(connection, topic_name.arn)
        if topic is None:
            return Resource(topic_name.arn, guard=ResourcePolicy(topic_name.account_id))
        guard = ResourcePolicy(topic_name.account_id, read_policy(topic.policy))
        return Resource(topic.arn, tuple(topic.tags.items()), guard)

    return find


def organization_finder(organizations: Organizations) -> FindResource:
    """The look-up of what is in the caller's organization, by id: its root, units and accounts (also those that are
    not its own yet), and the handshakes that it has a part in.
    """

    def find(_kind: str, account_id: str, _region: str, name: str) -> Resource | None:
        found = organizations.snapshot.of(account_id)
        with organizations.database.read() as connection:
            if name.startswith("h-"):
                handshake = handshakes.find(connection, name)
                if handshake is None or not handshake.has_part(account_id, email_of(connection, account_id)):
                    return None
                return Resource(handshake.arn)
            if found is None:
                return None
            tags = tuple(tags_of_resource(connection, found.organization_id, name).items())
        if name == found.root_id:
            return Resource(found.root_arn, tags)
        return Resource(found.unit_arn(name) if name.startswith("ou-") else found.member_arn(name), tags)

    return find


def _arn(text: str) -> Arn | None:
    try:
        return parse_arn(text)
    except ValueError:
        return None
