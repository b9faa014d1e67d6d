"""The other side of the comparisons: run by the Python that has nnunetv2, never by ours.

    NNUNET_PYTHON benchmarks/nnunet_side.py train JOB.json
    NNUNET_PYTHON benchmarks/nnunet_side.py predict JOB.json
    NNUNET_PYTHON benchmarks/nnunet_side.py preprocess JOBS.json

``train`` lets nnU-Net do everything from its raw folder on: fingerprint, plan (with the
job's small network put into it), preprocessing, a few iterations, export as a zip.
``predict`` lets it predict with a model folder or a zip it exported. ``preprocess`` lets it
prepare cases and bring logits back.
"""

import json
import os
import resource
import sys
import tempfile
import time
import zipfile
from pathlib import Path

NOWHERE = dict.fromkeys(("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"), "/nonexistent")


def train(job):
    """`raw` (DatasetXXX_Name), `configuration`, `network`, `folds`, `iterations`, `zip`."""
    raw = Path(job["raw"])
    root = Path(tempfile.mkdtemp())
    os.environ.update(
        nnUNet_raw=str(raw.parent),
        nnUNet_preprocessed=str(root / "preprocessed"),
        nnUNet_results=str(root / "results"),
        nnUNet_n_proc_DA="1",
        nnUNet_compile="f",
    )
    import numpy as np
    import torch
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api
    from nnunetv2.model_sharing.model_export import export_pretrained_model
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    number = int(raw.name[7:10])
    api.extract_fingerprint_dataset(number, num_processes=1, verbose=False)
    api.plan_experiment_dataset(number)
    prepared = root / "preprocessed" / raw.name
    plans_file = prepared / "nnUNetPlans.json"
    plans = json.loads(plans_file.read_text())
    name = job["configuration"]
    plans["configurations"] = {name: shrunk(plans["configurations"][name], job["network"])}
    plans_file.write_text(json.dumps(plans, indent=1))
    api.preprocess_dataset(number, configurations=[name], num_processes=[1])
    about = json.loads((prepared / "dataset.json").read_text())
    os.environ.update(nnUNet_n_proc_DA="0")  # patches are made in this process
    for fold in job["folds"]:
        np.random.seed(0)
        torch.manual_seed(0)
        again = {**json.loads(plans_file.read_text()), "continue_training": False}
        trainer = nnUNetTrainer(again, name, fold, about, torch.device("cpu"))
        trainer.num_epochs = 1
        trainer.num_iterations_per_epoch = job["iterations"]
        trainer.num_val_iterations_per_epoch = 2
        trainer.run_training()
        trainer.perform_actual_validation()
    model = root / "results" / raw.name / f"nnUNetTrainer__nnUNetPlans__{name}"
    whole = root / "whole.zip"
    export_pretrained_model(
        raw.name, str(whole), configurations=(name,), folds=tuple(job["folds"]), strict=False
    )
    copy_zip(whole, Path(job["zip"]))
    print(model)


def shrunk(configuration, network):
    """The planner's configuration with another patch, batch and (small) architecture."""
    arguments = configuration["architecture"]["arch_kwargs"]
    if "residual" in network["kind"].lower():
        arguments["n_blocks_per_stage"] = network["blocks"]
        arguments.pop("n_conv_per_stage", None)
        name = "ResidualEncoderUNet"
    else:
        arguments["n_conv_per_stage"] = network["blocks"]
        name = "PlainConvUNet"
    configuration["architecture"]["network_class_name"] = (
        f"dynamic_network_architectures.architectures.unet.{name}"
    )
    n = len(network["features"])
    arguments.update(
        n_stages=n,
        features_per_stage=network["features"],
        kernel_sizes=network["kernels"],
        strides=network["strides"],
        n_conv_per_stage_decoder=[1] * (n - 1),
    )
    return configuration | {"patch_size": network["patch"], "batch_size": network["batch"]}


def copy_zip(source, target):
    """The exported zip without the drawings that a model does not need."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if not name.endswith((".png", ".pdf", ".pkl")):
                new.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), old.read(name))


def predict(job):
    """`model`, `images` (folders), `runs`: [{folds, mirroring, out, probabilities}].

    With `float32_sums` nnU-Net adds up tiles in float32 instead of float16, whose smallest
    numbers are too coarse for the Gaussian weights at a volume's edge.
    """
    os.environ.update(NOWHERE)
    import torch

    if job.get("float32_sums"):
        torch.half = torch.float16 = torch.float32
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    model = Path(job["model"])
    if model.suffix == ".zip":
        folder = Path(tempfile.mkdtemp())
        with zipfile.ZipFile(model) as archive:
            archive.extractall(folder)
        model = next(folder.rglob("plans.json")).parent
    for run in job["runs"]:
        predictor = nnUNetPredictor(
            use_mirroring=run["mirroring"], device=torch.device("cpu"), allow_tqdm=False
        )
        predictor.initialize_from_trained_model_folder(str(model), tuple(run["folds"]))
        Path(run["out"]).mkdir(parents=True, exist_ok=True)
        predictor.predict_from_files_sequential(
            job["images"], run["out"], save_probabilities=run["probabilities"]
        )


def preprocess(jobs):
    """A list of {arrays: image, labels, spacing, logits; plans, dataset}; results lie beside."""
    os.environ.update(NOWHERE)
    import numpy as np
    from nnunetv2.inference.export_prediction import (
        convert_predicted_logits_to_segmentation_with_correct_shape as back,
    )
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    for job in jobs:
        arrays = dict(np.load(job["arrays"]))
        plans = PlansManager(job["plans"])
        configuration = plans.get_configuration("c")
        manager = plans.get_label_manager(job["dataset"])
        properties = {"spacing": arrays["spacing"].tolist()}
        given = arrays["labels"][None] if "labels" in arrays else None
        began = time.perf_counter()
        data, labels, properties = DefaultPreprocessor(verbose=False).run_case_npy(
            arrays["image"], given, properties, plans, configuration, job["dataset"]
        )
        seconds, peaks = [time.perf_counter() - began], [peak()]
        began = time.perf_counter()
        exported = back(arrays["logits"], plans, configuration, manager, properties)
        seconds.append(time.perf_counter() - began)
        peaks.append(peak())
        box = np.asarray(properties["bbox_used_for_cropping"])
        made = {"data": data, "labels": labels[0], "box": box, "exported": exported}
        np.savez(job["arrays"] + ".out.npz", **made, seconds=seconds, peaks=peaks)


def peak():
    """Largest resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forward(job):
    """The network of `plans` as nnU-Net runs it on a CPU: float32, the default allocator."""
    os.environ.update(NOWHERE)
    import torch
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    configuration = PlansManager(job["plans"]).get_configuration(job["configuration"])
    network = get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        job["channels"],
        job["classes"],
        deep_supervision=False,
    ).eval()
    image = torch.randn(1, job["channels"], *job["patch"])
    seconds = []
    with torch.inference_mode():
        for _ in range(job["repeats"] + 1):
            began = time.perf_counter()
            network(image)
            seconds.append(time.perf_counter() - began)
    print(json.dumps({"seconds": seconds[1:], "peak": peak()}))


COMMANDS = {"forward": forward, "train": train, "predict": predict, "preprocess": preprocess}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](json.loads(Path(sys.argv[2]).read_text()))
