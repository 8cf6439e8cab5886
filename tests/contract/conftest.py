"""A database for each kind of ledger."""

import pytest
import sqlalchemy as sa


def create_database(url, name):
    """An empty database on the server of `url`; its own URL."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return sa.make_url(url).set(database=name).render_as_string(hide_password=False)


def drop_database(url):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {engine.url.database}")
    engine.dispose()


@pytest.fixture
def mariadb(services, unique):
    url = create_database(services.mariadb_url, unique("ledger"))
    yield url
    drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.services)])
def url(request):
    return "" if request.param == "sqlite" else request.getfixturevalue("mariadb")
