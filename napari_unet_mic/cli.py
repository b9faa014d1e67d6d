"""The command line: ``unet-mic check | plan | train | predict | …``.

One function per command; whatever is heavy is imported inside it, so that
``unet-mic --help`` is immediate. Results go to stdout (``--json``: machine-readable),
progress and errors to stderr; an error is one sentence and exit status 1, wrong usage 2.
The options themselves are declared in `napari_unet_mic.options`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from napari_unet_mic.errors import BadInput, NotYet, UNetMicError
from napari_unet_mic.options import build_parser
from napari_unet_mic.reporting.progress import progress_bar, progress_line, stage_bars
from napari_unet_mic.train_options import run_settings

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from napari_unet_mic.data.integrity import Check
    from napari_unet_mic.evaluation.lesion import LesionQuestion
    from napari_unet_mic.planning.plan import Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is returned.

    Parameters
    ----------
    arguments
        The words after ``unet-mic``; those of the process when left out.
    """
    options = build_parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except UNetMicError as error:
        print(f"unet-mic: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("unet-mic: stopped; what was finished is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1


def say(sentence: str) -> None:
    """Tell the person something that is not a result (stderr)."""
    print(sentence, file=sys.stderr)


def as_json(record: object) -> None:
    """Print one JSON document on stdout."""
    print(json.dumps(record, indent=2, default=str))


def check(options: argparse.Namespace) -> int:
    """``unet-mic check``: findings about a dataset; 3 when one of them is an error."""
    from napari_unet_mic.data.integrity import Question, check_dataset
    from napari_unet_mic.data.patients import choose_patients
    from napari_unet_mic.data.split_check import write_grouped_splits
    from napari_unet_mic.reporting.check_text import check_text

    patients = choose_patients(options.dataset, options.patients, options.patient_pattern)
    question = Question(patients, options.splits, leaks=not options.no_leaks)
    progress = progress_line if options.progress == "lines" else stage_bars("check")
    found = check_dataset(options.dataset, question, progress=progress, held_out=options.test)
    report = found.to_json()
    if options.run:
        found, losses = _with_losses(found, options.run)
        report = {**found.to_json(), "losses": losses}
    if options.json:
        as_json(report)
    else:
        print(check_text(found, every=options.all))
    if options.grouped_splits:
        write_grouped_splits(options.grouped_splits, found.dataset, found.splits, found.groups)
        say(f"{options.grouped_splits}: folds that keep a patient's cases together")
    return 3 if found.has_errors else 0


def _with_losses(found: Check, run_folder: Path) -> tuple[Check, dict[str, Any]]:
    """Add to a check what a run's losses on plain patches say."""
    from dataclasses import replace

    from napari_unet_mic.data.findings import in_order
    from napari_unet_mic.training.leak_signs import measure_run
    from napari_unet_mic.training.run import Run

    run = Run.open(run_folder)
    losses = measure_run(run, found.groups, progress=progress_bar("check: losses"))
    say(f"{run.name}: {losses.sentence}")
    findings = in_order([*found.findings, *losses.findings(run)])
    return replace(found, findings=tuple(findings)), losses.to_json()


def report(options: argparse.Namespace) -> int:
    """``unet-mic report``: the HTML report."""
    raise NotYet("unet-mic report (the HTML report)")


def fingerprint(options: argparse.Namespace) -> int:
    """``unet-mic fingerprint``: shapes, spacings and intensities of the training cases."""
    from napari_unet_mic.data.dataset import open_dataset
    from napari_unet_mic.planning.fingerprint import extract

    dataset = open_dataset(options.dataset)
    extracted = extract(dataset, progress=progress_bar("fingerprint"))
    extracted.write(options.output)
    say(f"{options.output}: fingerprint of {len(extracted.shapes_after_crop)} training cases")
    return 0


def plan(options: argparse.Namespace) -> int:
    """``unet-mic plan``: nnU-Net v2 plans from a dataset, or from its fingerprint alone."""
    from napari_unet_mic.data.files import read_json
    from napari_unet_mic.planning.fingerprint import Fingerprint, extract
    from napari_unet_mic.planning.plan import write_plan
    from napari_unet_mic.planning.rules import plan_experiment

    if options.fingerprint or options.dataset_json:
        if not (options.fingerprint and options.dataset_json) or options.dataset:
            raise BadInput(
                "unet-mic plan",
                expected="a DATASET, or both --fingerprint and --dataset-json",
                got="something in between",
                advice="see unet-mic plan --help",
            )
        facts, about = Fingerprint.read(options.fingerprint), read_json(options.dataset_json)
        name = options.dataset_json.resolve().parent.name
    elif options.dataset:
        from napari_unet_mic.data.dataset import open_dataset

        dataset = open_dataset(options.dataset)
        facts, about = extract(dataset, progress=progress_bar("fingerprint")), dataset.nnunet_json()
        name = dataset.name
    else:
        raise BadInput(
            "unet-mic plan",
            expected="a DATASET, or --fingerprint and --dataset-json",
            got="neither",
            advice="see unet-mic plan --help",
        )
    made = plan_experiment(
        facts,
        about,
        planner=options.planner,
        gpu_memory_gb=options.gpu_memory_gb,
        dataset_name=name,
    )
    _show_plan(made)
    if options.output:
        write_plan(options.output, made)
        say(f"{options.output}: written")
    return 0


def _show_plan(made: Plan) -> None:
    for name in made.configurations:
        one = made.configuration(name)
        patch = "×".join(str(n) for n in one.patch_size)
        spacing = " ".join(f"{s:g}" for s in one.spacing)
        stages = one.architecture.n_stages
        print(
            f"{name}: patch {patch}, batch {one.batch_size}, spacing {spacing} mm, "
            f"{stages} stages = {stages - 1} poolings + 1"
        )


def network(options: argparse.Namespace) -> int:
    """``unet-mic network``: the stages of the network that a plan describes."""
    from napari_unet_mic.planning.describe import describe_plan_file

    facts = describe_plan_file(
        options.plans, configuration=options.configuration, dataset_json=options.dataset_json
    )
    if options.picture:
        from napari_unet_mic.planning.picture import draw

        for file in draw(facts, options.picture):
            say(f"{file}: drawn")
    if options.json:
        as_json(facts.to_json())
    else:
        print(facts.to_text())
    return 0


def preprocess(options: argparse.Namespace) -> int:
    """``unet-mic preprocess``: prepared cases of one configuration in a workspace."""
    if options.scheduler:
        raise NotYet("--scheduler (work over a Dask cluster)")
    from napari_unet_mic.training.prepare import prepare_workspace

    folder = prepare_workspace(
        options.dataset,
        options.workspace,
        configuration=options.configuration,
        report=say,
        progress=progress_bar("preprocess"),
    )
    say(f"{folder}: prepared cases")
    return 0


def train(options: argparse.Namespace) -> int:
    """``unet-mic train``: the whole road from a dataset to a validated run, or its estimate."""
    settings = run_settings(options, report=say)
    if options.estimate:
        from napari_unet_mic.training.estimate import estimate

        found = estimate(settings, progress=progress_bar("estimate"))
        if options.json:
            as_json(found.to_json())
        else:
            print(found.sentence)
        return 0
    from napari_unet_mic.training.trainer import train_here

    return train_here(settings, report=say)


def resume(options: argparse.Namespace) -> int:
    """``unet-mic resume``: go on with a run from its last checkpoint (what the panels start)."""
    from napari_unet_mic.training.trainer import run_child

    return run_child(options.run_folder)


def predict(options: argparse.Namespace) -> int:
    """``unet-mic predict``: label maps for files or a folder."""
    if options.scheduler:
        raise NotYet("--scheduler (work over a Dask cluster)")
    from napari_unet_mic.inference.allocator import tune
    from napari_unet_mic.inference.inputs import find_inputs
    from napari_unet_mic.inference.predictor import Predictor, predict_files

    tune()
    predictor = Predictor.open(
        options.model,
        folds=options.folds,
        checkpoint=options.checkpoint,
        device=options.device,
        mirroring=options.mirroring,
        precision=options.precision,
        memory_gb=options.memory_gb,
    )
    for sentence in predictor.sentences:
        say(sentence)
    cases = find_inputs(options.input, predictor.n_channels)
    summary = predict_files(
        predictor,
        cases,
        options.output,
        probabilities=options.probabilities,
        report=say,
        progress=progress_bar("predict"),
    )
    say(f"{options.output}: {summary}")
    return 1 if summary.failed else 0


def evaluate(options: argparse.Namespace) -> int:
    """``unet-mic evaluate``: predictions against references, tables and files."""
    from napari_unet_mic.evaluation.lesion import LesionQuestion, Smallest
    from napari_unet_mic.evaluation.summary import evaluate_folders
    from napari_unet_mic.reporting.tables import evaluation_text

    lesions = LesionQuestion(
        tuple(options.lesion_classes or ()),
        options.match,
        options.smallest_lesion or Smallest(),
        tuple(options.size_bins),
        options.probabilities,
    )
    found = evaluate_folders(
        options.reference,
        options.prediction,
        options.dataset_json,
        tolerance_mm=options.tolerance_mm,
        lesions=lesions,
        progress=progress_bar("evaluate"),
    )
    found.write(options.output)
    print(evaluation_text(found))
    compared = "1 case" if len(found.cases) == 1 else f"{len(found.cases)} cases"
    say(f"{options.output}: summary.json, confusion.csv, cases.csv, lesions.csv of {compared}")
    for case in found.failed:
        say(f"unet-mic: {case.name} was left out: {case.sentence}")
    complete = not found.failed
    if options.against:
        complete &= _evaluate_against(options, found.lesions or lesions)
    return 0 if complete else 1


def _evaluate_against(options: argparse.Namespace, lesions: LesionQuestion) -> bool:
    """Compare with a second prediction; return whether every case could be compared."""
    from napari_unet_mic.evaluation.difference_cases import DIFFERENCE, compare_folders
    from napari_unet_mic.evaluation.lesion_difference import LESION_DIFFERENCE
    from napari_unet_mic.reporting.difference_text import difference_text

    found = compare_folders(
        options.reference,
        options.prediction,
        options.against,
        options.dataset_json,
        lesions=lesions,
        progress=progress_bar("against"),
    )
    found.write(options.output)
    print("\n" + difference_text(found))
    say(f"{options.output}: {DIFFERENCE}, {LESION_DIFFERENCE}, against {options.against}")
    for case in found.failed:
        say(f"unet-mic: {case.name} was left out: {case.sentence}")
    return not found.failed


def sample(options: argparse.Namespace) -> int:
    """``unet-mic sample``: a synthetic dataset in Decathlon layout."""
    from napari_unet_mic.data import phantom

    n_cases, seed = options.cases, options.seed
    if options.kind == "liver":
        phantom.write_liver(options.output, n_cases, seed=seed, tumours_ml=options.tumours_ml)
    elif options.tumours_ml:
        raise BadInput(
            "--tumours-ml", expected="a liver set", got="a prostate set", advice="leave it out"
        )
    else:
        phantom.write_prostate(options.output, n_cases, seed=seed)
    say(f"{options.output}: {options.cases} synthetic {options.kind} cases")
    return 0


def demo(options: argparse.Namespace) -> int:
    """``unet-mic demo``: the main job once, on synthetic data, then napari on the result."""
    from napari_unet_mic.demo import show, walk

    walk(options.output, report=say)
    return show(options.output, report=say)


def info(options: argparse.Namespace) -> int:
    """``unet-mic info``: versions and devices, what to paste into a bug report."""
    from napari_unet_mic.inference.devices import environment, environment_text

    facts = environment()
    if options.json:
        as_json(facts)
    else:
        print(environment_text(facts))
    return 0


def worker(options: argparse.Namespace) -> int:
    """``unet-mic worker``: the warm prediction process of the panels (JSON lines on stdin)."""
    from napari_unet_mic.jobs.worker_child import main as serve

    return serve()


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    function.__name__: function
    for function in (
        check,
        fingerprint,
        plan,
        network,
        preprocess,
        train,
        resume,
        predict,
        evaluate,
        report,
        sample,
        demo,
        info,
        worker,
    )
}
