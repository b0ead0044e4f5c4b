import pytest

from benchmarks.apparatus import random_chat_model


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory):
    """A directory with a causal language model that can write any JSON and any word."""
    return random_chat_model.save_chat_model(tmp_path_factory.mktemp("chat-model"))


@pytest.fixture(scope="session")
def save_reward_model(tmp_path_factory):
    """Saves a sequence classifier with so many outputs."""

    def save(outputs=1, template=random_chat_model.TEMPLATE, seed=0):
        return random_chat_model.save_reward_model(tmp_path_factory.mktemp("reward-model"), outputs, template, seed)

    return save
