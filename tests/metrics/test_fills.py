import cv2
import pytest
import torch

from aucue.metrics import FILLS, blur_fill, flat_fill, mean_fill


def test_mean_fill_by_hand():
    images = torch.tensor([[[[0.0, 1], [0, 1]], [[0.2, 0.2], [0.2, 0.2]]]])
    torch.testing.assert_close(mean_fill(images)[0, :, 0, 0], torch.tensor([0.5, 0.2]))
    assert mean_fill(images).shape == images.shape


def test_blur_equals_opencv():
    image = torch.rand(1, 3, 40, 40)
    expected = cv2.GaussianBlur(
        image[0].permute(1, 2, 0).numpy(), (17, 17), 4.0, borderType=cv2.BORDER_REFLECT_101
    )
    torch.testing.assert_close(
        blur_fill(image, sigma=0.1)[0].permute(1, 2, 0), torch.from_numpy(expected), atol=1e-5, rtol=0
    )


def test_blur_of_a_wide_image_is_relative_to_each_side():
    wide = torch.zeros(1, 1, 20, 60)
    wide[0, 0, 10, 30] = 1
    blurred = blur_fill(wide, sigma=0.05)[0, 0]
    down, right = blurred[:, 30] / blurred[10, 30], blurred[10] / blurred[10, 30]
    # one standard deviation is 1 pixel down, 3 pixels to the right: both fall to exp(-1/2)
    assert down[11].item() == pytest.approx(right[33].item(), abs=1e-5)
    assert down[11].item() == pytest.approx(0.6065, abs=1e-4)


@pytest.mark.parametrize("name", FILLS)
def test_a_uniform_image_is_its_own_fill(name: str):
    images = torch.rand(2, 3, 1, 1).expand(-1, -1, 24, 24)
    torch.testing.assert_close(FILLS[name](images), images)


def test_the_mean_colour_of_a_region():
    images = torch.arange(16.0).view(1, 1, 4, 4).expand(1, 3, 4, 4)
    region = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    assert (flat_fill(images, region) == 0).all()
    region[..., 1, :2] = True  # 4 and 5
    assert flat_fill(images, region).shape == (1, 3, 1, 1)
    assert (flat_fill(images, region) == 4.5).all()
