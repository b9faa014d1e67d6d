"""The options of every ``unet-mic`` command, with their defaults and explanations."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_unet_mic import __version__
from napari_unet_mic.evaluation.lesion import BINS_ML, MATCHES
from napari_unet_mic.option_kinds import (
    DATASET_HELP,
    AddCommand,
    at_least,
    device_option,
    fold,
    mirroring_option,
    patient_options,
    planner_options,
    precision_option,
    smallest,
)
from napari_unet_mic.train_options import add_train


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default where there is one worth reading."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="unet-mic",
        description="Plan, train, predict with and inspect plan-derived U-Nets for 3-D "
        "medical images; everything the napari panels do.",
    )
    parser.add_argument("--version", action="version", version=f"unet-mic {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, explains: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=explains,
            description=explains,
            formatter_class=_Formatter,
        )

    for add in (
        _add_check,
        _add_fingerprint,
        _add_plan,
        _add_network,
        _add_preprocess,
        add_train,
        _add_resume,
        _add_predict,
        _add_evaluate,
        _add_report,
        _add_sample,
        _add_demo,
        _add_info,
    ):
        add(command)
    commands.add_parser("worker", description="the prediction process that the panels start")
    return parser


def _add_check(command: AddCommand) -> None:
    one = command("check", "findings about a dataset and its splits")
    one.add_argument("dataset", metavar="DATASET", type=Path, help=DATASET_HELP)
    patient_options(one)
    one.add_argument("--splits", metavar="FILE", type=Path, help="a splits_final.json to judge")
    one.add_argument(
        "--grouped-splits",
        metavar="FILE",
        type=Path,
        help="write folds that keep a patient's cases together, as a splits_final.json",
    )
    one.add_argument(
        "--no-leaks", action="store_true", help="do not compare all images with each other"
    )
    one.add_argument(
        "--run",
        metavar="RUN_FOLDER",
        type=Path,
        help="also compare this run's losses on plain training and validation patches",
    )
    one.add_argument("--json", action="store_true", help="print the findings as JSON")
    one.add_argument("--all", action="store_true", help="print more than ten of one kind")
    one.add_argument(
        "--test",
        metavar="CASE",
        nargs="+",
        default=(),
        help="cases held out for the test beside those that the dataset holds out",
    )
    one.add_argument(
        "--progress",
        choices=("bar", "lines"),
        default="bar",
        help="on stderr: a bar, or lines of JSON (what the Dataset panel reads)",
    )


def _add_fingerprint(command: AddCommand) -> None:
    one = command("fingerprint", "shapes, spacings and intensities of the training cases")
    one.add_argument("dataset", metavar="DATASET", type=Path, help=DATASET_HELP)
    one.add_argument(
        "-o", "--output", type=Path, default=Path("dataset_fingerprint.json"), help="file to write"
    )


def _add_plan(command: AddCommand) -> None:
    one = command("plan", "make nnU-Net v2 plans")
    one.add_argument("dataset", metavar="DATASET", type=Path, nargs="?", help=DATASET_HELP)
    one.add_argument("--fingerprint", metavar="F", type=Path, help="a dataset_fingerprint.json")
    one.add_argument("--dataset-json", metavar="D", type=Path, help="the dataset.json beside it")
    one.add_argument("-o", "--output", metavar="PLANS", type=Path, help="plans.json to write")
    planner_options(one)


def _add_network(command: AddCommand) -> None:
    one = command("network", "print or draw the network that a plan describes")
    one.add_argument("plans", metavar="PLANS", type=Path, help="plans.json, or a v1 plans pickle")
    one.add_argument("--configuration", metavar="C", help="when left out: 3d_fullres if there")
    one.add_argument("--dataset-json", metavar="D", type=Path, help="gives channels and classes")
    one.add_argument("--json", action="store_true", help="print it as JSON")
    one.add_argument("--picture", metavar="FILE", type=Path, help="draw it as .svg or .png")


def _add_preprocess(command: AddCommand) -> None:
    one = command("preprocess", "prepare the cases of a dataset for one configuration")
    one.add_argument("dataset", metavar="DATASET", type=Path, help=DATASET_HELP)
    one.add_argument("--workspace", metavar="W", type=Path, required=True, help="workspace folder")
    one.add_argument("--configuration", metavar="C", default="3d_fullres", help="which one")
    one.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler to share the work")


def _add_resume(command: AddCommand) -> None:
    one = command("resume", "go on with a run from its last checkpoint")
    one.add_argument("run_folder", metavar="RUN_FOLDER", type=Path, help="W/runs/RUN")


def _add_predict(command: AddCommand) -> None:
    one = command("predict", "predict label maps with a trained model")
    one.add_argument("model", metavar="MODEL", type=Path, help="a run or an nnU-Net model folder")
    one.add_argument(
        "input", metavar="INPUT", type=Path, nargs="+", help="image files, or a folder of them"
    )
    one.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help="a folder")
    one.add_argument("--folds", nargs="+", metavar="K", type=fold, help="all found when left out")
    one.add_argument(
        "--checkpoint", choices=("final", "best", "latest"), default="final", help="which weights"
    )
    mirroring_option(one)
    one.add_argument("--probabilities", action="store_true", help="write OUT/CASE.npz as well")
    device_option(one)
    precision_option(one)
    one.add_argument("--memory-gb", metavar="G", type=float, help="do not use more memory")
    one.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler to share the work")


def _add_lesions(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--lesion-classes",
        metavar="K",
        nargs="+",
        type=at_least(1),
        help="classes whose lesions (connected components) are counted; left out: classes named "
        "like lesions, else those that come in many sizes, else the smallest",
    )
    one.add_argument(
        "--match",
        choices=tuple(MATCHES),
        default="any",
        help="when a lesion counts as found, in lesions.csv: any overlap, IoU > 0.1, IoU >= 0.5",
    )
    one.add_argument(
        "--smallest-lesion",
        metavar="SIZE",
        type=smallest,
        help="smaller lesions count nowhere: ml (0.05) or voxels (5voxels); left out: all count",
    )
    one.add_argument(
        "--size-bins",
        metavar="ML",
        nargs="+",
        type=float,
        default=BINS_ML,
        help="sizes in ml between the bins of the recall by size",
    )
    one.add_argument(
        "--probabilities",
        metavar="FOLDER",
        type=Path,
        help="a folder with CASE.npz, as predict --probabilities writes them: mean and highest "
        "probability of the class inside every lesion",
    )


def _add_evaluate(command: AddCommand) -> None:
    one = command("evaluate", "predictions against references")
    one.add_argument("--reference", metavar="R", type=Path, required=True, help="file or folder")
    one.add_argument("--prediction", metavar="P", type=Path, required=True, help="file or folder")
    one.add_argument(
        "--against",
        metavar="P2",
        type=Path,
        help="a second prediction: what it fixed and broke, which lesions it gained and lost",
    )
    one.add_argument("--dataset-json", metavar="D", type=Path, help="gives the classes' names")
    one.add_argument("--tolerance-mm", type=float, default=1.0, help="tolerance of NSD")
    _add_lesions(one)
    one.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help="a folder")


def _add_report(command: AddCommand) -> None:
    one = command("report", "an HTML report of an evaluation, a run, or two folders")
    one.add_argument("source", metavar="EVALUATION_OR_RUN", type=Path, nargs="?", help="a folder")
    one.add_argument("--reference", metavar="R", type=Path, help="file or folder")
    one.add_argument("--prediction", metavar="P", type=Path, help="file or folder")
    one.add_argument("-o", "--output", type=Path, required=True, help="report.html to write")


def _add_sample(command: AddCommand) -> None:
    one = command("sample", "write a synthetic dataset in Decathlon layout")
    one.add_argument("kind", choices=("liver", "prostate"), help="liver+tumour CT, or T2+ADC MR")
    one.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    one.add_argument("--cases", type=at_least(1), default=12, help="how many cases")
    one.add_argument("--seed", type=int, default=0, help="other seeds, other patients")
    one.add_argument(
        "--tumours-ml",
        metavar="ML",
        nargs="+",
        type=float,
        help="liver: a tumour of each of these volumes (left out: two to six, 0.05 to 50 ml)",
    )


def _add_demo(command: AddCommand) -> None:
    one = command("demo", "plan, train briefly, predict and inspect a synthetic dataset")
    one.add_argument(
        "-o", "--output", type=Path, default=Path("demo-output"), help="folder for all it makes"
    )


def _add_info(command: AddCommand) -> None:
    one = command("info", "versions and devices: what to paste into a bug report")
    one.add_argument("--json", action="store_true", help="print it as JSON")
