import pytest

from aisle.evaluation import evaluate
from tests.evaluation.shop import CarefulModel, PromisingModel, WordModel, catalog


@pytest.fixture(scope="session")
def train():
    return catalog(400, seed=1)


@pytest.fixture(scope="session")
def test():
    return catalog(300, seed=2, start=1000)


@pytest.fixture(scope="session")
def model(train):
    return WordModel(train)


@pytest.fixture(scope="session")
def careful(train):
    return CarefulModel(train)


@pytest.fixture(scope="session")
def full(careful, train, test):
    """Everything an evaluation can hold."""
    return evaluate(careful, test, baseline=train)


@pytest.fixture(scope="session")
def promising(train):
    return PromisingModel(train, catalog(900, seed=3, start=5000))


@pytest.fixture(scope="session")
def promised(promising, test):
    return evaluate(promising, test, per_view=False)
