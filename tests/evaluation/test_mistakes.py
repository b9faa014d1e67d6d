import cc3d
import numpy as np
import pytest
from scipy import ndimage

from napari_unet_mic.errors import GridMismatch
from napari_unet_mic.evaluation import error_voxels
from napari_unet_mic.evaluation.mistakes import Mistakes, regions_of

SPACING = (5.0, 0.5, 2.0)  # mm: a voxel is 0.005 ml


def ball(shape, centre, radius):
    return radius**2 >= np.sum((np.indices(shape).T - centre) ** 2, axis=-1).T


@pytest.fixture
def liver():
    """A liver with three tumours: one found, one lost to liver, one lost to outside."""
    reference = np.zeros((20, 40, 40), np.uint8)
    reference[2:18, 4:36, 4:36] = 1
    prediction = reference.copy()
    reference[5:9, 8:12, 8:12] = 2
    prediction[5:9, 8:12, 8:13] = 2
    reference[10:13, 20:23, 20:23] = 2
    reference[14, 30, 30] = 2
    prediction[14, 30, 30] = 0
    prediction[4:7, 28:31, 8:11] = 2  # liver taken for a tumour, far from any
    prediction[10:14, 4:10, 25:33] = 0  # a bite out of the liver
    prediction[1, 4:36, 4:36] = 1  # one slice too early
    return reference, prediction


def test_a_lost_tumour_is_a_missed_lesion_even_where_it_touches_the_border(liver):
    (region,) = regions_of(*liver, 2, 1, SPACING)
    assert region.kind == "missed lesion"
    assert region.voxels == 27
    assert region.ml == pytest.approx(27 * 0.005)
    assert region.box == (slice(10, 13), slice(20, 23), slice(20, 23))
    assert region.point == (10, 21, 21)
    assert region.slice == 10
    assert (region.true_class, region.predicted_class) == (2, 1)


def test_kinds_of_liver_errors(liver):
    rows = regions_of(*liver, 1, None, SPACING)
    assert [(row.rank, row.kind, row.voxels) for row in rows] == [
        (1, "inside", 4 * 5 * 8),
        (2, "spurious lesion", 27),
        (3, "rim", 4 * 1 * 8 + 16),
    ]
    assert (rows[2].true_class, rows[2].predicted_class) == (1, None)


def test_all_errors_and_one_column(liver):
    kinds = [row.kind for row in regions_of(*liver, None, None, SPACING)]
    assert (kinds[0], kinds[-1]) == ("inside", "rim")
    assert sorted(kinds[1:-1]) == ["missed lesion", "missed lesion", "spurious lesion"]
    column = regions_of(*liver, None, 2, SPACING)
    assert [(row.kind, row.voxels) for row in column] == [("spurious lesion", 27), ("rim", 16)]


def test_the_rim_can_stay_part_of_its_region(liver):
    (region,) = regions_of(*liver, 1, 0, SPACING, split_rim=False)
    assert region.kind == "inside"
    assert region.voxels == 4 * 6 * 8


def test_a_shell_of_one_voxel_is_all_rim_and_one_row():
    reference = ball((21, 21, 21), (10, 10, 10), 6).astype(np.uint8)
    prediction = np.zeros_like(reference)
    prediction[1:-1, 1:-1, 1:-1] = reference[1:-1, 1:-1, 1:-1]
    for axis in range(3):
        for shift in (-1, 1):
            prediction |= np.roll(reference, shift, axis)
    (rim,) = regions_of(reference, prediction, 0, 1, SPACING)
    assert rim.kind == "rim"
    assert rim.voxels == np.count_nonzero(reference != prediction)


def test_one_foreground_class_for_another_is_swapped_away_from_borders():
    reference = np.zeros((12, 12, 12), np.uint8)
    reference[:, :, :6], reference[:, :, 6:] = 1, 2
    prediction = reference.copy()
    prediction[4:8, 4:8, 1:6] = 2
    regions = regions_of(reference, prediction, 1, 2, SPACING)
    assert [(one.kind, one.voxels) for one in regions] == [("swapped class", 64), ("rim", 16)]


