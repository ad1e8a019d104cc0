"""Every line of the tables of services, operations and members refers to something in the models: typos die here."""

from collections import defaultdict

import pytest
from botocore.model import ListShape, OperationModel, StructureShape

from opentrail.aws.model import EVENT_SOURCES, Catalogue
from opentrail.aws.service_table import BOTOCORE_DATA, read_model
from opentrail.events import ec2_forms
from opentrail.events.error_codes import IAM_CODES
from opentrail.events.event_names import API_VERSIONS, LAMBDA
from opentrail.events.forms import AS_MODELLED, Form
from opentrail.events.read_only_table import READS, WRITES
from opentrail.events.timestamps import sources_with_a_form

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
