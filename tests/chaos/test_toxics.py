"""Each toxic once before each dependency, in the middle of a whole chain on the real services."""

from collections.abc import Iterator

import pytest

from tests.chaos.toxics import DEPENDENCIES, TOXICS, Lab, lab
from tests.conftest import Services

pytestmark = pytest.mark.services

SEED = 1


@pytest.fixture(scope="module")
def laboratory(services: Services) -> Iterator[Lab]:
    with lab(services) as made:
        yield made


@pytest.mark.parametrize("toxic", TOXICS)
@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_a_run_ends_right(laboratory: Lab, dependency: str, toxic: str) -> None:
    trial = laboratory.trial(toxic, dependency, SEED)
    assert not trial.faults, trial.line()