def test_a_missed_object_taken_for_two_classes_is_one_region():
    reference = np.zeros((5, 9, 9), np.uint8)
    reference[2, 3:6, 3:6] = 3
    prediction = np.zeros_like(reference)
    prediction[2, 3:6, 3:5] = 1
    row = regions_of(reference, prediction, 3, None, SPACING)
    assert [(one.kind, one.voxels, one.predicted_class) for one in row] == [
        ("missed lesion", 9, None)
    ]
    cell = regions_of(reference, prediction, 3, 1, SPACING)
    assert [(one.kind, one.voxels) for one in cell] == [("missed lesion", 6)]


def test_the_point_is_a_voxel_of_the_region_though_its_centroid_is_not():
    reference = np.zeros((3, 30, 30), np.uint8)
    prediction = np.zeros_like(reference)
    rows, columns = np.indices((30, 30)) - 15
    ring = np.abs(np.hypot(rows, columns) - 10) < 2.5
    prediction[1] = ring
    (region,) = regions_of(reference, prediction, 0, 1, SPACING)
    assert prediction[region.point] == 1
    row, column = region.point[1] - 15, region.point[2] - 15
    assert np.hypot(row, column) == pytest.approx(10, abs=1)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_slice_is_the_one_of_largest_area_across_the_asked_axis(axis):
    reference = np.zeros((9, 9, 9), np.uint8)
    prediction = reference.copy()
    prediction[3:6, 3:6, 3:6] = 1
    widest = [slice(2, 8)] * 3
    widest[axis] = 5
    prediction[tuple(widest)] = 1
    (region,) = regions_of(reference, prediction, 0, 1, SPACING, axis=axis)
    assert region.slice == 5
    assert region.point[axis] == 5
    assert prediction[region.point] == 1


@pytest.mark.parametrize("turn", ["transposed", "flipped", "fortran", "int64"])
def test_orientation_and_type_do_not_matter(liver, turn):
    reference, prediction = liver
    expected = regions_of(reference, prediction, None, None, SPACING)
    spacing = SPACING
    if turn == "transposed":
        maps = [array.transpose(2, 0, 1).copy().transpose(1, 2, 0) for array in liver]
    elif turn == "flipped":
        maps = [array[::-1, :, ::-1].copy()[::-1, :, ::-1] for array in liver]
    elif turn == "fortran":
        maps = [np.asfortranarray(array) for array in liver]
    else:
        maps = [reference.astype(np.int64), prediction.astype(np.int32)]
    found = regions_of(*maps, None, None, spacing)
    facts, expected_facts = (
        sorted((one.kind, one.voxels, str(one.box)) for one in regions)
        for regions in (found, expected)
    )
    assert facts == expected_facts
    assert all(reference[one.point] != prediction[one.point] for one in found)


def test_the_mask_of_a_region_lies_in_its_box(liver):
    reference, prediction = (array[:, ::-1].transpose(1, 0, 2) for array in liver)
    found = Mistakes.of(reference, prediction, SPACING).regions(1, None)
    wrong = (reference == 1) & (prediction != 1)
    for region in found.regions:
        mask = found.mask(region)
        assert mask.sum() == region.voxels
        assert wrong[region.box][mask].all()
        assert mask[0].any()
        assert mask[-1].any()
        corner = [one.start for one in region.box]
        assert mask[tuple(np.array(region.point) - corner)]
    everything = sum(region.voxels for region in found.regions)
    assert everything == wrong.sum()


def test_a_diagonal_cell_is_one_region_of_correct_voxels(liver):
    (region,) = regions_of(*liver, 1, 1, SPACING)
    assert region.kind == "correct"
    assert region.voxels == np.count_nonzero((liver[0] == 1) & (liver[1] == 1))
    assert liver[0][region.point] == liver[1][region.point] == 1
    flipped = [array[::-1].transpose(1, 2, 0) for array in liver]
    found = Mistakes.of(*flipped, SPACING).regions(1, 1)
    expected = (flipped[0] == 1) & (flipped[1] == 1)
    (region,) = found.regions
    assert np.array_equal(found.mask(region), expected[region.box])
    assert expected[region.point]
    assert Mistakes.of(*liver, SPACING).regions(9, 9).regions == ()


