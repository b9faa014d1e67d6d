"""The options of every ``unet-mic`` command, with their defaults and explanations."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from napari_unet_mic import __version__
from napari_unet_mic.errors import BadInput
from napari_unet_mic.evaluation.lesion import BINS_ML, MATCHES, Smallest

PLANNERS = ("default", "resenc-m", "resenc-l", "resenc-xl")
DATASET_HELP = "a Decathlon folder, an nnU-Net raw folder, or their dataset.json"

AddCommand = Callable[[str, str], argparse.ArgumentParser]


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default where there is one worth reading."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def _fold(word: str) -> int | str:
    if word == "all":
        return word
    if word.isdigit():
        return int(word)
    raise argparse.ArgumentTypeError(f"'{word}' is neither a fold number nor 'all'")


def _training_fold(word: str) -> int | str:
    return word if word == "each" else _fold(word)


def _at_least(least: int) -> Callable[[str], int]:
    def number(word: str) -> int:
        value = int(word)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is below {least}")
        return value

    return number


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

    one = command("check", "findings about a dataset and its splits")
    one.add_argument("dataset", metavar="DATASET", type=Path, help=DATASET_HELP)
    _patient_options(one)
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

    one = command("fingerprint", "shapes, spacings and intensities of the training cases")
    one.add_argument("dataset", metavar="DATASET", type=Path, help=DATASET_HELP)
    one.add_argument(
        "-o", "--output", type=Path, default=Path("dataset_fingerprint.json"), help="file to write"
    )
    _add_plan(command)
    _add_train(command)
    _add_predict(command)
    _add_evaluate(command)

    one = command("sample", "write a synthetic dataset in Decathlon layout")
    one.add_argument("kind", choices=("liver", "prostate"), help="liver+tumour CT, or T2+ADC MR")
    one.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    one.add_argument("--cases", type=_at_least(1), default=12, help="how many cases")
    one.add_argument("--seed", type=int, default=0, help="other seeds, other patients")
    one.add_argument(
        "--tumours-ml",
        metavar="ML",
        nargs="+",
        type=float,
        help="liver: a tumour of each of these volumes (left out: two to six, 0.05 to 50 ml)",
    )

    one = command("demo", "plan, train briefly, predict and inspect a synthetic dataset")
    one.add_argument(
        "-o", "--output", type=Path, default=Path("demo-output"), help="folder for all it makes"
    )

    one = command("info", "versions and devices: what to paste into a bug report")
    one.add_argument("--json", action="store_true", help="print it as JSON")
    commands.add_parser("worker", description="the prediction process that the panels start")
    return parser


def _patient_options(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--patients",
        metavar="FILE",
        type=Path,
        help="which case is which patient: JSON {case: patient} or CSV case,patient",
    )
    one.add_argument(
        "--patient-pattern",
        metavar="PATTERN",
        help="read patients out of case names, such as 'sub-{patient}_*'; {pair} is a number of "
        "which 2k-1 and 2k are one patient",
    )


def _planner_options(one: argparse.ArgumentParser) -> None:
    one.add_argument("--planner", choices=PLANNERS, default="default", help="the planning rules")
    one.add_argument(
        "--gpu-memory-gb",
        metavar="G",
        type=float,
        help="memory target of the plan (when left out: 8; resenc-l 24; resenc-xl 40)",
    )


def _add_plan(command: AddCommand) -> None:
    one = command("plan", "make nnU-Net v2 plans")
    one.add_argument("dataset", metavar="DATASET", type=Path, nargs="?", help=DATASET_HELP)
    one.add_argument("--fingerprint", metavar="F", type=Path, help="a dataset_fingerprint.json")
    one.add_argument("--dataset-json", metavar="D", type=Path, help="the dataset.json beside it")
    one.add_argument("-o", "--output", metavar="PLANS", type=Path, help="plans.json to write")
    _planner_options(one)

    one = command("network", "print or draw the network that a plan describes")
    one.add_argument("plans", metavar="PLANS", type=Path, help="plans.json, or a v1 plans pickle")
    one.add_argument("--configuration", metavar="C", help="when left out: 3d_fullres if there")
    one.add_argument("--dataset-json", metavar="D", type=Path, help="gives channels and classes")
    one.add_argument("--json", action="store_true", help="print it as JSON")
    one.add_argument("--picture", metavar="FILE", type=Path, help="draw it as .svg or .png")

    one = command("preprocess", "prepare the cases of a dataset for one configuration")
    one.add_argument("dataset", metavar="DATASET", type=Path, help=DATASET_HELP)
    one.add_argument("--workspace", metavar="W", type=Path, required=True, help="workspace folder")
    one.add_argument("--configuration", metavar="C", default="3d_fullres", help="which one")
    one.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler to share the work")


def _add_train(command: AddCommand) -> None:
    one = command("train", "make what is lacking, train, validate")
    one.add_argument("dataset", metavar="DATASET", type=Path, help=DATASET_HELP)
    one.add_argument("--workspace", metavar="W", type=Path, required=True, help="workspace folder")
    one.add_argument("--name", metavar="RUN", required=True, help="the run will be at W/runs/RUN")
    one.add_argument("--configuration", metavar="C", default="3d_fullres", help="of the plan")
    one.add_argument(
        "--fold",
        type=_training_fold,
        default=0,
        help="0 to 4; all (no validation cases are held out); each (the five in turn, gathered)",
    )
    one.add_argument("--plans", metavar="FILE", type=Path, help="use these plans, make none")
    _planner_options(one)
    one.add_argument("--epochs", metavar="N", type=_at_least(1), default=1000, help="how many")
    one.add_argument(
        "--iterations-per-epoch", metavar="M", type=_at_least(1), default=250, help="how many"
    )
    one.add_argument(
        "--validation-iterations", metavar="V", type=_at_least(0), default=50, help="per epoch"
    )
    one.add_argument(
        "--from",
        dest="start_from",
        metavar="MODEL_OR_CHECKPOINT",
        type=Path,
        help="start from these weights; output layers are made anew where the classes differ",
    )
    one.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    one.add_argument("--seed", type=int, default=0, help="the same seed gives the same run")
    one.add_argument("--splits", metavar="FILE", type=Path, help="a splits_final.json to use")
    one.add_argument(
        "--test",
        metavar="CASE",
        nargs="+",
        help="cases (or one file listing them) held out of fingerprint, plan and folds",
    )
    _patient_options(one)
    _recipe_options(one)
    _mirroring_option(one, "in the validation at the end, ")
    one.add_argument(
        "--checkpoint-minutes",
        metavar="MINUTES",
        type=float,
        help="keep a checkpoint this often within an epoch (when left out: 5)",
    )
    one.add_argument(
        "--estimate",
        action="store_true",
        help="start nothing: time a few iterations, and say how long the run would take",
    )
    one.add_argument("--json", action="store_true", help="print the estimate as JSON")

    one = command("resume", "go on with a run from its last checkpoint")
    one.add_argument("run_folder", metavar="RUN_FOLDER", type=Path, help="W/runs/RUN")


def _recipe_options(one: argparse.ArgumentParser) -> None:
    """Add what departs from nnU-Net's recipe; where left out, the preset's or nnU-Net's holds."""
    one.add_argument(
        "--preset",
        choices=("small-lesions",),
        help="settings that go together; options win over it",
    )
    one.add_argument(
        "--early-stopping",
        metavar="EPOCHS",
        type=_at_least(1),
        help="end when the moving average of the pseudo Dice has not risen for so many epochs",
    )
    one.add_argument("--batch-size", metavar="B", type=_at_least(1), help="instead of the plan's")
    one.add_argument(
        "--patch-size",
        metavar=("Z", "Y", "X"),
        nargs=3,
        type=_at_least(1),
        help="instead of the plan's, in its order of axes; Z = 1 for a 2-D configuration",
    )
    one.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16", "float16"),
        default="auto",
        help="auto: the fastest that the device does natively",
    )
    one.add_argument("--learning-rate", metavar="R", type=float, help="when left out: 0.01")
    one.add_argument(
        "--warm-up",
        metavar="ITERATIONS",
        type=_at_least(0),
        help="let the learning rate rise over so many iterations (when left out: 0)",
    )
    one.add_argument(
        "--augmentation",
        choices=("nnunet", "light", "none"),
        help="light: mirroring and small changes of intensity (when left out: nnunet)",
    )
    one.add_argument(
        "--oversampling",
        metavar="SHARE",
        type=float,
        help="share of a batch that must hold foreground (when left out: 0.33)",
    )
    one.add_argument(
        "--class-weights",
        metavar="W",
        nargs="+",
        type=float,
        help="of the cross entropy, one for each class, background first",
    )
    one.add_argument(
        "--focus-class",
        metavar="K",
        type=_at_least(1),
        help="centre patches on this class's components, each as likely as another",
    )


