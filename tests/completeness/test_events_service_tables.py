"""Every line of the tables of services, operations and members refers to something in the models: typos die here."""

from collections import defaultdict

import pytest
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from opentrail.aws.model import EVENT_SOURCES, Catalogue
from opentrail.aws.service_table import BOTOCORE_DATA, read_model
from opentrail.events import ec2_forms
from opentrail.events.data_events import DATA_EVENTS
from opentrail.events.error_codes import IAM_CODES
from opentrail.events.event_names import API_VERSIONS, LAMBDA
from opentrail.events.forms import AS_MODELLED, Form
from opentrail.events.read_only_table import READS, WRITES
from opentrail.events.resource_rules import ALL_NAMED, RULES
from opentrail.events.timestamps import sources_with_a_form
from opentrail.gateway.upstream_permissions import ACTIONS, PASSED_ROLES, PREFIXES

CATALOGUE = Catalogue()
OWN = {"opsworks-cm.amazonaws.com", "opentrail.amazonaws.com"}  # models of ours, or no longer botocore's
BEYOND_THE_MODEL = {("s3.amazonaws.com", "PreflightRequest")}


def services_by_source() -> dict[str, list[str]]:
    """The models behind each event source."""
    found = defaultdict(list)
    for name in CATALOGUE.names:
        found[CATALOGUE.service(name).event_source].append(name)
    return found


SERVICES = services_by_source()


def operations_of(source: str) -> dict[str, bool]:
    """The operations behind an event source, and whether the model calls each a read."""
    found = {}
    for service in SERVICES[source]:
        operations = read_model([BOTOCORE_DATA], service)["operations"]
        found.update({name: bool(operation.get("readonly")) for name, operation in operations.items()})
    return found


def test_every_event_source_of_the_tables_exists() -> None:
    """Sources are spelled as the catalogue spells them."""
    named = {*READS, *WRITES, *AS_MODELLED, *sources_with_a_form()} - OWN
    assert named <= set(SERVICES)
    assert set(EVENT_SOURCES) <= set(CATALOGUE.names)
    assert set(API_VERSIONS) <= set(CATALOGUE.names)


@pytest.mark.parametrize("source", sorted((set(READS) | set(WRITES)) - OWN))
def test_every_exception_of_read_only_is_an_operation(source: str) -> None:
    """The tables name operations that exist, each in one table only."""
    reads, writes = READS.get(source, frozenset()), WRITES.get(source, frozenset())
    known = set(operations_of(source)) | {name for of, name in BEYOND_THE_MODEL if of == source}
    assert reads | writes <= known
    assert not reads & writes


def test_every_versioned_name_of_lambda_is_an_operation_at_that_address() -> None:
    """The date in a name is the date in the operation's address, so a slip of a digit shows."""
    service = CATALOGUE.service("lambda")
    for operation, name in LAMBDA.items():
        date = service.operation(operation).http_uri.split("/")[1].replace("-", "")
        assert name.removesuffix("v2") == f"{operation}{date}"


def test_iams_codes_are_those_of_its_model() -> None:
    """Every error of IAM's whose code is not its shape's name is in the table, and nothing else."""
    shapes = CATALOGUE.loaded("iam").model.error_shapes
    codes = {shape.metadata.get("error", {}).get("code", shape.name): shape.name for shape in shapes}
    assert {code: name for code, name in codes.items() if code != name} == dict(IAM_CODES)


def test_every_name_of_ec2s_tables_is_in_its_model() -> None:
    """Sets, items and members are spelled as requests spell them."""
    model = CATALOGUE.loaded("ec2").model
    lists, members = set(), set()
    for name in model.shape_names:
        shape = model.shape_for(name)
        if isinstance(shape, StructureShape):
            for member, inner in shape.members.items():
                members.add((name, member))
                if isinstance(inner, ListShape):
                    lists |= {inner.serialization.get("name", member), inner.member.serialization.get("name")}
    assert set(ec2_forms.SETS) | set(ec2_forms.ITEM_NAMES) <= lists
    assert set(ec2_forms.NAMES) <= members
    assert set(model.operation_names) >= ec2_forms.WRAPPED_WITHOUT_DRY_RUN


