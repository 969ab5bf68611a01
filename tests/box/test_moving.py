import torch

from box.moving import moved, moved_batch

FACES = torch.randint(0, 256, (2, 3, 20, 20), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_a_shift_moves_whole_pixels_and_the_border_goes_on() -> None:
    shifted = moved(FACES, right=0.1, down=-0.05)  # two pixels to the right, one up
    assert torch.equal(shifted[..., :-1, 2:], FACES[..., 1:, :-2])
    assert torch.equal(shifted[..., -1, 2:], FACES[..., -1, :-2])
    assert torch.equal(shifted[..., :-1, 0], FACES[..., 1:, 0])


def test_each_face_has_its_own_shift() -> None:
    shifted = moved(FACES, right=torch.tensor([0.0, 0.05]))
    assert torch.equal(shifted[0], FACES[0])
    assert torch.equal(shifted[1, ..., 1:], FACES[1, ..., :-1])


def test_a_quarter_turn_is_that_of_torch() -> None:
    turned = moved(FACES, degrees=90)
    exact = [torch.equal(turned, torch.rot90(FACES, k, (2, 3))) for k in (1, 3)]
    assert sum(exact) == 1


def test_twice_as_large_keeps_the_middle() -> None:
    ramp = torch.arange(20, dtype=torch.uint8).mul(8).expand(1, 3, 20, 20).contiguous()
    larger = moved(ramp, scale=2.0)[0, 0, 0].float()
    assert torch.allclose(larger[1:] - larger[:-1], torch.full((19,), 4.0), atol=1)
    assert abs(larger[9:11].mean() - 76) <= 1


def test_landmarks_go_where_the_faces_go() -> None:
    points = torch.tensor([[6.0, 9.0], [12.0, 11.0]])  # two of the faces, bright on black
    faces = torch.zeros(2, 3, 20, 20, dtype=torch.uint8)
    for face, (x, y) in enumerate(points.int().tolist()):
        faces[face, :, y, x] = 255
    batch = {"image": faces, "landmarks": points[:, None].expand(2, 68, 2), "other": points}
    how = [torch.tensor(each) for each in ([0.1, -0.05], [0.05, 0.1], [0.0, 90.0], [1.0, 1.0])]
    result = moved_batch(batch, torch.tensor([False, True]), *how)
    for face, landmarks in zip(result["image"], result["landmarks"], strict=True):
        y, x = divmod(int(face[0].flatten().argmax()), 20)
        torch.testing.assert_close(landmarks[0], torch.tensor([float(x), float(y)]), atol=1e-3, rtol=0)
    assert torch.equal(result["image"], moved(torch.stack([faces[0], faces[1].flip(-1)]), *how))
    assert result["other"] is points
    expected = torch.zeros(1, 20, 20, dtype=torch.bool)
    expected[:, :, :2], expected[:, :1] = True, True  # right by two pixels, down by one
    assert torch.equal(result["hidden"][0], expected)
