import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, one_hot

from aucue.cams import ClassMap
from aucue.classifiers import Classifier
from aucue.classifiers.backbones import create_backbone
from aucue.classifiers.regularisers import ADL, _box, adl_blocks, cutmix
from aucue.cues import Cue
from aucue.errors import InputError

FEATURES = torch.tensor([[0.0, 6.0, 8.0], [0.0, 4.0, 12.0]]).view(1, 2, 1, 3)  # means 0, 5, 10


def test_adl_hides_what_is_attended_to() -> None:
    mask = ADL(threshold=0.1).mask(FEATURES, torch.tensor(True))  # below 1 of 10
    torch.testing.assert_close(mask.flatten(), torch.tensor([1.0, 0.0, 0.0]))
    mask = ADL(threshold=0.6).mask(FEATURES, torch.tensor(True))
    torch.testing.assert_close(mask.flatten(), torch.tensor([1.0, 1.0, 0.0]))


def test_adl_stresses_it_otherwise() -> None:
    mask = ADL().mask(FEATURES, torch.tensor(False))
    torch.testing.assert_close(mask.flatten(), torch.tensor([0.0, 5.0, 10.0]).sigmoid())


def test_adl_draws_at_its_rate_in_training_alone() -> None:
    adl, block = ADL(drop_rate=0.3), nn.Identity()
    hidden = sum(bool(adl(block, (), FEATURES)[0, 0, 0, 2] == 0) for _ in range(1000))
    assert 250 < hidden < 350  # 300 +- 3.4 standard deviations
    assert adl(block.eval(), (), FEATURES) is FEATURES


def test_adl_sits_where_it_was_published() -> None:
    assert adl_blocks(create_backbone("resnet50", 64, {})) == ("layer3.0", "layer4.0", "layer4.2")


@pytest.mark.parametrize(
    ("backbone", "blocks"),
    [
        ("test_resnet", ("layer3.0", "layer4.0")),
        ("test_convnext", ("stages.2.blocks.0", "stages.3.blocks.0", "stages.3.blocks.1")),
        ("mobilenetv3_small_050", ("blocks.3.0", "blocks.5.0")),
    ],
)
def test_adl_sits_alike_in_other_networks(backbone: str, blocks: tuple[str, ...]) -> None:
    classifier = Classifier(backbone, input_size=64, method="adl")
    assert adl_blocks(classifier.backbone) == blocks
    classifier(torch.rand(2, 3, 64, 64)).logits.sum().backward()


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("test_vit", {}),
        ("swin_tiny_patch4_window7_224", {"window_size": 4, "embed_dim": 24, "depths": (1, 1, 1, 1)}),
    ],
)
def test_adl_refuses_tokens(backbone: str, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="adl: needs a convolutional backbone"):
        Classifier(backbone, input_size=64, backbone_options=options, method="adl")


@pytest.mark.parametrize("mirror", [False, True])
def test_the_published_map_is_read_one_block_early(mirror: bool) -> None:
    classifier = Classifier("test_convnext", input_size=64, method="adl", mirror=mirror).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        maps = classifier.class_map(classifier(images), None, "adl-fg2024", images=images)
        normal = (images - classifier.mean) / classifier.std
        features = _first_of_two_blocks(classifier.backbone, normal)
        if mirror:
            flipped = _first_of_two_blocks(classifier.backbone, normal.flip(3))
            features = (features + flipped.flip(3)) / 2
        expected = torch.einsum("kc,bchw->bkhw", classifier.head.fc.weight, features)  # pyright: ignore
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)


def _first_of_two_blocks(convnext: Any, images: Tensor) -> Tensor:
    last = convnext.stages[3]
    return last.blocks[0](last.downsample(convnext.stages[:3](convnext.stem(images))))


def test_a_last_stage_of_one_block_has_none_before() -> None:
    classifier = Classifier("test_resnet", input_size=64, method="adl").eval()
    images = torch.rand(1, 3, 64, 64)
    with pytest.raises(InputError, match="the last stage, layer4, has no two"):
        classifier.class_map(classifier(images), None, "adl-fg2024", images=images)


def test_other_networks_are_read_by_their_layer() -> None:
    with pytest.raises(InputError, match="name the layer that is to be read"):
        ClassMap(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.LazyLinear(2)), "0", "adl-fg2024")(
            torch.rand(1, 3, 4, 4)
        )


def pair() -> tuple[Classifier, Classifier]:
    """A plain classifier and one with ADL, of the same weights."""
    plain, regularised = (Classifier("test_resnet", input_size=64, method=name) for name in ("cam", "adl"))
    regularised.load_state_dict(plain.state_dict())
    return plain, regularised


def test_adl_is_absent_at_evaluation() -> None:
    plain, regularised = pair()
    images = torch.rand(2, 3, 64, 64)
    expected = plain.eval()(images)
    torch.testing.assert_close(regularised.eval()(images), expected, atol=0, rtol=0)


