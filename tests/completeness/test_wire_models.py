"""What is shipped beside the models agrees with them, for every service that botocore knows."""

from tools.list_services import TABLE, table

from opentrail.aws.java_patterns import compile_pattern
from opentrail.aws.model import Catalogue
from opentrail.aws.protocols import SERVED, protocol_of, scalars

OURS = ("opsworkscm", "cloudtrail", "cloudtrail-data", "sts", "iam", "sns", "kms", "organizations", "signin")


def test_the_table_of_services_is_current() -> None:
    """``services.json`` is what the script writes today."""
    assert TABLE.read_bytes() == table(), "run python tools/list_services.py"


def test_every_service_that_we_answer_is_in_the_table() -> None:
    """The catalogue knows the services that OpenTrail answers itself, opsworks-cm's restored model included."""
    assert set(OURS) <= set(Catalogue().names)


def test_every_pattern_of_our_services_is_understood() -> None:
    """No pattern of a service of ours is skipped by the validator."""
    catalogue = Catalogue()
    for service in OURS:
        model = catalogue.loaded(service).model
        for name in model.shape_names:
            pattern = model.shape_for(name).metadata.get("pattern")
            if pattern:
                compile_pattern(pattern)


def test_every_type_of_our_services_has_its_rule() -> None:
    """No shape of a service of ours has a type that the protocols would treat as a text by accident."""
    catalogue = Catalogue()
    types = {
        catalogue.loaded(service).model.shape_for(name).type_name
        for service in OURS
        for name in catalogue.loaded(service).model.shape_names
    }
    assert types <= set(scalars.TYPE_WORDS)


def test_every_protocol_of_every_service_is_served() -> None:
    """Whatever SDKs may speak to a service that botocore knows can be read and answered."""
    catalogue = Catalogue()
    for name in catalogue.names:
        service = catalogue.service(name)
        assert {service.protocol, *service.protocols} <= set(SERVED), name
        assert protocol_of(service) is SERVED[service.protocol]
