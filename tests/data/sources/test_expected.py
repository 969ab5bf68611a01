from aucue.data import Finding, count_findings


def test_pairs_whose_numbers_differ_are_named() -> None:
    found = {("train", "anger"): 3990, ("test", "anger"): 1, ("val", "fear"): 2, ("test", "fear"): 0}
    expected = {("train", "anger"): 3995, ("train", "fear"): 1, ("test", "anger"): 5}
    assert count_findings(found, expected) == [
        Finding("train/anger", "3,990 samples instead of 3,995"),
        Finding("train/fear", "0 samples instead of 1"),
        Finding("test/anger", "1 sample instead of 5"),
        Finding("val/fear", "2 samples instead of 0"),
    ]


def test_nothing_is_found_where_all_is_there() -> None:
    counts = {("train", "anger"): 2, ("test", "fear"): 1}
    assert count_findings(counts, dict(counts)) == []
