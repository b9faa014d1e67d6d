import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from napari_unet_mic.training.threads import compute_alone


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="torch's OpenMP on Linux")
def test_a_helper_thread_computes_on_one_core_and_the_others_keep_theirs() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(1, initializer=compute_alone) as pool:
            assert pool.submit(torch.get_num_threads).result() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
