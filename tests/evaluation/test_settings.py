import pytest

from aucue.errors import InputError
from aucue.evaluation import EvaluationSettings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"evidence_faces": 0}, "at least one face per expression, not 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"num_nodes": -1}, "num_nodes must be at least 1, got -1"),
        ({"examples": -1}, "examples must be 0 or more, got -1"),
    ],
)
def test_numbers_out_of_range(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EvaluationSettings(**wrong)  # pyright: ignore[reportArgumentType]
