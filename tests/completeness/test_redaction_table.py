"""The lines of redaction.toml against the models: each names something real that would be shown without it."""

from collections.abc import Iterator

import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from opentrail.aws.model import Catalogue, Service
from opentrail.events.redaction import REDACTIONS, Part, Redaction, redaction_of

CATALOGUE = Catalogue()
SERVICES: dict[str, list[Service]] = {}
for _name in CATALOGUE.names:
    SERVICES.setdefault(CATALOGUE.service(_name).event_source, []).append(CATALOGUE.service(_name))

Members = dict[tuple[str, str], Shape]


def is_marked(shape: Shape) -> bool:
    """Whether the model says that it is secret."""
    return bool(shape.metadata.get("sensitive"))


def shown_members(service: Service, redaction: Redaction) -> Members:
    """Every member that a walk through all operations comes to without passing through something hidden."""
    found: Members = {}
    waiting = [shape for name in service.operation_names for shape in sides(service, name) if not is_marked(shape)]
    seen = set()
    while waiting:
        shape = waiting.pop()
        if isinstance(shape, ListShape):
            inner = [shape.member]
        elif isinstance(shape, MapShape):
            inner = [] if is_marked(shape.key) else [shape.value]
        elif isinstance(shape, StructureShape) and shape.name not in seen:
            seen.add(shape.name)
            found.update({(shape.name, name): member for name, member in shape.members.items()})
            inner = [member for name, member in shape.members.items() if not redaction.hides(shape.name, name)]
        else:
            inner = []
        waiting += [shape for shape in inner if not is_marked(shape)]
    return found


def sides(service: Service, operation: str) -> Iterator[Shape]:
    """What an operation takes and answers."""
    found = service.operation(operation)
    yield from (shape for shape in (found.input_shape, found.output_shape) if shape is not None)


@pytest.mark.parametrize("source", sorted(REDACTIONS))
def test_every_line_hides_something_that_would_be_shown(source: str) -> None:
    """A line names a member that a call can show, and says more than the model: no misspelt and no dead ones."""
    assert source in SERVICES, f"no service has the event source {source}"
    redaction = redaction_of(source)
    members = [shown_members(service, redaction) for service in SERVICES[source]]
    for line, shown in redaction.members.items():
        shapes = [found[line] for found in members if line in found]
        assert shapes, f"{source}: {line} is nowhere, or hidden with something around it"
        assert shown != redaction.marked or not all(map(is_marked, shapes)), f"{source}: the model marks {line} already"
        if isinstance(shown, Part):
            kinds = (MapShape,) if shown is Part.KEYS else (MapShape, ListShape)
            for shape in shapes:
                assert isinstance(shape, kinds), f"{source}: {line} is no collection"
                assert not is_marked(shape), f"{source}: the model hides {line} as a whole"


def test_every_way_of_hiding_that_a_service_has_of_its_own_is_used() -> None:
    """A "*" line is there for models that mark something."""
    for source, redaction in REDACTIONS.items():
        if redaction.marked != Redaction().marked:
            shapes = [
                shape
                for service in SERVICES[source]
                for name in service.operation_names
                for shape in sides(service, name)
            ]
            assert any(map(is_marked, everything_in(shapes))), source


def everything_in(shapes: list[Shape]) -> Iterator[Shape]:
    """The shapes and all that they consist of."""
    waiting, seen = list(shapes), set()
    while waiting:
        shape = waiting.pop()
        yield shape
        if shape.name in seen:
            continue
        seen.add(shape.name)
        if isinstance(shape, StructureShape):
            waiting += shape.members.values()
        elif isinstance(shape, ListShape):
            waiting.append(shape.member)
        elif isinstance(shape, MapShape):
            waiting += (shape.key, shape.value)


