"""The grounds of the chaos tests, each made once."""

from collections.abc import Iterator

import pytest

from tests.chaos.servers import Servers, servers
from tests.chaos.stage import Ground, embedded, real
from tests.conftest import Services


@pytest.fixture(scope="session")
def embedded_ground() -> Iterator[Ground]:
    """Everything embedded."""
    with embedded() as ground:
        yield ground


@pytest.fixture(scope="session")
def own_servers(services: Services) -> Iterator[Servers]:
    """A Redis and an HBase that may be killed."""
    with servers() as running:
        yield running


@pytest.fixture(scope="session")
def real_ground(own_servers: Servers, services: Services) -> Iterator[Ground]:
    """The real services: those that may be killed, and the shared MariaDB and Kafka."""
    state = own_servers.start()
    hbase, redis = state["hbase"]["url"], state["redis"]["url"]
    with real(hbase, redis, services.mariadb_url, services.kafka_url) as ground:
        yield ground


@pytest.fixture(params=["embedded", "real"])
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """Either of them; homes are removed after the test."""
    made: Ground = request.getfixturevalue(f"{request.param}_ground")
    yield made
    made.close()
