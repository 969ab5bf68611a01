import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from aucue.errors import InputError
from aucue.facs import EXPRESSIONS
from aucue.metrics import ClassificationReport


def drawn(classes: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randint(0, classes, (300,)), torch.randint(0, classes, (300,))


@pytest.mark.parametrize("occurring", [7, 4])
def test_equals_scikit_learn(occurring: int):
    predictions, labels = drawn(occurring)
    report = ClassificationReport(EXPRESSIONS)
    report.update(predictions, labels)
    result = report.compute()
    assert result["accuracy"].item() == pytest.approx(accuracy_score(labels, predictions))
    assert result["balanced_accuracy"].item() == pytest.approx(balanced_accuracy_score(labels, predictions))
    assert result["macro_f1"].item() == pytest.approx(f1_score(labels, predictions, average="macro"))
    counts = torch.from_numpy(confusion_matrix(labels, predictions, labels=range(7)))
    torch.testing.assert_close(result["counts"], counts)
    torch.testing.assert_close(
        result["confusion"][:occurring], counts[:occurring] / counts[:occurring].sum(1, keepdim=True).double()
    )


def test_an_absent_class_has_no_recall():
    report = ClassificationReport(EXPRESSIONS)
    report.update(torch.tensor([0, 1]), torch.tensor([0, 0]))
    result = report.compute()
    assert result["recall"][0].item() == 0.5
    assert result["recall"][1:].isnan().all()
    assert result["macro_f1"].item() == pytest.approx((2 / 3 + 0) / 2)


def test_logits_are_accepted_and_unknown_labels_left_out():
    report = ClassificationReport(("a", "b"))
    report.update(torch.tensor([[2.0, 1.0], [0.0, 1.0], [5.0, 0.0]]), torch.tensor([0, 0, -1]))
    assert report.compute()["accuracy"].item() == 0.5
    assert report.compute()["counts"].tolist() == [[1, 1], [0, 0]]


def test_two_processes_merge_by_adding_their_states():
    predictions, labels = drawn()
    whole, one, other = (ClassificationReport(EXPRESSIONS) for _ in range(3))
    whole.update(predictions, labels)
    one.update(predictions[:100], labels[:100])
    other.update(predictions[100:], labels[100:])
    one.merge_state(other)
    torch.testing.assert_close(whole.compute(), one.compute())


def test_wrong_shapes_are_named():
    with pytest.raises(InputError, match=r"\(3,\) and \(2,\)"):
        ClassificationReport(EXPRESSIONS).update(torch.zeros(3).long(), torch.zeros(2).long())