def test_adl_changes_training_from_its_first_block_on() -> None:
    plain, regularised = pair()
    images = torch.rand(2, 3, 64, 64)
    before, after = plain(images).features, regularised(images).features
    torch.testing.assert_close(after["layer2"], before["layer2"])
    # test_resnet's layer3 is one block: it comes out multiplied, by a factor in [0, 1] per cell
    share = after["layer3"] / before["layer3"].clamp_min(1e-6)
    seen = before["layer3"] > 1e-3
    assert (share[seen] < 1).all()
    torch.testing.assert_close(
        torch.where(seen, share, 0).amax(1), torch.where(seen, share, torch.inf).amin(1), atol=1e-3, rtol=0
    )


def test_adl_survives_copies_pickles_and_compilation() -> None:
    _, regularised = pair()
    images = torch.rand(2, 3, 64, 64)

    def draw(classifier: Any) -> Tensor:
        torch.manual_seed(3)
        return classifier(images).features["layer4"]

    for module in regularised.modules():  # statistics would change from pass to pass
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0
    expected = draw(regularised)
    compiled = torch.compile(copy.deepcopy(regularised), backend="eager", fullgraph=True)
    for twin in (copy.deepcopy(regularised), pickle.loads(pickle.dumps(regularised)), compiled):
        torch.testing.assert_close(draw(twin), expected)


@pytest.mark.parametrize(
    ("draw", "box"),
    [
        ((0.75, 0.5, 0.5), (2, 6, 2, 6)),  # a quarter of 8 x 8 around the centre
        ((0.75, 0.5, 0.0), (0, 2, 2, 6)),  # half of it above the image
        ((0.0, 0.5, 0.5), (0, 8, 0, 8)),
        ((1.0, 0.5, 0.5), (4, 4, 4, 4)),
    ],
)
def test_box_by_hand(draw: tuple[float, ...], box: tuple[int, ...]) -> None:
    assert _box(8, 8, torch.tensor(draw)) == box


def batch(seed: int, grid: int = 12) -> tuple[Tensor, Tensor, Cue]:
    """Images whose colour is their number, one class each, and random maps; sample 2 has none."""
    torch.manual_seed(seed)
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 3, 12, 12).contiguous()
    valid = torch.arange(6) != 2
    return images, one_hot(torch.arange(6), 6).float(), Cue(torch.rand(6, 1, grid, grid), valid)


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_pastes_images_targets_and_cues_alike(seed: int) -> None:
    images, targets, cue = batch(seed)
    mixed = cutmix(images, targets, cue)
    assert mixed.cue is not None
    assert mixed.images.dtype == torch.uint8
    for number in range(6):
        picture = mixed.images[number, 0].long()  # every pixel tells whose it is
        shares = torch.bincount(picture.flatten(), minlength=6) / 144
        torch.testing.assert_close(mixed.targets[number], shares)
        expected = cue.map[:, 0].gather(0, picture[None]).squeeze(0)
        torch.testing.assert_close(mixed.cue.map[number, 0], expected)
        others = picture[picture != number].unique().tolist()
        assert bool(mixed.cue.valid[number]) or 2 in (number, *others) or not others
        assert not (mixed.cue.valid[number] and 2 in (number, *others))


@pytest.mark.parametrize("seed", range(4))
def test_coarse_cues_are_mixed_by_area(seed: int) -> None:
    images, targets, coarse = batch(seed, grid=3)
    fine = Cue(interpolate(coarse.map, (12, 12), mode="nearest"), coarse.valid)
    mixed = [cutmix(images, targets, cue, torch.Generator().manual_seed(seed)) for cue in (coarse, fine)]
    assert mixed[0].cue is not None
    assert mixed[1].cue is not None
    torch.testing.assert_close(mixed[0].cue.map, adaptive_avg_pool2d(mixed[1].cue.map, 3))


def test_cutmix_leaves_what_it_is_given_and_draws_from_its_generator() -> None:
    images, targets, cue = batch(0)
    kept = images.clone(), targets.clone(), cue.map.clone()
    first, again = (cutmix(images, targets, cue, torch.Generator().manual_seed(5)) for _ in range(2))
    torch.testing.assert_close((images, targets, cue.map), kept, atol=0, rtol=0)
    torch.testing.assert_close(first, again, atol=0, rtol=0)
    unguided = cutmix(images, targets, None, torch.Generator().manual_seed(5))
    assert unguided.cue is None
    torch.testing.assert_close(unguided[:2], first[:2], atol=0, rtol=0)


def test_kept_share_is_uniform_but_for_the_border() -> None:
    """A box that sticks out pastes less than was drawn, so that the mean kept share lies above one half."""
    images, targets, _ = batch(0)
    generator = torch.Generator().manual_seed(0)
    kept = torch.stack([cutmix(images, targets, None, generator).targets.amax(1).mean() for _ in range(300)])
    assert 0.6 < kept.mean() < 0.85
