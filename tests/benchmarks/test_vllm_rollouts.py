import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from actors.engines.chat_tokenizer import ChatTokenizer
from actors.engines.text_generator import TextGenerator
from actors.language.generation import Sampling
from actors.language.rollout import rollout
from benchmarks.apparatus.random_chat_model import save_chat_model
from benchmarks.vllm_rollouts import CLOSE, Play, Round, compare, moved, report
from envs.language.tasks.arithmetic import Arithmetic
from pipelines.results import read_result

SAMPLING = Sampling(10, temperature=0.9, top_p=0.95)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return save_chat_model(tmp_path_factory.mktemp("model"))


class Engine(TextGenerator):
    """The transformers engine in vLLM's place."""

    def __init__(self, directory):
        tokenizer = AutoTokenizer.from_pretrained(directory)
        super().__init__(AutoModelForCausalLM.from_pretrained(directory).eval(), tokenizer, [], 200)
        self.chats = ChatTokenizer(tokenizer, "tiny")


@pytest.mark.slow
def test_an_update_in_mid_rollout_leaves_tokens_of_both_versions_each_close_to_its_own_learner(directory):
    old, new = (AutoModelForCausalLM.from_pretrained(directory).eval() for _ in range(2))
    weights = moved(old.state_dict(), seed=0)
    new.load_state_dict(weights)
    task = Arithmetic()
    prompts = [task.load("train", 0)[i] for i in range(3)]
    play = Play(Engine(directory), task, 2, SAMPLING)
    rows, per_s = play(prompts, weights, 1, seed=0)
    found = compare(rows, {0: old, 1: new}, SAMPLING)
    assert found["across"] == 6 and found["tokens"] == 60 and per_s > 0 and play.update_s > 0
    assert found["gap"] < 1e-4 < 0.01 < found["wrong_version_gap"]


def test_without_an_update_there_is_nothing_to_compare(directory):
    engine, task = Engine(directory), Arithmetic()
    rows = rollout(engine, engine.chats, task, [task.load("train", 0)[0]], 1, SAMPLING, 0)
    model = AutoModelForCausalLM.from_pretrained(directory).eval()
    with pytest.raises(ValueError, match="no conversation with tokens of both versions"):
        compare(rows, {0: model, 1: model}, SAMPLING)


def test_weights_move_by_a_share_of_their_size_and_the_same_way_again():
    weights = {"a": torch.linspace(-1, 1, 1001), "norm": torch.ones(3)}
    once, again = moved(weights, 1), moved(weights, 1)
    assert all(torch.equal(once[name], again[name]) for name in weights)
    assert float((once["a"] - weights["a"]).std() / weights["a"].std()) == pytest.approx(0.02, rel=0.1)
    assert torch.equal(once["norm"], weights["norm"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gap", "wrong", "holds"), [(CLOSE / 2, 0.5, True), (2 * CLOSE, 0.5, False), (0.005, 0.01, False)]
)
def test_the_claim_holds_only_where_the_gap_is_small_and_the_wrong_version_s_is_not(tmp_path, gap, wrong, holds):
    one = Round(100, 5, 0.0, 0.0, 1.0, 0.5, 0.1, 2000.0, 9000.0)
    other = Round(100, 5, gap, gap, 1.0, wrong, 0.1, 3000.0, 9000.0)
    assert report([one, other], tmp_path).holds is holds
    kept = read_result(tmp_path / "vllm-rollouts.json")
    assert kept.figures["vLLM"].value == 2500 and len(kept.rows) == 2
