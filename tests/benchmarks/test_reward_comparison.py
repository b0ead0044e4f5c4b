from benchmarks import reward_comparison


def test_a_few_worlds_bear_the_claim_out(tmp_path):
    result = reward_comparison.report([reward_comparison.one(seed) for seed in range(3)], tmp_path)
    assert result.holds and len(result.rows) == 7


def test_a_difference_is_seen(tmp_path):
    row = reward_comparison.one(0)
    assert not reward_comparison.report([{**row, "differs_epic": 1e-3}], tmp_path).holds
    assert not reward_comparison.report([{**row, "regret": float(row["regret_bound"]) + 1}], tmp_path).holds
