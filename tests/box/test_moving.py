import torch

from box.moving import moved

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
