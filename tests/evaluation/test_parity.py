"""Our figures are nnU-Net's, surface-distance's and MONAI's.

`evaluation_golden.json` holds what the first two said about invented label maps (which are in
it) and about real pairs (which are not: those tests skip without the real data folder);
``benchmarks/evaluation_parity.py --golden`` writes it. MONAI is asked here.
"""

import base64
import json
import sys
import warnings
import zlib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from napari_unet_mic.data.volume import Volume
from napari_unet_mic.evaluation.overlap import scores_of
from napari_unet_mic.evaluation.summary import compare
from napari_unet_mic.evaluation.surface import surface_scores

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "evaluation_golden.json").read_text(encoding="utf-8"))
TOLERANCES_MM = GOLDEN["tolerances_mm"]
INVENTED = GOLDEN["invented"]
REAL = GOLDEN["real"]


def unpacked(text, dtype, shape):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape)


def maps_of(fact):
    return [unpacked(fact[role], np.uint8, fact["shape"]) for role in ("reference", "prediction")]


def monai_hd95(reference, prediction, spacing):
    from monai.metrics import compute_hausdorff_distance

    one_hot = [mask[None, None].astype(np.float32) for mask in (prediction, reference)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = compute_hausdorff_distance(
            *one_hot, include_background=True, percentile=95, spacing=[float(s) for s in spacing]
        )
    return float(found)


def check_surfaces(fact, found, tolerance):
    """HD95 and NSD where both maps hold a class; blank and 0, or blank, where they do not."""
    table = fact["table"]
    for row, value in enumerate(fact["values"]):
        if value == 0:
            assert value not in found
            continue
        in_reference = sum(table[row])
        in_prediction = sum(line[row] for line in table)
        if str(value) in fact["nsd"]:
            assert found[value].nsd == pytest.approx(fact["nsd"][str(value)][tolerance], abs=1e-6)
            expected = fact["hd95_mm"][str(value)]
            assert found[value].hd95_mm == pytest.approx(expected, rel=1e-6, abs=1e-6)
        else:
            assert not (in_reference and in_prediction)
            assert found[value].hd95_mm is None
            assert found[value].nsd == (0.0 if in_reference or in_prediction else None)


@pytest.mark.parametrize("name", INVENTED)
def test_counts_of_invented_pairs_are_nnunets(name):
    fact = INVENTED[name]
    reference, prediction = maps_of(fact)
    if reference.ndim == 2:
        reference, prediction = reference[None], prediction[None]
    spacing = (1.0, *fact["spacing_mm"])[-3:]
    volumes = [Volume.from_array(one, spacing_mm=spacing) for one in (reference, prediction)]
    classes = {value: f"class {value}" for value in fact["values"]}
    found = compare(*volumes, classes, ignore=fact["ignore"])
    assert found.table.tolist() == fact["table"]
    for value, score in found.scores.items():
        expected = fact["counts"][str(value)]
        assert {key: getattr(score, key) for key in expected} == expected


@pytest.mark.parametrize("tolerance", range(len(TOLERANCES_MM)), ids=map(str, TOLERANCES_MM))
@pytest.mark.parametrize("name", INVENTED)
def test_surfaces_of_invented_pairs_are_those_of_the_oracles(name, tolerance):
    fact = INVENTED[name]
    found = surface_scores(
        *maps_of(fact),
        fact["values"],
        fact["spacing_mm"],
        tolerance_mm=TOLERANCES_MM[tolerance],
        ignore=fact["ignore"],
    )
    check_surfaces(fact, found, tolerance)


@pytest.mark.parametrize("name", [name for name in INVENTED if INVENTED[name]["hd95_mm"]])
def test_monai_still_says_the_same(name):
    fact = INVENTED[name]
    reference, prediction = maps_of(fact)
    counted = np.ones(reference.shape, bool)
    if fact["ignore"] is not None:
        counted = reference != fact["ignore"]
    for value, expected in fact["hd95_mm"].items():
        masks = [(labels == int(value)) & counted for labels in (reference, prediction)]
        assert monai_hd95(*masks, fact["spacing_mm"]) == expected


@pytest.fixture(scope="session")
def real_pairs(shared):
    """The pairs of the benchmark, made by the benchmark itself."""
    spec = spec_from_file_location(
        "evaluation_parity", HERE.parents[1] / "benchmarks" / "evaluation_parity.py"
    )
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return {pair.name: pair for pair in module.real_pairs(shared)}


def test_every_real_pair_is_in_the_golden_file(real_pairs):
    assert sorted(real_pairs) == sorted(REAL)


@pytest.mark.parametrize("name", REAL)
def test_real_pairs(real_pairs, name):
    pair, fact = real_pairs[name], REAL[name]
    values = fact["values"]
    fact = {**fact, "table": unpacked(fact["table"], np.int64, (len(values),) * 2).tolist()}
    volumes = [
        Volume.from_array(one, spacing_mm=pair.spacing_mm)
        for one in (pair.reference, pair.prediction)
    ]
    found = compare(*volumes, tolerance_mm=TOLERANCES_MM[1])
    assert list(found.values) == values
    assert found.table.tolist() == fact["table"]
    assert [score.tp for score in scores_of(found.table)] == np.diag(fact["table"]).tolist()
    check_surfaces(fact, found.surfaces, 1)


def test_the_table_of_the_oracle_is_a_slow_count_too():
    for fact in INVENTED.values():
        reference, prediction = (one.ravel() for one in maps_of(fact))
        kept = reference != (-1 if fact["ignore"] is None else fact["ignore"])
        for row, true in enumerate(fact["values"]):
            for column, predicted in enumerate(fact["values"]):
                voxels = ((reference == true) & (prediction == predicted) & kept).sum()
                assert voxels == fact["table"][row][column]
