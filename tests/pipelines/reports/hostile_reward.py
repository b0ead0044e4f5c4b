"""A reward that has no opinion of some answers, and says so in a way that a page must not believe."""

from __future__ import annotations

from rewards.functions import reward


@reward(subject="row")
def hostile(completion: str) -> float:
    """Fails for answers of an odd length."""
    if len(completion) % 2:
        raise RuntimeError('</script><script>alert("x")</script><img src=x onerror=alert(1)>\x1b[2J')
    return 0.1 * len(completion)