# By what each is, not by what the model or the table says of it: what a newer model forgets is missed here.
WELL_KNOWN = """
    rds CreateDBInstanceMessage.MasterUserPassword ModifyDBClusterMessage.MasterUserPassword
    rds PendingModifiedValues.MasterUserPassword OptionSetting.Value CreateDBProxyRequest.DBProxyName!
    docdb CreateDBClusterMessage.MasterUserPassword PendingModifiedValues.MasterUserPassword
    neptune ModifyDBClusterMessage.MasterUserPassword
    redshift CreateClusterMessage.MasterUserPassword ClusterCredentials.DbPassword
    elasticache CreateReplicationGroupMessage.AuthToken CreateUserMessage.Passwords
    memorydb AuthenticationMode.Passwords
    dms CreateEndpointMessage.Password ModifyEndpointMessage.Password
    ds CreateDirectoryRequest.Password ResetUserPasswordRequest.NewPassword ConnectDirectoryRequest.ConnectSettings!
    appstream ServiceAccountCredentials.AccountPassword
    secretsmanager CreateSecretRequest.SecretString PutSecretValueRequest.SecretBinary CreateSecretRequest.Name!
    ssm PutParameterRequest.Value SendCommandRequest.Parameters Parameter.Value
    iam CreateLoginProfileRequest.Password AccessKey.SecretAccessKey AccessKey.AccessKeyId!
    iam UploadServerCertificateRequest.PrivateKey ServiceSpecificCredential.ServicePassword
    sts Credentials.SecretAccessKey Credentials.SessionToken AssumeRoleWithSAMLRequest.SAMLAssertion
    sts AssumeRoleWithWebIdentityRequest.WebIdentityToken Credentials.AccessKeyId!
    kms EncryptRequest.Plaintext DecryptResponse.Plaintext GenerateDataKeyResponse.Plaintext EncryptRequest.KeyId!
    lambda Environment.Variables FunctionCode.ZipFile FunctionUrlConfig.FunctionUrl!
    ec2 RunInstancesRequest.UserData KeyPair.KeyMaterial VpnTunnelOptionsSpecification.PreSharedKey
    ec2 GetPasswordDataResult.PasswordData RequestLaunchTemplateData.UserData
    codebuild EnvironmentVariable.value ImportSourceCredentialsInput.token
    cognito-idp SignUpRequest.Password InitiateAuthRequest.AuthParameters SignUpRequest.SecretHash
    cognito-idp AuthenticationResultType.RefreshToken AuthenticationResultType.IdToken UserPoolClientType.ClientSecret
    cognito-identity Credentials.SecretKey GetCredentialsForIdentityInput.IdentityId!
    firehose HttpEndpointConfiguration.AccessKey RedshiftDestinationConfiguration.Password
    apigateway ApiKey.value CreateApiKeyRequest.value
    appsync ApiKey.id
    iot KeyPair.PrivateKey
    transfer CreateServerRequest.HostKey
    glue ConnectionInput.ConnectionProperties
    datasync CreateLocationSmbRequest.Password CreateLocationObjectStorageRequest.SecretKey
    mq User.Password
    opensearch MasterUserOptions.MasterUserPassword
    quicksight CreateDataSourceRequest.Credentials CreateDataSourceRequest.Name!
    chime-sdk-voice Credential.Password
    lightsail CreateRelationalDatabaseRequest.masterUserPassword KeyPair.name!
    amplify CreateAppRequest.oauthToken CreateAppRequest.accessToken
    events CreateConnectionBasicAuthRequestParameters.Password CreateConnectionApiKeyAuthRequestParameters.ApiKeyValue
    stepfunctions StartExecutionInput.input SendTaskSuccessInput.output
    cloudformation Parameter.ParameterValue
    rds-data ExecuteStatementRequest.sql
    athena StartQueryExecutionInput.QueryString!
    acm ImportCertificateRequest.PrivateKey
    storagegateway JoinDomainInput.Password
    directconnect BGPPeer.authKey
    route53domains RetrieveDomainAuthCodeResponse.AuthCode
    dynamodb PutItemInput.Item DeleteItemInput.Key!
    rolesanywhere Tag.key Tag.value
"""


@pytest.mark.parametrize("line", [line.strip() for line in WELL_KNOWN.splitlines() if line.strip()])
def test_what_everybody_calls_a_secret_is_hidden(line: str) -> None:
    """Well-known secrets have a mark or a line; their neighbours, with an exclamation mark, have neither."""
    service, *names = line.split()
    modelled = CATALOGUE.service(service)
    for name in names:
        structure, _, member = name.rstrip("!").partition(".")
        shape = CATALOGUE.loaded(service).model.shape_for(structure).members[member]
        hidden = is_marked(shape) or redaction_of(modelled.event_source).hides(structure, member)
        assert hidden != name.endswith("!"), name