# Public records, and readers of records, show these operations of EC2 in the form that is claimed: CloudTrail entries
# of AWS's guides, Datadog's stratus-red-team, the SIEM on Amazon OpenSearch Service, Elastic's rules, the fact sheet.
WRAPPED = """
    AssociateIamInstanceProfile CreateFleet CreateFlowLogs CreateLaunchTemplate CreateLaunchTemplateVersion
    CreateNatGateway CreateSnapshots CreateTransitGateway CreateVpcEndpoint DeleteFlowLogs
    DescribeEgressOnlyInternetGateways DescribeFlowLogs DescribeLaunchTemplateVersions DescribeNatGateways
    DescribeVpcEndpoints DescribeVpcEndpointServiceConfigurations EnableSerialConsoleAccess
    ModifyInstanceMetadataOptions
"""
PLAIN = """
    AuthorizeSecurityGroupIngress CreateKeyPair CreateSecurityGroup CreateTags CreateVolume CreateVpc
    CreateVpcPeeringConnection DescribeAccountAttributes DescribeAddresses DescribeImages DescribeInstances
    DescribeRouteTables DescribeSecurityGroups DescribeSnapshots DescribeVolumes DescribeVpcs ModifyImageAttribute
    ModifyInstanceAttribute RunInstances StopInstances TerminateInstances
"""


@pytest.mark.parametrize(("names", "wrapped"), [(WRAPPED, True), (PLAIN, False)])
def test_the_rule_for_ec2s_two_forms_agrees_with_every_known_record(names: str, *, wrapped: bool) -> None:
    """The spelling of DryRun tells the two forms apart, for each operation whose form is known."""
    service = CATALOGUE.service("ec2")
    assert {ec2_forms.is_wrapped(service.operation(name)) for name in names.split()} == {wrapped}


def test_no_two_members_of_an_ec2_request_share_a_name() -> None:
    """No parameter can hide another: names are unique within every structure of every request and response."""
    model = CATALOGUE.loaded("ec2").model
    sides: list[tuple[StructureShape | None, Form]] = []
    for name in model.operation_names:
        described: OperationModel = model.operation_model(name)
        wrapped = ec2_forms.is_wrapped(CATALOGUE.service("ec2").operation(name))
        sides.append((described.input_shape, ec2_forms.WRAPPED_REQUEST if wrapped else ec2_forms.REQUEST))
        sides.append((described.output_shape, ec2_forms.WRAPPED_RESPONSE if wrapped else ec2_forms.RESPONSE))
    for shape, form in sides:
        if shape is not None:
            names = [form.name(shape, member, inner) for member, inner in shape.members.items()]
            assert len(set(names)) == len(names), (shape.name, names)


def leads_somewhere(shape: Shape | None, path: str) -> bool:
    """Whether a path of the tables leads from a request to texts: members, items of lists, keys of maps."""
    for step in path.split("."):
        member = step.rstrip("[]{}")
        if not isinstance(shape, StructureShape) or member not in shape.members:
            return False
        shape = shape.members[member]
        if step.endswith("[]"):
            if not isinstance(shape, ListShape):
                return False
            shape = shape.member
        elif step.endswith("{}"):
            if not isinstance(shape, MapShape):
                return False
            shape = shape.key
    return shape is not None and shape.type_name == "string"


def requests_of(service: str) -> dict[str, StructureShape]:
    """The shapes of a service's requests, by operation."""
    model = CATALOGUE.loaded(service).model
    shapes = {name: model.operation_model(name).input_shape for name in model.operation_names}
    return {name: shape for name, shape in shapes.items() if shape is not None}


@pytest.mark.parametrize("service", sorted(RULES))
def test_every_path_of_the_resource_rules_leads_to_texts(service: str) -> None:
    """Each row names a parameter that some operation has, and operations that all have it."""
    requests = requests_of(service)
    for rule in RULES[service]:
        assert rule.operations <= set(requests), rule
        meant = rule.operations or {name for name, shape in requests.items() if leads_somewhere(shape, rule.path)}
        assert meant, rule
        assert all(leads_somewhere(requests[name], rule.path) for name in meant), rule


def test_every_operation_of_the_data_events_exists() -> None:
    """Services, operations and the services that are about all they name are spelled as the models spell them."""
    assert set(RULES) >= ALL_NAMED
    for service, row in DATA_EVENTS.items():
        assert row.operations <= set(CATALOGUE.service(service).operation_names), service
        assert row.type.startswith("AWS::")


def test_every_line_of_the_permission_tables_exists() -> None:
    """Prefixes, actions and passed roles refer to services, operations and parameters of the models."""
    assert set(PREFIXES) <= set(CATALOGUE.names)
    for service, operation in ACTIONS:
        assert operation in CATALOGUE.service(service).operation_names, (service, operation)
    for (service, operation), roles in PASSED_ROLES.items():
        shape = CATALOGUE.service(service).operation(operation).input_shape
        assert all(leads_somewhere(shape, path) for path, _ in roles), (service, operation)
