"""A reward that has no opinion of some answers, and says so in a way that a page must not believe."""

from __future__ import annotations

from rewards.functions import reward


@reward(subject="row")
def hostile(completion: str) -> float:
    """Fails for a third of the answers; the others differ."""
    worth = sum(map(ord, completion)) % 9
    if worth % 3 == 0:
        raise RuntimeError('</script><script>alert("x")</script><img src=x onerror=alert(1)>\x1b[2J')
    return float(worth)