@pytest.mark.parametrize("many", [1_000_000, 0])
def test_ignored_voxels_are_no_mistakes_and_no_border(many, monkeypatch):
    monkeypatch.setattr(error_voxels, "MANY_VOXELS", many)
    reference = np.zeros((9, 9, 9), np.uint8)
    reference[:, :, 5:] = 2
    prediction = np.zeros_like(reference)
    prediction[2:7, 2:7, 2:9] = 1
    (region,) = regions_of(reference, prediction, 0, 1, SPACING, ignore=2)
    assert region.voxels == 5 * 5 * 3
    assert region.kind == "spurious lesion"


@pytest.mark.parametrize("cell", [(0, 1), (1, 0), (1, None), (None, 1), (None, None)], ids=str)
def test_no_mistakes_no_regions(cell):
    empty = np.zeros((4, 5, 6), np.uint8)
    found = Mistakes.of(empty, empty, SPACING).regions(*cell)
    assert found.regions == ()


def test_two_dimensions():
    reference = np.zeros((20, 20), np.uint8)
    prediction = reference.copy()
    reference[5:9, 5:10] = 1
    (region,) = regions_of(reference, prediction, 1, 0, (0.5, 2.0))
    assert region.kind == "missed lesion"
    assert region.box == (slice(5, 9), slice(5, 10))
    assert region.point in [(6, 7), (7, 7)]
    assert region.slice == 0
    assert region.ml == pytest.approx(0.02)
    assert Mistakes.of(reference, prediction, (0.5, 2.0)).regions(1, 0).mask(region).all()
    (correct,) = regions_of(reference, prediction, 0, 0, (0.5, 2.0))
    assert correct.voxels == 380
    assert len(correct.point) == 2


def lost_objects(own, other):
    """Every object of one map, looked up in the other."""
    lost = np.zeros(own.shape, bool)
    for value in (1, 2):
        objects = cc3d.connected_components(own == value)
        for n in range(1, objects.max() + 1):
            here = objects == n
            lost |= here & (not (other[here] == value).any())
    return lost


@pytest.mark.parametrize("many", [False, True], ids=["few", "many"])
@pytest.mark.parametrize("shape", [(24, 24, 24), (1, 40, 40), (5, 6, 70)], ids=str)
def test_kinds_equal_a_plain_search_over_whole_objects_and_neighbours(shape, many, monkeypatch):
    if many:
        monkeypatch.setattr(error_voxels, "MANY_VOXELS", 0)
        monkeypatch.setattr(error_voxels, "SLAB_VOXELS", 100)
    rng = np.random.default_rng(sum(shape))
    maps = []
    for smooth in rng.standard_normal((2, *shape)):
        for axis in range(3):
            smooth = sum(np.roll(smooth, shift, axis) for shift in (-1, 0, 1))
        maps.append(np.digitize(smooth, [4.0, 7.0]).astype(np.uint8))
    reference, prediction = maps
    wrong = reference != prediction
    both = (reference > 0) & (prediction > 0)
    border = ndimage.maximum_filter(reference, 3) != ndimage.minimum_filter(reference, 3)
    expected = np.where(both, "swapped class", "inside").astype(object)
    expected[border] = "rim"
    expected[lost_objects(prediction, reference)] = "spurious lesion"
    expected[lost_objects(reference, prediction)] = "missed lesion"
    expected[~wrong] = None
    found = Mistakes.of(reference, prediction, SPACING).regions(None, None)
    kinds = np.full(shape, None, object)
    for region in found.regions:
        kinds[region.box][found.mask(region)] = region.kind
    assert {"missed lesion", "spurious lesion", "rim"} <= set(kinds[wrong])
    assert np.array_equal(kinds, expected)