def _mirroring_option(one: argparse.ArgumentParser, where: str = "") -> None:
    one.add_argument(
        "--mirroring",
        action=argparse.BooleanOptionalAction,
        default=None,
        help=f"{where}average over mirrored images (left out: with a GPU on, on a CPU off: 8× the "
        "time)",
    )


def _add_predict(command: AddCommand) -> None:
    one = command("predict", "predict label maps with a trained model")
    one.add_argument("model", metavar="MODEL", type=Path, help="a run or an nnU-Net model folder")
    one.add_argument(
        "input", metavar="INPUT", type=Path, nargs="+", help="image files, or a folder of them"
    )
    one.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help="a folder")
    one.add_argument("--folds", nargs="+", metavar="K", type=_fold, help="all found when left out")
    one.add_argument(
        "--checkpoint", choices=("final", "best", "latest"), default="final", help="which weights"
    )
    _mirroring_option(one)
    one.add_argument("--probabilities", action="store_true", help="write OUT/CASE.npz as well")
    one.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    one.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16", "float16"),
        default="auto",
        help="auto: the fastest that the device does natively",
    )
    one.add_argument("--memory-gb", metavar="G", type=float, help="do not use more memory")
    one.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler to share the work")


def _add_lesions(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--lesion-classes",
        metavar="K",
        nargs="+",
        type=_at_least(1),
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
        type=_smallest,
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


def _smallest(word: str) -> Smallest:
    try:
        return Smallest.parse(word)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _add_evaluate(command: AddCommand) -> None:
    one = command("evaluate", "predictions against references")
    one.add_argument("--reference", metavar="R", type=Path, required=True, help="file or folder")
    one.add_argument("--prediction", metavar="P", type=Path, required=True, help="file or folder")
    one.add_argument(
        "--against", metavar="P2", type=Path, help="a second prediction: what it fixed and broke"
    )
    one.add_argument("--dataset-json", metavar="D", type=Path, help="gives the classes' names")
    one.add_argument("--tolerance-mm", type=float, default=1.0, help="tolerance of NSD")
    _add_lesions(one)
    one.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help="a folder")

    one = command("report", "an HTML report of an evaluation, a run, or two folders")
    one.add_argument("source", metavar="EVALUATION_OR_RUN", type=Path, nargs="?", help="a folder")
    one.add_argument("--reference", metavar="R", type=Path, help="file or folder")
    one.add_argument("--prediction", metavar="P", type=Path, help="file or folder")
    one.add_argument("-o", "--output", type=Path, required=True, help="report.html to write")
