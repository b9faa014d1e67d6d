"""nnU-Net learns a dataset with a seed, and is looked at on the way: run by its own Python.

    NNUNET_PYTHON benchmarks/nnunet_learning.py JOB.json

The job names `raw` (a folder DatasetXXX_Name), `splits` (splits_final.json), `work` (a folder
that is kept, so that a second call goes on), `seed`, `epochs` (of `iterations` each), `every` and
`looks` (a look at so many validation batches after every so many iterations), `out` (JSON lines).
nnU-Net does everything else itself: fingerprint, plan, preprocessing, its trainer as it is, and
after every epoch in `validate_after` its validation of the whole fold.
"""

import json
import os
import random
import shutil
import sys
import time
from pathlib import Path


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    raw, work = Path(job["raw"]), Path(job["work"])
    os.environ.update(
        nnUNet_raw=str(raw.parent),
        nnUNet_preprocessed=str(work / "preprocessed"),
        nnUNet_results=str(work / f"results-{job['seed']}-{job['epochs']}"),
        nnUNet_compile="f",
    )
    prepared = prepare(raw, work, Path(job["splits"]))
    if not job.get("workers"):  # patches are made in this process: the seed alone decides
        os.environ.update(nnUNet_n_proc_DA="0")
    learn(job, prepared)


def prepare(raw, work, splits):
    """Fingerprint, plan and preprocess once; returns the prepared folder."""
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    prepared = work / "preprocessed" / raw.name
    if not (prepared / "done").exists():
        number = int(raw.name[7:10])
        api.extract_fingerprint_dataset(number, num_processes=1, verbose=False)
        api.plan_experiment_dataset(number)
        api.preprocess_dataset(number, configurations=["3d_fullres"], num_processes=[1])
        shutil.copy(splits, prepared / "splits_final.json")
        (prepared / "done").touch()
    return prepared


def learn(job, prepared):
    import numpy as np
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    out = Path(job["out"])

    def say(**row):
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")

    class Watched(nnUNetTrainer):
        """nnU-Net's trainer; only its clock and some looks are added."""

        done = 0
        spent = 0.0
        losses = ()

        def train_step(self, batch):
            answer = super().train_step(batch)
            self.done += 1
            self.losses = (*self.losses, float(answer["loss"]))
            now = time.perf_counter()
            self.spent += now - self.mark
            say(iteration=self.done, loss=self.losses[-1], seconds=now - self.mark)
            if job["every"] and self.done % job["every"] == 0:
                self.look()
            self.mark = time.perf_counter()
            return answer

        def look(self):
            """Pseudo Dice over some validation batches; the clock stands still."""
            self.network.eval()
            counts = []
            with torch.no_grad():
                for _ in range(job["looks"]):
                    seen = self.validation_step(next(self.dataloader_val))
                    counts.append([seen[k] for k in ("tp_hard", "fp_hard", "fn_hard")])
            tp, fp, fn = np.sum(counts, 0)
            dice = 2 * tp / (2 * tp + fp + fn)
            say(look=self.done, spent=self.spent, dice=dice.tolist())
            self.network.train()

        def on_train_epoch_start(self):
            super().on_train_epoch_start()
            self.mark = time.perf_counter()

        def on_epoch_end(self):
            super().on_epoch_end()
            if self.current_epoch in job["validate_after"]:
                self.whole_fold()

        def whole_fold(self):
            self.perform_actual_validation()
            folder = Path(self.output_folder) / "validation"
            summary = json.loads((folder / "summary.json").read_text())
            mean = {k: v["Dice"] for k, v in summary["mean"].items()}
            kept = folder.with_name(f"validation-{self.current_epoch}")
            shutil.rmtree(kept, ignore_errors=True)
            folder.rename(kept)
            say(
                validated=self.done,
                spent=self.spent,
                dice=summary["foreground_mean"]["Dice"],
                iou=summary["foreground_mean"]["IoU"],
                classes=mean,
            )

    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(job["seed"])
    about = json.loads((prepared / "dataset.json").read_text())
    plans = json.loads((prepared / "nnUNetPlans.json").read_text())
    plans["continue_training"] = bool(job.get("continue"))
    trainer = Watched(plans, "3d_fullres", 0, about, torch.device("cpu"))
    trainer.num_epochs = job["epochs"]
    trainer.num_iterations_per_epoch = job["iterations"]
    trainer.num_val_iterations_per_epoch = job["looks"]
    trainer.save_every = 1
    if job.get("continue"):
        trainer.load_checkpoint(str(Path(trainer.output_folder) / "checkpoint_latest.pth"))
        trainer.done = trainer.current_epoch * job["iterations"]
    trainer.run_training()


if __name__ == "__main__":
    main()