@pytest.mark.parametrize("tolerance_mm", [0.0, 1.0, 1.9, 2.0, 4.6])
@pytest.mark.parametrize("ignore", [None, 3])
@pytest.mark.parametrize("turn", [(0, 1, 2), (2, 0, 1)], ids=["as is", "transposed"])
def test_the_rim_is_one_voxel_or_the_tolerance_whichever_is_more(tolerance_mm, ignore, turn):
    """Another class among the 26 neighbours, or no further than the tolerance."""
    spacing = (2.0, 0.7, 1.0)
    reference = np.zeros((14, 30, 24), np.uint8)
    reference[2:12, 4:26, 3:16] = 1
    reference[5:9, 9:20, 6:12] = 2
    reference[6, 14, 18:24] = 3
    rng = np.random.default_rng(4)  # correct voxels everywhere: no object is lost
    prediction = np.where(rng.random(reference.shape) < 0.5, reference, (reference + 1) % 4)
    near = ndimage.maximum_filter(reference, 3) != ndimage.minimum_filter(reference, 3)
    if ignore == 3:
        near = np.zeros(reference.shape, bool)
        for value in (0, 1, 2):
            others = (reference != value) & (reference != ignore)
            near |= (reference == value) & ndimage.maximum_filter(others, 3)
    for value in range(4):
        others = (reference != value) & (reference != ignore)
        away = ndimage.distance_transform_edt(~others, sampling=spacing)
        near |= (reference == value) & (away <= tolerance_mm)
    wrong = (reference != prediction) & (reference != ignore)
    maps = [array.transpose(turn) for array in (reference, prediction)]
    found = Mistakes.of(
        *maps, [spacing[n] for n in turn], ignore=ignore, tolerance_mm=tolerance_mm
    ).regions(None, None)
    kinds = np.full(reference.shape, "", object).transpose(turn)
    for region in found.regions:
        kinds[region.box][found.mask(region)] = region.kind
    kinds = kinds.transpose(np.argsort(turn))
    kept = ~np.isin(kinds, ("missed lesion", "spurious lesion"))
    assert np.array_equal(kinds[wrong & kept] == "rim", near[wrong & kept])
    assert (kinds == "rim").any()
    assert (wrong & kept & ~near).any()


def test_confidence_is_the_mean_probability_of_the_true_class(liver):
    mistakes = Mistakes.of(*liver, SPACING)
    assert all(one.confidence is None for one in mistakes.regions(None, None).regions)
    errors = mistakes.errors
    z = np.unravel_index(errors.flat, errors.shape)[0]
    sure = mistakes.with_confidence((z / 100).astype(np.float16))
    (missed,) = sure.regions(2, 1).regions
    assert missed.confidence == pytest.approx(0.11, abs=1e-4)  # slices 10, 11 and 12
    everything = sure.regions(None, None).regions
    whole = sum(one.confidence * one.voxels for one in everything)
    assert whole == pytest.approx(z.sum() / 100, rel=1e-3)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_of_many_regions_the_largest_are_described_and_all_are_counted(liver, most):
    mistakes = Mistakes.of(*liver, SPACING)
    whole, part = mistakes.regions(1, None), mistakes.regions(1, None, most=most)
    assert [one.kind for one in whole.regions] == ["inside", "spurious lesion", "rim"]
    assert [one.voxels for one in part.regions] == {1: [48], 2: [160, 48], 3: [160, 27, 48]}[most]
    assert part.regions[-1].kind == "rim"
    assert (part.n_regions, part.n_voxels) == (whole.n_regions, whole.n_voxels) == (3, 235)
    assert all(part.mask(one).sum() == one.voxels for one in part.regions)
    lost = mistakes.regions(2, None, most=1)
    assert ([one.voxels for one in lost.regions], lost.n_regions, lost.n_voxels) == ([27], 2, 28)


def test_other_shapes_are_refused():
    with pytest.raises(GridMismatch, match=r"\(2, 2, 2\).*\(2, 2, 3\)"):
        regions_of(np.zeros((2, 2, 2), int), np.zeros((2, 2, 3), int), 0, 1, SPACING)
